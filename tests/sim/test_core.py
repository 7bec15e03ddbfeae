"""The simulator's core does things in the order of kernel/sched/core.c.

Each test names the kernel's behaviour; a scheduling class that writes down its calls stands where
a scheduler would (tests/sim/core/probe.c).
"""

from __future__ import annotations

from tests.sim.probe import played

WAKEUP, MIGRATED, INITIAL, SELECTED, FORK, TTWU, SYNC = 0x1, 0x40, 0x80, 0x400, 0x4, 0x8, 0x10


# --- schedule() ----------------------------------------------------------------------------------


def test_a_task_that_blocks_is_dequeued_before_the_next_is_picked() -> None:
    """__schedule(): try_to_block_task() with DEQUEUE_SLEEP, pick, put_prev, set_next."""
    run = played("""
        machine cpus 1
        task a 0 1 0 - run:1000 sleep
        task b 0 1 0 - run:1000
        """)
    assert run.at(1000) == [
        ("dequeue", "a", "0x1"),
        ("pick", "b", "blocked"),
        ("put_prev", "a", "b"),
        ("set_next", "b", "a"),
    ]


def test_a_task_that_is_picked_again_is_neither_put_nor_set() -> None:
    """put_prev_set_next_task() returns at once if next is prev."""
    run = played("""
        machine cpus 1
        task a 0 1 0 - run:9000
        at 4000 resched:0
        """)
    assert run.at(4000) == [("pick", "a", "prev")]
    assert [call.at for call in run.of("set_next")] == [0]


def test_a_cpu_that_finds_nothing_goes_idle_after_its_task_was_put() -> None:
    """set_next_task_idle() tells scx_update_idle() once put_prev_task() is done."""
    run = played("""
        machine cpus 1
        task a 0 1 0 - run:1000 sleep
        """)
    assert run.at(1000)[1:] == [
        ("pick", "-", "blocked"),
        ("put_prev", "a", "-"),
        ("update_idle", "-", "begins"),
    ]


def test_an_idle_cpu_that_looks_in_vain_stays_idle_and_says_so() -> None:
    """pick_task_idle(): the idle mask is refreshed, ops.update_idle() is not called."""
    run = played("""
        machine cpus 1
        task a 0 1 0 - run:1000 sleep
        at 5000 resched:0
        """)
    assert run.at(5000) == [("pick", "-", "idle"), ("update_idle", "-", "still")]


def test_the_idle_task_is_put_before_the_next_one_is_set() -> None:
    """put_prev_task_idle(), then set_next_task()."""
    run = played("""
        machine cpus 1
        task a 0 1 0 - run:1000
        """)
    assert run.at(0)[-3:] == [
        ("pick", "a", "idle"),
        ("update_idle", "-", "ends"),
        ("set_next", "a", "-"),
    ]


def test_the_old_task_is_still_current_while_the_new_one_is_set() -> None:
    """rq->curr changes after pick_next_task(): ops.running() sees the task that left."""
    run = played("""
        machine cpus 1
        task a 0 1 0 - run:1000
        task b 0 1 0 - run:1000
        """)
    assert [(call.task, call.what) for call in run.of("set_next")] == [("a", "-"), ("b", "a")]


def test_an_exiting_task_leaves_its_class_after_the_switch() -> None:
    """do_task_dead(): the last schedule(); finish_task_switch() then frees what the class has."""
    run = played("""
        machine cpus 1
        task a 0 1 0 - run:1000 exit
        task b 0 1 0 - run:1000
        """)
    assert [name for name, _, _ in run.at(1000)] == [
        "dequeue", "pick", "put_prev", "set_next", "exit_task",
    ]  # fmt: skip
    assert run.at(1000)[-1][1] == "a"


def test_a_yield_is_an_involuntary_switch_but_no_preemption() -> None:
    """sys_sched_yield(): yield_task() of the class, then schedule() with the task runnable."""
    run = played("""
        machine cpus 1
        task a 0 1 0 - run:1000 yield run:1000
        task b 0 1 0 - run:1000
        """)
    assert run.at(1000) == [
        ("yield", "a", ""),
        ("pick", "b", "prev"),
        ("put_prev", "a", "b"),
        ("set_next", "b", "a"),
    ]
    assert run.result["values"]["preemptions"] == 0


