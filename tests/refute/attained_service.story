a task of class `everyone` can wait 5.02 s, longer than 5 s: 2 tasks on 1 cpu show it

  a       class everyone  nice 0, weight 100  forks a child and exits, each time
  victim  class everyone  nice 0, weight 100  waits

  step    ms  cpu 0   what happens                                        who waits, in order
     1     0  victim  victim is forked, and runs at once
     2    20  victim  victim's slice is over; line 21 takes victim again
              ^ step 2: 251 times, 5.02 s
     3  5020  victim  a is forked                                         all: a 0
     4  5040  a       victim's slice is over; line 21 takes a             all: victim +5.04 s
     5  5060  a       a' is forked                                        all: a' 0, victim +5.02 s
     6  5060  a'      a exits; line 21 takes a'                           all: victim +5.02 s
     7  5080  a'      a is forked                                         all: a 0, victim +5 s
     8  5080  a       a' exits; line 21 takes a                           all: victim +5 s
              ^ steps 5 to 8: 125 times, 5 s; each turn brings `victim` 40 ms nearer
     9 10060  a       a' is forked                                        all: a' 0, victim +20 ms
    10 10060  a'      a exits; line 21 takes a'                           all: victim +20 ms

`victim` does come nearer, but after 5.02 s it still waits; the promise is 5 s. (Behind a name: its
key, less the clock of its queue; the lowest runs first.)

to blame:
  line   6:  queue all by moment within 0ms..10s     who comes within 10 s may still go ahead
  line  19:  enqueue everyone to all key now + tas…  where the victim is queued

help: line 6: `queue all by moment within 0ms..2500ms`
      (then it proves: nobody waits longer than 4.06 s)
replay: schedc prove flawed.sched --run run.json
        schedc prove flawed.sched --replay run.json
