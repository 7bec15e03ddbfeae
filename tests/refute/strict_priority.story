a task of class `rest` can wait for ever: 2 tasks on 1 cpu show it

  a       class urgent  nice -20, weight 8668  uses up its slices
  victim  class rest    nice 0, weight 100     waits

  step ms  cpu 0  what happens                              who waits, in order
     1  0  a      a is forked, and runs at once
     2  0  a      victim is forked                          lower: victim
     3  4  a      a's slice is over; line 19 takes a again  lower: victim
           ^ step 3 repeats for ever

After each turn everything is as it was before it: the same tasks, in the same order. `victim` is no
nearer, and can wait for ever; the kernel ends a scheduler that lets a task wait for 30 s.

to blame:
  line  19:  take upper                              serves `a` at every pick
  line  20:  take lower                              where `victim` waits; never reached

help: line 19: `take upper at most 50% every 40ms`
      (then it proves: nobody waits longer than 1.616 s)
replay: schedc prove flawed.sched --run run.json
        schedc prove flawed.sched --replay run.json
