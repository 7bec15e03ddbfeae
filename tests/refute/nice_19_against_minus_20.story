a task of class `everyone` can wait 30.02 s, longer than 30 s: 4 tasks on 1 cpu show it

  a, b, c  class everyone  nice -20, weight 8668  uses up its slices
  victim   class everyone  nice 19, weight 1      waits

  step     ms  cpu 0   what happens                                     who waits, in order
     1      0  a       a is forked, and runs at once
     2      0  a       b is forked                                      all: b +230.7 us
     3      0  a       c is forked                                      all: b +230.7 us, c +230.7 …
     4   0.01  b       a sleeps; line 21 takes b                        all: c 0
     5   0.02  c       b sleeps; line 21 takes c
     6   0.03  -       c sleeps; cpu 0 is idle
     7   0.03  victim  victim is forked, and runs at once
     8  24.03  victim  victim's slice is over; nobody else, it goes on
     9  24.03  victim  a wakes                                          all: a -20 ms
    10  24.03  victim  b wakes                                          all: a -20 ms, b -20 ms
    11  24.03  victim  c wakes                                          all: a -20 ms, 2 more
    12  48.03  a       victim's slice is over; line 21 takes a          all: 2 ahead, victim +100 ms
    13  72.03  b       a's slice is over; line 21 takes b               all: 2 ahead, victim +100 ms
    14  96.03  c       b's slice is over; line 21 takes c               all: 2 ahead, victim +100 ms
    15 120.03  a       c's slice is over; line 21 takes a               all: 2 ahead, victim +100 ms
               ^ steps 13 to 15: 417 times, 30.02 s; each turn brings `victim` 229.5 us nearer

`victim` does come nearer, but after 30.02 s it still waits; the kernel ends a scheduler that lets a
task wait for 30 s. (Behind a name: its key, less the clock of its queue; the lowest runs first.)

to blame:
  line   6:  queue all by vtime within -20ms..100ms  heavy tasks are slow to use up 120 ms of vtime
  line  12:  task.used += charge(ran)                a stint costs a heavy task little
  line  19:  enqueue everyone to all key task.used…  where the victim is queued

help: line 6: `queue all by vtime within -20ms..100ms drift 1/64`
      (then it proves: nobody waits longer than 9.24 s)
replay: schedc prove flawed.sched --run run.json
        schedc prove flawed.sched --replay run.json
