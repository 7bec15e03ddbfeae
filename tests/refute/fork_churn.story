a task of class `old` can wait for ever: 2 tasks on 1 cpu show it

  a       class young  nice 0, weight 100  forks a child and exits, each time
  victim  class old    nice 0, weight 100  waits

  step    ms  cpu 0   what happens                                        who waits, in order
     1     0  a       a is forked, and runs at once
     2  0.01  -       a sleeps; cpu 0 is idle
     3  0.01  victim  victim is forked, and runs at once
     4  8.01  victim  victim's slice is over; line 19 takes victim again
     5 16.01  victim  victim's slice is over; line 19 takes victim again
     6 16.01  victim  a wakes                                             young: a
     7 24.01  a       victim's slice is over; line 19 takes a             old: victim
     8 32.01  a       a' is forked                                        young: a'; old: victim
     9 32.01  a'      a exits; line 19 takes a'                           old: victim
              ^ steps 8 to 9 repeat for ever

After each turn everything is as it was before it: the same tasks, in the same order. `victim` is no
nearer, and can wait for ever; the kernel ends a scheduler that lets a task wait for 30 s.

to blame:
  line  19:  take young                              serves `a` at every pick
  line  20:  take old                                where `victim` waits; never reached

help: line 19: `take young at most 50% every 40ms`
      (then it proves: nobody waits longer than 1.624 s)
replay: schedc prove flawed.sched --run run.json
        schedc prove flawed.sched --replay run.json
