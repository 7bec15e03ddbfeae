"""The kernel's rules for who runs next, one by one."""

from __future__ import annotations

import pytest

from schedc.model import Illegal, Machine, Profile, Topology
from schedc.model.state import FOREVER
from tests.model.machines import MS, machine, nice, order, policy_of, slice_out, told

FIFO = """
queue all fifo
class everyone
enqueue everyone to all slice 4ms
dispatch { take all }
"""

PLACED = FIFO.replace("enqueue", "place { idle prev idle anywhere }\nenqueue")

PACKED = FIFO.replace("class everyone", "class everyone\npack until 80%").replace("4ms", "20ms")

CORES = Topology((0,) * 6, core_of=(0, 0, 1, 1, 2, 2))

LEVELS = """
queue upper fifo
queue lower fifo
class upper when nice < 0
class lower
enqueue upper to upper slice 4ms
enqueue lower to lower slice 8ms
dispatch { take upper take lower }
"""


def test_a_queue_in_order_of_arrival() -> None:
    m = machine(FIFO)
    for _ in range(3):
        m.fork(Profile())
    assert m.running(0) == 0
    assert order(m, 5) == [1, 2, 0, 1, 2]


def test_the_slice_is_a_lower_end_and_the_tick_an_upper_one() -> None:
    m = machine(FIFO)
    m.fork(Profile())
    assert (m.slice_end(0), m.deadline(0)) == (4 * MS, 5 * MS)
    with pytest.raises(Illegal, match="not used up"):
        m.copy().end_stint(0, 4 * MS - 1, "slice")
    with pytest.raises(Illegal, match="must have ended"):
        m.copy().end_stint(0, 5 * MS + 1, "slice")
    with pytest.raises(Illegal, match="must have ended"):
        m.copy().advance(5 * MS + 1)
    m.end_stint(0, 5 * MS, "slice")
    assert m.now == 5 * MS


def test_alone_a_task_goes_on_with_a_slice_of_the_policy() -> None:
    m = machine(FIFO)
    m.fork(Profile())
    assert slice_out(m) == 0
    assert m.slice_end(0) == 8 * MS
    assert told(m, "keep", "kernel_keep", "stop") == [("stop", 0), ("keep", 0)]


def test_the_kernel_keeps_for_20_ms_where_dispatch_gives_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    m = machine(FIFO)
    m.fork(Profile())
    monkeypatch.setattr("schedc.model.dispatch.dispatch", lambda m, c, prev: None)
    slice_out(m)
    assert m.running(0) == 0
    assert m.slice_end(0) == 24 * MS
    assert told(m, "kernel_keep") == [("kernel_keep", 0)]


def test_a_task_that_may_go_on_is_put_back_after_the_pick() -> None:
    """So a lower task is not passed by one that is only now put back into an upper queue."""
    m = machine(LEVELS.replace("take upper take lower", "take upper at most 3 take lower"))
    m.fork(nice(-1))
    m.fork(nice(0))
    m.end_stint(0, MS, "yield")
    assert told(m, "stop", "pick", "queue", "keep", "run")[-2:] == [("stop", 0), ("keep", 0)]
    m.fork(nice(-1))
    m.events.clear()
    slice_out(m)
    assert told(m, "stop", "pick", "queue", "run") == [
        ("stop", 0), ("pick", 2), ("queue", 0), ("run", 2),
    ]  # fmt: skip


def test_the_local_queue_comes_before_dispatch() -> None:
    m = machine(LEVELS)
    low = m.fork(nice(0))
    m.end_stint(0, MS, "preempted_by_rt")
    high = m.fork(nice(-1))
    assert m.tasks[low].state == "local"
    assert [(w.task, w.queue) for w in m.waiting()] == [(low, "local"), (high, "upper")]
    m.rt_done(0)
    assert m.running(0) == low  # although an upper line has a task
    assert m.slice_end(0) == m.now + 7 * MS  # what was left of it


def test_preempted_with_its_slice_used_up_it_is_queued() -> None:
    m = machine(FIFO)
    first, second = m.fork(Profile()), m.fork(Profile())
    m.end_stint(0, 4 * MS, "preempted_by_rt")
    assert m.tasks[first].state == "queued"
    m.advance(MS)
    m.rt_done(0)
    assert m.running(0) == second


