"""The simulator's core does things in the order of kernel/sched/core.c.

Each test names the kernel's behaviour; a scheduling class that writes down its calls stands where
a scheduler would (tests/sim/core/probe.c).
"""

from __future__ import annotations

import pytest

from tests.sim.probe import attempt, played

WAKEUP, RESTORE, MIGRATED, INITIAL, MIGRATING, SELECTED = 0x1, 0x2, 0x40, 0x80, 0x100, 0x400
FORK, TTWU, SYNC = 0x4, 0x8, 0x10


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


# --- changes -------------------------------------------------------------------------------------


def test_nice_of_a_running_task() -> None:
    """set_user_nice(): off its queue (SAVE), the change, back (RESTORE), then prio_changed()."""
    run = played("""
        machine cpus 1
        task a 0 1 0 - run:9000
        at 4000 nice:a:5
        """)
    assert run.at(4000) == [
        ("dequeue", "a", "0x2"),
        ("put_prev", "a", "-"),
        ("reweight", "a", ""),
        ("enqueue", "a", hex(RESTORE)),
        ("set_next", "a", "a"),
        ("prio_changed", "a", hex(120)),
    ]


def test_nice_of_a_waiting_and_of_a_sleeping_task() -> None:
    run = played("""
        machine cpus 1
        task a 0 1 0 - run:100 sleep
        task b 0 1 0 - run:9000
        task c 0 1 0 - run:9000
        at 4000 nice:c:-5
        at 5000 nice:a:1
        at 6000 nice:a:1
        """)
    assert [name for name, _, _ in run.at(4000)] == [
        "dequeue", "reweight", "enqueue", "prio_changed",
    ]  # fmt: skip
    assert [name for name, _, _ in run.at(5000)] == ["reweight", "prio_changed"]
    assert run.at(6000) == []


def test_affinity_that_leaves_the_task_where_it_is() -> None:
    """__do_set_cpus_allowed(): as a change of nice."""
    run = played("""
        machine cpus 2
        task a 0 3 0 - run:9000
        at 4000 cpus:a:1
        """)
    assert [name for name, _, _ in run.at(4000)] == [
        "dequeue", "put_prev", "set_cpus_allowed", "enqueue", "set_next",
    ]  # fmt: skip


def test_a_running_task_is_pushed_off_a_cpu_that_it_may_no_longer_use() -> None:
    """affine_move_task(): the stopper takes the cpu, then move_queued_task()."""
    run = played("""
        machine cpus 2
        machine cost kick 500
        task a 0 3 0 - run:9000
        task b 0 1 0 - run:9000
        at 4000 cpus:a:2
        """)
    assert run.at(4500) == [
        ("put_prev", "a", "-"),
        ("dequeue", "a", hex(MIGRATING)),
        ("enqueue", "a", hex(MIGRATING)),
        ("pick", "b", "idle"),
        ("set_next", "b", "-"),
        ("pick", "a", "idle"),
        ("update_idle", "-", "ends"),
        ("set_next", "a", "-"),
    ]
    assert run.of("set_next", since=4500)[-1].cpu == 1


def test_a_waiting_task_moves_at_once() -> None:
    run = played("""
        machine cpus 2
        task a 0 1 0 - run:9000
        task b 0 1 0 - run:9000
        task c 1 2 0 - run:9000
        at 4000 cpus:b:2
        """)
    assert [(c.name, c.cpu) for c in run.of(since=4000) if c.at == 4000 and c.task == "b"] == [
        ("dequeue", 0), ("set_cpus_allowed", 0), ("enqueue", 0), ("dequeue", 0), ("enqueue", 1),
        ("wakeup_preempt", 1),
    ]  # fmt: skip


def test_affinity_waits_until_migration_is_allowed_again() -> None:
    """migrate_enable() pushes the task off if its mask changed meanwhile."""
    run = played("""
        machine cpus 2
        task a 0 3 0 - pin:a run:9000 unpin:a run:9000
        at 4000 cpus:a:2
        """)
    assert [call.cpu for call in run.of("set_next") if call.task == "a"] == [0, 0, 1]
    assert run.of("set_next")[-1].at == 9000


# --- a higher class ------------------------------------------------------------------------------


def test_a_higher_class_takes_the_cpu_and_gives_it_back() -> None:
    """put_prev_task() with a task of another class as next; no update_idle() on the way back."""
    run = played("""
        machine cpus 1
        machine hz 1000
        task a 0 1 0 - run:9000
        task b 0 1 0 - run:9000
        at 4000 higher:0
        at 2004000 lower:0
        """)
    assert run.at(4000) == [("put_prev", "a", "-")]
    assert run.at(2004000) == [("pick", "a", "idle"), ("set_next", "a", "-")]
    assert not run.of("tick")
    assert run.result["values"]["longest_wait"] == 2009000


