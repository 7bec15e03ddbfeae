a task of class `kernel` can wait for ever: 3 tasks on 2 cpus show it

  a, b    class rest    nice 0, weight 100                             uses up its slices
  victim  class kernel  nice 0, weight 100, kernel thread, cpu 0 only  waits

  step  ms  cpu 0  cpu 1  what happens                              who waits, in order
     1   0  a      -      a is forked, and runs at once
     2   0  a      b      b is forked, and runs at once
     3   0  a      b      victim is forked                          all: victim 0
     4  20  a      b      a's slice is over; line 24 takes a again  all: victim -312.5 us
     5  20  a      b      b's slice is over; line 24 takes b again  all: victim -20 ms
            ^ steps 4 to 5: 6 times, 120 ms; each turn brings `victim` 20 ms nearer
     6 140  a      b      a's slice is over; line 24 takes a again  all: victim -120.3 ms
     7 140  a      b      b's slice is over; line 24 takes b again  all: victim -140 ms
            ^ steps 6 to 7 repeat for ever

After each turn everything is as it was before it: the same tasks, in the same order. `victim` is no
nearer, and can wait for ever; the kernel ends a scheduler that lets a task wait for 30 s. (Behind a
name: its key, less the clock of its queue; the lowest runs first.)

to blame:
  line  24:  take mine                               serves `a` and `b` at every pick
  line  25:  take all                                where `victim` waits; never reached

help: line 24: `take mine at most 50% every 40ms`
      (then it proves: nobody waits longer than 12.08 s)
replay: schedc prove flawed.sched --run run.json
        schedc prove flawed.sched --replay run.json