def test_while_a_higher_class_has_the_cpu_nothing_is_picked() -> None:
    m = machine(PLACED)
    m.fork(Profile())
    m.end_stint(0, MS, "sleep")
    m.wake(0)
    m.end_stint(0, MS, "preempted_by_rt")
    other = m.fork(Profile())
    assert m.running(0) is None
    assert m.deadline(0) == FOREVER
    assert m.tasks[other].state == "queued"
    with pytest.raises(Illegal, match="no higher class"):
        machine(FIFO).rt_done(0)


def test_a_higher_class_takes_an_idle_cpu() -> None:
    m = machine(PLACED, cpus=2)
    m.rt_begin(0)
    m.fork(Profile(), 0)
    assert (m.running(0), m.running(1)) == (None, 0)
    with pytest.raises(Illegal, match="not idle"):
        m.rt_begin(1)
    m.rt_done(0)
    m.fork(Profile(), 0)
    assert m.running(0) == 1


def test_a_claimed_cpu_is_given_to_one_task_only() -> None:
    m = machine(PLACED, cpus=2)
    tasks = [m.fork(Profile(), 0) for _ in range(3)]
    assert (m.running(0), m.running(1)) == (tasks[0], tasks[1])
    assert [w.task for w in m.waiting()] == [tasks[2]]
    assert told(m, "claim") == [("claim", 0), ("claim", 1)]


def test_without_place_an_idle_cpu_is_woken() -> None:
    m = machine(FIFO, cpus=2)
    m.fork(Profile(), 0)
    m.fork(Profile(), 0)
    assert (m.running(0), m.running(1)) == (0, 1)
    assert [event.cpu for event in m.events if event.kind == "kick"] == [0, 1]


def packed(waiting: int) -> Machine:
    """Of six cpus, 0 alone stays awake: task 0 runs there, the last ones wait for it, and cpus 1 to
    5 are idle. Task 1 sleeps; cpu 1's core is not whole."""
    m = machine(PACKED, topology=CORES)
    m.fork(Profile(), 0)
    m.fork(Profile(allowed=frozenset({1, 2})), 1)
    m.end_stint(2, MS, "sleep")
    m.advance(m.beat_at - m.now)
    for _ in range(waiting):
        m.fork(Profile(), 0)
    assert [cpu.running for cpu in m.cpus] == [0, -1, -1, -1, -1, -1]
    assert len(m.waiting()) == waiting
    return m


def test_the_idle_cpu_on_which_a_task_wakes_looks_though_another_was_kicked() -> None:
    """The kicked one takes the first in line; the kernel's own wake-up does the rest."""
    m = packed(waiting=1)
    m.wake(1, cpu=1)
    assert [event.cpu for event in m.events if event.kind == "kick"][-1] == 2
    assert [cpu.running for cpu in m.cpus] == [0, 1, 2, -1, -1, -1]


def test_the_idle_cpu_to_which_a_task_is_moved_looks() -> None:
    m = packed(waiting=3)
    m.set_affinity(2, frozenset({1, 2, 4}))
    assert [cpu.running for cpu in m.cpus] == [0, 2, 3, -1, 4, -1]
    assert not m.waiting()


def test_the_idle_cpu_to_which_a_running_task_is_moved_looks() -> None:
    m = packed(waiting=2)
    m.set_affinity(0, frozenset({1, 2}))
    assert [cpu.running for cpu in m.cpus] == [2, 0, 3, -1, -1, -1]
    assert not m.waiting()


def test_where_a_higher_class_runs_nobody_looks() -> None:
    m = packed(waiting=1)
    m.rt_begin(1)
    m.wake(1, cpu=1)
    assert [cpu.running for cpu in m.cpus] == [0, -1, 2, -1, -1, -1]


def test_a_slice_that_ends_wakes_an_idle_cpu() -> None:
    """What had to wait for one cpu goes to another when the affinity is widened."""
    m = machine(PLACED, cpus=2)
    only = frozenset({0})
    first = m.fork(Profile(allowed=only), 0)
    second = m.fork(Profile(allowed=only), 0)
    assert (m.running(0), m.running(1)) == (first, None)
    m.set_affinity(second, frozenset({0, 1}))
    assert m.running(1) == second


def test_consumption_skips_who_may_not_run_here() -> None:
    m = machine(FIFO, cpus=2)
    tasks = [m.fork(Profile(), 0) for _ in range(2)]
    pinned = m.fork(Profile(allowed=frozenset({1})), 1)
    free = m.fork(Profile(), 0)
    assert slice_out(m, 0) == free
    assert slice_out(m, 1) == pinned
    assert {w.task for w in m.waiting()} == set(tasks)


