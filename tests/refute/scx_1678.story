a task of class `narrow` can wait for ever: 3 tasks on 2 cpus show it

  a, b    class wide    nice 0, weight 100              uses up its slices
  victim  class narrow  nice 0, weight 100, cpu 0 only  waits

  step ms  cpu 0  cpu 1  what happens                              who waits, in order
     1  0  a      -      a is forked, and runs at once
     2  0  a      b      b is forked, and runs at once
     3  0  a      b      victim is forked                          narrow: victim
     4  8  a      b      a's slice is over; line 19 takes a again  narrow: victim
     5  8  a      b      b's slice is over; line 19 takes b again  narrow: victim
           ^ steps 4 to 5 repeat for ever

After each turn everything is as it was before it: the same tasks, in the same order. `victim` is no
nearer, and can wait for ever; the kernel ends a scheduler that lets a task wait for 30 s.

to blame:
  line  19:  take wide                               serves `a` and `b` at every pick
  line  20:  take narrow                             where `victim` waits; never reached

help: line 19: `take wide at most 50% every 40ms`
      (then it proves: nobody waits longer than 1.572 s)
replay: schedc prove flawed.sched --run run.json
        schedc prove flawed.sched --replay run.json