# --- wake-ups ------------------------------------------------------------------------------------


def test_a_wake_up_selects_a_cpu_enqueues_there_and_asks_for_preemption() -> None:
    """try_to_wake_up(): select_task_rq(), activate_task(), wakeup_preempt()."""
    run = played("""
        machine cpus 2
        select 1
        task a 0 3 0 - run:1000 sleep
        task b 1 2 0 - run:90000
        at 5000 wake:a
        """)
    assert run.at(5000) == [
        ("select", "a", hex(TTWU)),
        ("enqueue", "a", hex(WAKEUP | SELECTED | (MIGRATED if run.of("pick")[0].cpu == 0 else 0))),
        ("wakeup_preempt", "a", hex(TTWU | 0x80)),
    ]


def test_a_task_of_one_cpu_is_not_asked_where() -> None:
    """select_task_rq() of core.c: nr_cpus_allowed is 1, ENQUEUE_RQ_SELECTED stays off."""
    run = played("""
        machine cpus 2
        task a 1 2 0 - run:1000 sleep
        at 5000 wake:a
        """)
    assert run.at(5000)[0] == ("enqueue", "a", hex(WAKEUP))
    assert not run.of("select")


def test_a_task_that_cannot_migrate_is_not_asked_where() -> None:
    """is_migration_disabled(): the cpu that it is on is the only one."""
    run = played("""
        machine cpus 2
        select 0
        task a 0 3 0 - run:1000 pin:a sleep run:10
        at 5000 wake:a
        """)
    assert run.at(5000)[0] == ("enqueue", "a", hex(WAKEUP))


def test_a_choice_outside_of_the_mask_is_corrected() -> None:
    """select_fallback_rq(): what the class answers is held against the mask."""
    run = played("""
        machine cpus 4
        select 0
        task a 2 c 0 - run:1000 sleep
        at 5000 wake:a
        """)
    assert run.of("enqueue", since=5000)[0].cpu == 2


def test_a_sync_wake_up_says_so() -> None:
    run = played("""
        machine cpus 2
        task a 0 3 0 - run:100 sleep
        task b 0 3 0 - run:1000 sync:a run:10
        """)
    assert [call.what for call in run.of("select", since=200)] == [hex(TTWU | SYNC)]


def test_a_task_that_is_awake_is_not_woken() -> None:
    """try_to_wake_up() returns 0 unless the state matches."""
    run = played("""
        machine cpus 1
        task a 0 1 0 - run:9000
        at 5000 wake:a
        """)
    assert run.at(5000) == []


def test_a_new_task_is_placed_from_its_parents_cpu() -> None:
    """wake_up_new_task(): WF_FORK, ENQUEUE_INITIAL, and no word of the selection."""
    run = played("""
        machine cpus 2
        task parent 1 2 0 - run:1000 start:child run:1000
        task child 0 3 0 parent run:1000
        """)
    assert run.at(1000)[:3] == [
        ("init_task", "child", ""),
        ("select", "child", hex(FORK)),
        ("enqueue", "child", hex(INITIAL)),
    ]
    assert run.of("init_task", since=1000)[0].cpu == 1


def test_a_sleep_ends_by_itself_unless_it_was_ended() -> None:
    run = played("""
        machine cpus 1
        task a 0 1 0 - run:1000 sleep:5000 run:1000 sleep:9000 run:1000
        at 10000 wake:a
        """)
    assert [call.at for call in run.of("enqueue")] == [0, 6000, 10000]


# --- requests to look for another task -----------------------------------------------------------


def test_a_preempting_wake_up_on_this_cpu_acts_when_the_event_is_over() -> None:
    """resched_curr() of the own cpu: TIF_NEED_RESCHED, looked at on the way out."""
    run = played("""
        machine cpus 1
        machine cost kick 700
        preempt
        task a 0 1 0 - run:100 sleep run:100
        task b 0 1 0 - run:1000 wake:a run:1000
        """)
    assert [name for name, _, _ in run.at(1100)] == [
        "enqueue", "wakeup_preempt", "pick", "put_prev", "set_next",
    ]  # fmt: skip
    assert run.result["values"]["preemptions"] == 1