def test_a_higher_class_on_an_idle_cpu() -> None:
    run = played("""
        machine cpus 1
        task a 0 1 0 - run:1000 sleep run:1000
        at 4000 higher:0
        at 5000 wake:a
        at 6000 lower:0
        """)
    assert run.at(4000) == [("update_idle", "-", "ends")]
    assert run.at(5000) == [("enqueue", "a", hex(WAKEUP))]
    assert run.at(6000) == [("pick", "a", "idle"), ("set_next", "a", "-")]
    assert run.result["values"]["idle_wakeups"] == 1


# --- a scheduler that is thrown out --------------------------------------------------------------


def test_after_an_error_all_tasks_are_the_fair_classes_and_the_run_goes_on() -> None:
    """scx_disable_workfn(): dequeue SAVE, put_prev, exit, over, and ops.exit() at the end."""
    run = played("""
        machine cpus 1
        task a 0 1 0 - sleep
        task b 0 1 0 - run:5000 error run:5000
        task c 0 1 0 - run:5000
        until 15000
        """)
    assert run.at(5000) == [
        ("exit_task", "a", ""),
        ("dequeue", "b", "0x2"),
        ("put_prev", "b", "-"),
        ("exit_task", "b", ""),
        ("dequeue", "c", "0x2"),
        ("exit_task", "c", ""),
        ("fini", "-", ""),
    ]
    verdict = run.result["verdict"]
    assert (verdict["kind"], verdict["reason"]) == (1025, "scx_bpf_error")
    assert (verdict["message"], verdict["at_ns"]) == ("a message of the scheduler", 5000)
    assert verdict["victim"] == 2
    assert run.result["groups"][0]["cpu_ns"] == 15000


def test_the_first_error_is_the_one_that_is_told() -> None:
    run = played("""
        machine cpus 1
        task a 0 1 0 - run:5000 error run:10 error
        """)
    assert run.result["verdict"]["at_ns"] == 5000


# --- time ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("capacity", "ended"), [(1024, 90000), (512, 180000), (1, 92160000), (1000, 92160)]
)
def test_work_goes_at_the_cpus_capacity(capacity: int, ended: int) -> None:
    run = played(f"""
        machine cpus 1
        machine cpu 0 capacity {capacity}
        task a 0 1 0 - run:90000
        """)
    assert run.result["ended_ns"] == ended


def test_busy_siblings_slow_each_other_down() -> None:
    """Both run at 60% while both are busy: 1000 ns of work take 1000/0.6 ns."""
    run = played("""
        machine cpus 2
        machine cpu 0 core 0
        machine cpu 1 core 0
        machine smt_speed 600
        task a 0 1 0 - run:10000
        task b 1 2 0 - run:600
        """)
    (b,) = [call.at for call in run.of("dequeue") if call.task == "b"]
    assert b in (1000, 1001, 1002)  # 614/1024 is a little less than 0.6
    assert abs(run.result["ended_ns"] - (b + 9400)) <= 2


def test_costs_are_paid_before_work_goes_on() -> None:
    """The switch from a to b, b's new core, and the tick are b's to pay."""
    run = played("""
        machine cpus 2
        machine hz 1000
        machine cost context_switch 300
        machine cost tick 50
        machine cost migrate_core 2000
        task a 0 1 0 - run:1000
        task b 0 1 0 - run:1000 sleep:1000 run:1000000
        at 1500 cpus:b:2
        """)
    # b: from 1000 (+300) to 1500 on cpu 0; 200 ns are done; on cpu 1 it pays 2000 for the new core.
    (slept,) = [call.at for call in run.of("dequeue") if (call.task, call.what) == ("b", "0x1")]
    assert slept == 1500 + 2000 + 800
    assert run.result["ended_ns"] == slept + 1000 + 1000000 + 50


def test_a_waker_pays_for_its_wake_ups_and_the_next_task_for_what_is_left() -> None:
    run = played("""
        machine cpus 2
        machine cost wake 400
        task a 1 2 0 - run:100 sleep run:100 sleep
        task b 0 1 0 - run:1000 wake:a run:1000 wake:a
        task c 0 1 0 - run:500
        """)
    ends = {call.task: call.at for call in run.of("dequeue")}
    assert ends["b"] == 1000 + 400 + 1000
    assert ends["c"] == ends["b"] + 400 + 500


def test_costs_of_callbacks_are_charged_to_who_has_the_cpu_afterwards() -> None:
    run = played("""
        machine cpus 1
        task a 0 1 0 - run:1000 charge:70 run:1000
        """)
    assert run.result["ended_ns"] == 2070


def test_a_task_for_which_time_never_passes_is_an_error() -> None:
    done = attempt("""
        machine cpus 1
        task a 0 1 0 - run:0 loop
        """)
    assert done.returncode == 2
    assert done.stderr == ("schedc-sim: a[1] did 100000 things at 0 ns without any time passing\n")