def test_a_task_that_may_not_migrate_waits_for_its_cpu() -> None:
    m = machine(FIFO, cpus=2)
    m.fork(Profile(), 0)
    m.fork(Profile(), 1)
    held = m.fork(Profile(held=True), 1)
    slice_out(m, 0)
    assert m.running(0) == 0  # alone it goes on: the waiting one is not for this cpu
    assert slice_out(m, 1) == held


def test_a_change_queues_anew_and_the_watchdog_goes_on() -> None:
    m = machine(FIFO)
    for _ in range(3):
        m.fork(Profile())
    m.end_stint(0, 2 * MS, "yield")
    waited = next(w for w in m.waiting() if w.task == 2)
    m.set_weight(2, 50)
    again = next(w for w in m.waiting() if w.task == 2)
    assert (waited.since, again.since) == (0, 0)
    assert [w[1] for w in m.queues[0][0]] == [0, 2]  # at the tail now


def test_a_change_of_a_running_task_is_a_stint_of_its_own() -> None:
    m = machine(FIFO)
    m.fork(Profile())
    m.fork(Profile())
    m.advance(MS)
    m.set_weight(0, 50)
    assert m.running(0) == 0
    assert ("stop", 0) in told(m, "stop")
    assert m.slice_end(0) == 4 * MS  # what was left of it


def test_moved_off_its_cpu_a_task_leaves_it_at_once() -> None:
    m = machine(FIFO, cpus=2)
    m.fork(Profile(), 0)
    m.set_affinity(0, frozenset({1}))
    assert (m.running(0), m.running(1)) == (None, 0)


def test_sleep_and_exit_stop_first() -> None:
    m = machine(FIFO)
    m.fork(Profile())
    m.end_stint(0, MS, "sleep")
    assert told(m, "stop", "sleep", "idle") == [("stop", 0), ("sleep", 0), ("idle", -1)]
    m.advance(MS)
    m.wake(0)
    assert m.running(0) == 0
    m.end_stint(0, MS, "exit")
    assert m.tasks[0].state == "gone"
    with pytest.raises(Illegal, match="not sleeping"):
        m.wake(0)
    with pytest.raises(Illegal, match="nothing runs"):
        m.end_stint(0, MS, "slice")


def test_hyperthreads_whole_cores_first() -> None:
    text = FIFO.replace("enqueue", "place { idle core anywhere idle anywhere }\nenqueue")
    m = machine(text, topology=Topology((0,) * 4, core_of=(0, 0, 1, 1)))
    for _ in range(3):
        m.fork(Profile(), 0)
    assert [m.running(cpu) for cpu in range(4)] == [0, 2, 1, None]


def test_fast_cpus_first() -> None:
    text = FIFO.replace("enqueue", "place { idle fast anywhere idle anywhere }\nenqueue")
    m = machine(text, topology=Topology((0, 0), capacity=(512, 1024)))
    m.fork(Profile(), 0)
    m.fork(Profile(), 0)
    assert (m.running(0), m.running(1)) == (1, 0)


def test_unlimited_until_somebody_waits() -> None:
    text = """
queue all fifo
class everyone
enqueue everyone to all slice unlimited contended 10ms
dispatch { take all }
"""
    m = machine(text)
    m.fork(Profile())
    assert m.deadline(0) == FOREVER
    m.advance(52 * MS)
    m.fork(Profile())
    beat = m.program.beat_ns
    assert beat == 5 * MS
    assert m.deadline(0) == 55 * MS + MS  # the timer's next beat, then a tick
    m.advance(3 * MS)
    assert told(m, "preempt") == [("preempt", 0)]
    assert slice_out(m) == 1


def test_unlimited_runs_at_least_what_is_contended() -> None:
    text = """
queue all fifo
class everyone
enqueue everyone to all slice unlimited contended 10ms
dispatch { take all }
"""
    m = machine(text)
    m.fork(Profile())
    m.fork(Profile())
    m.advance(5 * MS)
    assert told(m, "preempt") == []
    assert m.deadline(0) == 11 * MS


def test_a_copy_shares_nothing() -> None:
    m = machine(FIFO)
    m.fork(Profile())
    m.fork(Profile())
    other = m.copy()
    order(other, 3)
    other.fork(Profile())
    assert (len(m.tasks), m.running(0), m.now, len(m.queues[0][0])) == (2, 0, 0, 1)


def test_programs_are_shared() -> None:
    policy = policy_of(FIFO)
    m = Machine(policy)
    assert Machine(m.program).program is m.program