def test_a_busy_cpu_elsewhere_hears_of_it_by_a_kick() -> None:
    """resched_curr() of another cpu: an interrupt, which takes its time."""
    run = played("""
        machine cpus 2
        machine cost kick 700
        preempt
        task a 1 2 0 - run:100 sleep run:100
        task b 1 2 0 - run:9000
        task c 0 1 0 - run:1000 wake:a run:1000
        """)
    assert run.at(1000)[-1][0] == "wakeup_preempt"
    assert [name for name, _, _ in run.at(1700)] == ["pick", "put_prev", "set_next"]


def test_an_idle_cpu_needs_time_to_leave_idle() -> None:
    run = played("""
        machine cpus 2
        machine cost idle_exit 1500
        task a 1 2 0 - run:1000 sleep run:1000
        task c 0 1 0 - run:9000 wake:a run:1000
        """)
    assert [call.at for call in run.of("set_next") if call.task == "a"] == [1500, 12000]


def test_one_request_is_enough() -> None:
    """resched_curr() does nothing if TIF_NEED_RESCHED is set already."""
    run = played("""
        machine cpus 2
        machine cost kick 700
        task a 1 2 0 - run:9000
        at 1000 resched:1 resched:1
        at 1200 resched:1
        """)
    assert [call.at for call in run.of("pick") if 0 < call.at < 9000] == [1700]


def test_any_interrupt_that_returns_sees_the_request() -> None:
    """A tick between the request and its kick: need_resched() is true on the way out."""
    run = played("""
        machine cpus 1
        machine hz 1000
        machine cost kick 5000
        task a 0 1 0 - run:3000000
        at 999000 resched:0
        """)
    assert [call.at for call in run.of("pick")][1:2] == [1000000]
    assert len(run.of("pick")) == 3


# --- ticks ---------------------------------------------------------------------------------------


def test_busy_cpus_tick_at_the_same_instants_and_idle_ones_not_at_all() -> None:
    """sched_tick(): update_curr(), task_tick(), balancing; NOHZ stops it on an idle cpu."""
    run = played("""
        machine cpus 3
        machine hz 1000
        task a 0 1 0 - run:2500000 sleep:2000000 run:2000000
        task b 1 2 0 - run:300000 sleep:10 run:1500000
        """)
    ticks = [(call.at, call.cpu) for call in run.of("tick")]
    assert ticks == [
        (1000000, 0), (1000000, 1), (2000000, 0), (5000000, 0), (6000000, 0),
    ]  # fmt: skip
    tick = [call.name for call in run.calls if (call.at, call.cpu) == (2000000, 0)]
    assert tick == ["update_curr", "tick", "balance_tick"]


def test_ticks_can_be_spread() -> None:
    """skew_tick=1: over half a tick."""
    run = played("""
        machine cpus 2
        machine hz 1000
        machine skew_tick 1
        task a 0 1 0 - run:2100000
        task b 1 2 0 - run:2100000
        """)
    assert [call.at for call in run.of("tick")] == [250000, 1000000, 1250000, 2000000]


def test_a_slice_ends_at_a_tick() -> None:
    """task_tick() asks for a reschedule once the slice is used up, and not before."""
    run = played("""
        machine cpus 1
        machine hz 250
        task a 0 1 0 - run:1000 sleep:1000 run:90000000
        task b 0 1 0 - run:90000000
        """)
    switches = [call.at for call in run.of("set_next")]
    # a: 1 µs; b: 20 ms of slice from 1 µs on, which are over at the tick of 24 ms.
    assert switches[:4] == [0, 1000, 24000000, 44000000]


def test_schedule_comes_when_the_ticks_handler_returns() -> None:
    """sched_tick() sets need_resched; irqentry_exit() calls schedule(). Who runs then has had less
    than five whole ticks at the fifth, so a slice of 20 ms lasts for six."""
    run = played("""
        machine cpus 1
        machine hz 250
        machine cost tick 10000
        task a 0 1 0 - run:90000000
        task b 0 1 0 - run:90000000
        """)
    assert [call.at for call in run.of("set_next")][:3] == [0, 20010000, 44010000]