# --- figures -------------------------------------------------------------------------------------


def test_an_open_wait_counts() -> None:
    """A task that starves to the end of the run can't vanish from the figures."""
    run = played("""
        machine cpus 1
        task a 0 1 0 - run:15000000
        task b 0 1 0 - run:10
        until 10000000
        """)
    assert run.result["values"]["longest_wait"] == 10000000
    assert run.result["histograms"]["wait"]["max"] == 10000000
    assert run.result["ended_ns"] == 10000000
    assert run.result["values"]["utilisation"] == 1000000


def test_fairness_is_jains_index() -> None:
    """One of two got everything: 1/2. Sleepers don't count."""
    run = played("""
        machine cpus 1
        task c 0 1 0 - sleep
        task a 0 1 0 - run:-
        task b 0 1 0 - run:-
        until 10000000
        """)
    assert run.result["values"]["fairness"] == 500000
    fair = played("""
        machine cpus 2
        task a 0 1 0 - run:-
        task b 1 2 0 - run:-
        until 10000000
        """)
    assert fair.result["values"]["fairness"] == 1000000


def test_fairness_weighs() -> None:
    """nice -5 is worth 3121 of 1024: with equal shares J = (1+r)²/2(1+r²), r = 1024/3121."""
    run = played("""
        machine cpus 2
        task a 0 1 -5 - run:-
        task b 1 2 0 - run:-
        until 10000000
        """)
    r = 1024 / 3121
    expected = (1 + r) ** 2 / (2 * (1 + r * r))
    assert abs(run.result["values"]["fairness"] / 1e6 - expected) < 1e-4


def test_what_was_warming_up_is_not_in_the_figures() -> None:
    run = played("""
        machine cpus 1
        task a 0 1 0 - run:5000
        task b 0 1 0 - run:5000 sleep:1000 run:5000
        at 6000 reset
        """)
    values = run.result["values"]
    assert run.result["groups"][0]["cpu_ns"] == 9000
    assert values["utilisation"] == 900000
    assert values["longest_wait"] == 5000
    assert run.result["histograms"]["wait"]["count"] == 1


def test_wake_ups_and_switches_are_counted() -> None:
    """events: 4 of the start (2 wake-ups, pick, switch), then sleep, pick, switch; …"""
    run = played("""
        machine cpus 1
        task a 0 1 0 - run:1000 sleep:5000 run:1000
        """)
    values = run.result["values"]
    assert (values["context_switches"], values["idle_wakeups"]) == (4, 2)
    # wake, pick, switch, sleep, pick, switch, wake, pick, switch, exit, pick, switch
    assert run.result["events"] == 12


def test_latency_is_until_work_goes_on() -> None:
    run = played("""
        machine cpus 1
        machine cost context_switch 300
        task a 0 1 0 - run:1000 sleep run:10
        task b 0 1 0 - run:5000
        at 2000 wake:a
        """)
    latency = run.result["histograms"]["latency"]
    # b runs from 1000, pays 300, ends at 6300; a pays 300.
    assert (latency["count"], latency["min"]) == (1, 6300 + 300 - 2000)


# --- a script's runs -----------------------------------------------------------------------------


def test_a_manual_run_has_no_ticks_and_busy_cpus_wait_to_be_told() -> None:
    run = played("""
        manual
        preempt
        machine cpus 1
        machine hz 1000
        task a 0 1 0 - sleep run:-
        task b 0 1 0 - run:-
        at 1000 wake:a
        at 5000000 now:0
        at 6000000 end:0
        until 7000000
        """)
    assert [call.at for call in run.of("set_next") if call.at] == [5000000, 6000000]
    assert not run.of("tick")


# --- what a debug build checks -------------------------------------------------------------------


def broken(scenario: str) -> str:
    done = attempt(scenario)
    assert done.returncode < 0, "nobody noticed"
    return done.stderr.partition("invariant broken at ")[2].strip()


def test_a_lost_task_is_noticed() -> None:
    what = broken("""
        machine cpus 1
        task a 0 1 0 - run:9000
        task b 0 1 0 - run:9000
        at 4000 lose:b
        """)
    assert what == "4000 ns: b[2] is lost"


def test_a_cpu_that_ignores_its_own_queue_is_noticed() -> None:
    what = broken("""
        machine cpus 2
        lazy 1
        task a 1 2 0 - run:9000
        """)
    assert what == "0 ns: cpu 1 is idle and a[1] waits in its queue"


def test_idling_beside_a_shared_queue_is_noticed_if_it_is_promised_not_to() -> None:
    scenario = """
        machine cpus 2
        lazy 1
        select 1
        task a 1 3 0 - run:9000
        until 5000
        """
    assert played(scenario).result["values"]["longest_wait"] == 5000
    assert broken("work-conserving\n" + scenario) == (
        "0 ns: not work-conserving: cpu 0 is idle and a[1] waits"
    )
