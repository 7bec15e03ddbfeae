"""From a task to its queue: windows, clocks, newcomers, events, classes, preemption."""

from __future__ import annotations

import pytest

from schedc.model import Machine, Profile
from tests.model.machines import MS, machine, nice, order, slice_out, told

FAIR = """
assume weight in 50..200
queue all by vtime within -20ms..100ms{}
state task.used : vtime of all
class everyone
on stop {{ task.used += charge(ran) }}
enqueue everyone to all key task.used slice 4ms
dispatch {{ take all }}
"""


def test_a_newcomer_starts_behind_the_clock() -> None:
    m = machine(FAIR.format(""))
    m.fork(Profile(weight=50))
    assert m.value(0, "used") == 8 * MS  # 100 * 4 ms / 50
    assert m.clock(0, 0) == 8 * MS  # it runs
    m.fork(Profile(weight=200))
    assert m.value(1, "used") == 10 * MS


def test_weights_are_clamped() -> None:
    m = machine(FAIR.format(""))
    m.fork(Profile(weight=10_000))
    assert m.tasks[0].weight == 200
    m.set_weight(0, 1)
    assert m.tasks[0].weight == 50


def test_a_charge_is_never_less_than_a_switch_costs() -> None:
    m = machine(FAIR.format(""))
    m.fork(Profile())
    before = m.value(0, "used")
    m.end_stint(0, 1, "sleep")
    assert m.value(0, "used") == before + 10_000


def test_the_window_forgets_credit_and_debt() -> None:
    m = machine(FAIR.format(""))
    m.fork(Profile())
    m.end_stint(0, MS, "sleep")
    m.fork(Profile(weight=200))
    order(m, 200)
    clock = m.clock(0, 0)
    m.wake(0)
    assert m.value(0, "used") == clock - 20 * MS
    assert told(m, "clamp") == [("clamp", 0)]


def test_a_clock_drifts() -> None:
    m = machine(FAIR.format(" drift 1/64"))
    m.fork(Profile())
    clock = m.clock(0, 0)
    m.advance(3 * MS)
    assert m.clock(0, 0) == clock + 3 * MS // 64


def test_the_clock_never_runs_back() -> None:
    m = machine(FAIR.format(""))
    for weight in (50, 100, 200):
        m.fork(Profile(weight=weight))
    seen = 0
    for _ in range(200):
        slice_out(m)
        assert m.clock(0, 0) >= seen
        seen = m.clock(0, 0)


def test_clocks_of_domains_are_apart_and_shared_ones_are_not() -> None:
    for clock, apart in (("", True), (" clock one", False)):
        m = machine(FAIR.format(f"{clock} per cpu"), cpus=2)
        for cpu in (0, 0, 1):
            m.fork(Profile(allowed=frozenset({cpu})), cpu)
        order(m, 0)
        while m.now < 100 * MS:
            slice_out(m, min((0, 1), key=m.slice_end))
        assert (m.clock(0, 0) != m.clock(0, 1)) == apart


EVENTS = """
queue all fifo
state task.enabled  : count in 0..100 = 0
state task.woken    : count in 0..100 = 0
state task.queued   : count in 0..100 = 0
state task.run      : count in 0..100 = 0
state task.ticks    : count in 0..100 = 0
state task.stops    : count in 0..100 = 0
state task.sleeps   : count in 0..100 = 0
state task.last     : time in 0ms..1s = 0ms
state task.burst    : time in 0ms..1s = 0ms
state task.slept    : time in 0ms..1s = 0ms
state task.waited   : time in 0ms..1s = 0ms
state cpu.stops     : count in 0..1000 = 7
state global.stops  : count in 0..1000 = 0
state comm.stops    : count in 0..3 = 1
class everyone when task.enabled >= 1 and cpu.stops >= 7 and global.stops < 1000
class never
on enable  { task.enabled += 1 }
on wake    { task.woken += 1  task.slept = slept }
on enqueue { task.queued += 1 }
on run     { task.run += 1  task.waited = waited }
on tick    { task.ticks += 1  task.last = ran }
on stop    { task.stops += 1  task.last = ran  cpu.stops += 1  global.stops += 1  comm.stops += 1 }
on sleep   { task.sleeps += 1  task.burst = burst }
enqueue everyone to all slice 4ms
enqueue never to all slice 4ms
dispatch { take all }
"""


def _values(m: Machine, task: int, *names: str) -> list[int]:
    return [m.value(task, name) for name in names]


def test_events_in_their_order() -> None:
    m = machine(EVENTS)
    m.fork(Profile())
    counted = ("enabled", "woken", "queued", "run", "ticks", "stops", "sleeps")
    assert _values(m, 0, *counted) == [1, 0, 1, 1, 0, 0, 0]
    m.advance(MS)
    m.tick(0)
    assert _values(m, 0, "ticks", "last") == [1, MS]
    m.end_stint(0, 2 * MS, "sleep")
    assert _values(m, 0, *counted) == [1, 0, 1, 1, 1, 1, 1]
    assert _values(m, 0, "last", "burst") == [2 * MS, 2 * MS]
    m.advance(5 * MS)
    m.wake(0)
    assert _values(m, 0, *counted) == [1, 1, 2, 2, 1, 1, 1]
    assert _values(m, 0, "slept") == [5 * MS]
    m.fork(Profile())
    m.end_stint(0, MS, "yield")
    assert _values(m, 0, "queued", "stops") == [3, 2]
    assert _values(m, 1, "run", "waited") == [1, MS]


