a task of class `everyone` can wait 10.02 s, longer than 10 s: 2 tasks on 1 cpu show it

  a       class everyone  nice -20, weight 8668  uses up its slices
  victim  class everyone  nice 19, weight 1      waits

  step    ms  cpu 0   what happens                                     who waits, in order
     1     0  a       a is forked, and runs at once
     2  0.01  -       a sleeps; cpu 0 is idle
     3  0.01  victim  victim is forked, and runs at once
     4 20.01  victim  victim's slice is over; nobody else, it goes on
     5 20.01  victim  a wakes                                          all: a -20 ms
     6 40.01  a       victim's slice is over; line 24 takes a          all: victim +100 ms
     7 60.01  a       a's slice is over; line 24 takes a again         all: victim +100 ms
              ^ step 7: 501 times, 10.02 s; each turn brings `victim` 191.2 us nearer

`victim` does come nearer, but after 10.02 s it still waits; the promise is 10 s. (Behind a name:
its key, less the clock of its queue; the lowest runs first.)

to blame:
  line   9:  queue all by vtime within -20ms..100ms  heavy tasks are slow to use up 120 ms of vtime
  line  15:  task.used += charge(ran)                a stint costs a heavy task little
  line  22:  enqueue everyone to all key task.used…  where the victim is queued

help: line 9: `queue all by vtime within -20ms..100ms drift 1/32`
      (then it proves: nobody waits longer than 5.4 s)
replay: schedc prove flawed.sched --run run.json
        schedc prove flawed.sched --replay run.json
