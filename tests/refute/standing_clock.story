a task of class `everyone` can wait for ever: 3 tasks on 1 cpu show it

  a, b    class everyone  nice -20, weight 8668  sleeps after each stint, and is woken
  victim  class everyone  nice 0, weight 100     waits

  step ms  cpu 0  what happens                   who waits, in order
     1  0  a      a is forked, and runs at once
     2  0  a      b is forked                    all: b +92.29 us
     3  0  a      victim is forked               all: b +92.29 us, victim +8 ms
     4  8  b      a sleeps; line 20 takes b      all: victim +7.908 ms
     5 16  b      a wakes                        all: a -92.29 us, victim +7.908 ms
     6 16  a      b sleeps; line 20 takes a      all: victim +7.908 ms
     7 24  a      b wakes                        all: b 0, victim +7.908 ms
     8 24  b      a sleeps; line 20 takes b      all: victim +7.908 ms
     9 32  b      a wakes                        all: a -92.29 us, victim +7.908 ms
    10 32  a      b sleeps; line 20 takes a      all: victim +7.908 ms
           ^ steps 7 to 10 repeat for ever

After each turn everything is as it was before it: the same tasks, in the same order. `victim` is no
nearer, and can wait for ever; the kernel ends a scheduler that lets a task wait for 30 s. (Behind a
name: its key, less the clock of its queue; the lowest runs first.)

to blame:
  line  11:  task.used += charge(ran) when burst >…  no charge unless the condition holds
  line   5:  queue all by vtime within -20ms..1s     its clock moves only when somebody's vtime does
  line  18:  enqueue everyone to all key task.used…  where the victim is queued

help: line 5 and 11: charge every stint: leave out the `when`, and `queue all by vtime within
      -20ms..1s drift 1/16`
      (then it proves: nobody waits longer than 17.11 s)
replay: schedc prove flawed.sched --run run.json
        schedc prove flawed.sched --replay run.json