def test_a_kept_stint_stops_without_a_queue() -> None:
    m = machine(EVENTS)
    m.fork(Profile())
    slice_out(m)
    assert _values(m, 0, "queued", "run", "stops") == [1, 1, 1]
    assert m.burst(m.tasks[0]) == 4 * MS


def test_assignments_saturate_and_scopes_are_shared() -> None:
    m = machine(EVENTS)
    m.fork(Profile(comm=b"a"))
    m.fork(Profile(comm=b"b"))
    order(m, 10)
    assert m.shared["global"][0] == [10]
    assert m.cpus[0].v == [17]
    assert m.shared["comm"] == {b"a": [3], b"b": [3]}


def test_rates_of_wakes_and_wakings() -> None:
    text = """
queue all fifo
class waker when wakings >= 100
class often when wakes >= 100
class rest
enqueue waker to all slice 4ms
enqueue often to all slice 4ms
enqueue rest to all slice 4ms
dispatch { take all }
"""
    m = machine(text, cpus=2)
    m.fork(Profile(), 0)
    m.fork(Profile(), 1)
    for _ in range(20):
        m.end_at(1, m.now + MS, "sleep")
        m.advance(MS // 2)
        m.wake(1, waker=0)
        if m.slice_end(0) <= m.now + 2 * MS:
            m.end_at(0, m.now + MS // 2, "yield")
    assert m.class_name(1) == "often"
    m.end_at(0, m.now, "sleep")
    m.wake(0)
    assert m.class_name(0) == "waker"


def test_a_class_knows_its_waker() -> None:
    text = """
queue all fifo
class web when comm "web*"
class helper when waker is web
class rest
enqueue web to all slice 4ms
enqueue helper to all slice 4ms
enqueue rest to all slice 4ms
dispatch { take all }
"""
    m = machine(text, cpus=2)
    m.fork(Profile(comm=b"webserver"), 0)
    m.fork(Profile(), 1)
    m.end_stint(1, MS, "sleep")
    m.wake(1, waker=0)
    assert m.class_name(1) == "helper"
    m.end_at(1, m.now + MS, "sleep")
    m.wake(1)
    assert m.class_name(1) == "rest"


PREEMPT = """
queue upper fifo per cpu
queue lower fifo
class upper when nice < 0
class lower
enqueue upper to upper slice 4ms preempt lower when ran >= 1ms
enqueue lower to lower slice 8ms
dispatch {{ take upper at most {} take lower steal upper }}
"""


def _preempting(limit: str = "20% every 40ms") -> Machine:
    """A lower hog runs, and an upper task sleeps."""
    m = machine(PREEMPT.format(limit))
    m.advance(100 * MS)
    m.fork(nice(0))
    m.fork(nice(-1))
    slice_out(m)
    assert m.running(0) == 1
    m.end_at(0, m.now, "sleep")
    assert m.running(0) == 0
    return m


def test_a_waking_task_ends_a_stint_that_has_run_its_minimum() -> None:
    m = _preempting()
    m.advance(MS)
    m.wake(1)
    assert told(m, "preempt") == [("preempt", 0)]
    assert m.deadline(0) == m.now + m.tick_ns
    assert slice_out(m) == 1
    assert m.tasks[0].state == "queued"


def test_a_younger_stint_ends_at_a_tick() -> None:
    m = _preempting()
    m.advance(MS // 2)
    m.wake(1)
    assert told(m, "preempt", "retry") == []
    m.tick(0)
    assert m.slice_end(0) > m.now
    m.advance(MS // 2)
    m.tick(0)
    assert told(m, "retry") == [("retry", 0)]
    assert slice_out(m) == 1


def test_nobody_preempts_on_a_spent_budget() -> None:
    m = _preempting()
    m.cpus[0].credit[0], m.cpus[0].filled[0] = -1_000 * MS, m.now
    m.advance(MS)
    m.wake(1)
    m.advance(MS)
    m.tick(0)
    assert told(m, "preempt", "retry") == []


def test_a_fork_or_its_own_kind_preempts_nobody() -> None:
    m = _preempting()
    m.advance(MS)
    m.fork(nice(-1))
    assert told(m, "preempt") == []
    m = _preempting()
    m.wake(1)
    slice_out(m)
    assert m.running(0) == 1
    m.fork(nice(-1))
    assert told(m, "preempt") == []


@pytest.mark.parametrize("how", ["yield", "sleep"])
def test_variables_of_a_class(how: str) -> None:
    """A variable per class is that of the class of the task's last insertion."""
    text = """
queue all fifo
state class.stops : count in 0..1000 = 0
class a when nice < 0
class b
on stop { class.stops += 1 }
enqueue a to all slice 4ms
enqueue b to all slice 4ms
dispatch { take all }
"""
    m = machine(text)
    m.fork(nice(-1))
    m.fork(nice(0))
    for _ in range(4):
        m.end_at(0, m.now + MS, how)
        for task in range(2):
            if m.tasks[task].state == "sleeping":
                m.wake(task)
    assert [m.shared["class"][cls] for cls in (0, 1)] == [[2], [2]]
