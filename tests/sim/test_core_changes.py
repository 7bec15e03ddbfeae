"""Nice, affinity, higher classes and a scheduler thrown out: the kernel's order of things."""

from __future__ import annotations

from tests.sim.probe import played

WAKEUP, RESTORE, MIGRATING = 0x1, 0x2, 0x100


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
