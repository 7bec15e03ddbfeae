"""The lines of `dispatch`: takes, limits, shares, lowest heads, steals, keeping."""

from __future__ import annotations

import pytest

from schedc.model import Machine, Profile
from tests.model.machines import MS, machine, nice, order, slice_out

TWO = """
queue upper fifo
queue lower fifo
class upper when nice < 0
class lower
enqueue upper to upper slice 4ms
enqueue lower to lower slice 4ms
dispatch {{ {} }}
"""


def two(lines: str, upper: int = 1, lower: int = 1) -> Machine:
    """A machine with hogs of both classes: the lower ones have the lower numbers."""
    m = machine(TWO.format(lines))
    for _ in range(lower):
        m.fork(nice(0))
    for _ in range(upper):
        m.fork(nice(-1))
    return m


def share(m: Machine, task: int, over_ns: int) -> float:
    """The share of the time that a task got."""
    before, start = m.tasks[task].exec_ns, m.now
    while m.now < start + over_ns:
        slice_out(m)
    return (m.tasks[task].exec_ns - before) / (m.now - start)


def test_strict_lines() -> None:
    m = two("take upper take lower")
    assert order(m, 4) == [1, 1, 1, 1]
    m.end_stint(0, MS, "sleep")
    assert m.running(0) == 0


def test_a_count_until_a_lower_line_is_served() -> None:
    m = two("take upper at most 2 take lower")
    assert order(m, 7) == [1, 1, 0, 1, 1, 0, 1]
    m = two("take upper at most 3 take lower", lower=2)
    assert order(m, 9) == [2, 2, 2, 1, 2, 2, 2, 0, 2]


def test_a_spent_count_never_idles_the_cpu() -> None:
    m = two("take upper at most 2 take lower", lower=0)
    assert order(m, 6) == [0] * 6


def test_a_bucket_pays_for_whole_stints() -> None:
    m = two("take upper at most 50% every 16ms take lower")
    m.advance(0)
    # Empty at the start: it fills by half of the time, and is paid in full.
    assert slice_out(m) == 1
    assert m.cpus[0].credit[0] == 50 * 4 * MS
    assert slice_out(m) == 0
    assert m.cpus[0].credit[0] == 50 * 8 * MS - 100 * 4 * MS


def test_a_share_holds_against_one_task_below() -> None:
    for percent in (20, 50, 70):
        m = two(f"take upper at most {percent}% every 40ms take lower")
        assert abs(share(m, 1, 4_000 * MS) - percent / 100) < 0.01


def test_a_bucket_is_full_at_its_size() -> None:
    m = two("take upper at most 50% every 16ms take lower", upper=0)
    order(m, 100)
    m.fork(nice(-1))
    # 8 ms of credit: two stints and what they earn meanwhile, one more, before the other's turn.
    assert order(m, 6) == [1, 1, 1, 1, 0, 1]


def test_time_that_nobody_else_could_use_is_free() -> None:
    m = two("take upper at most 20% every 40ms take lower", lower=0)
    order(m, 10)
    assert m.running(0) == 0
    assert m.cpus[0].credit[0] > -100 * 4 * MS  # it went no deeper than one stint


def test_after_looks_at_the_head_and_never_at_who_runs() -> None:
    m = two("take lower after 20ms at most 50% every 40ms take upper take lower", lower=2)
    assert order(m, 4) == [2, 2, 2, 2]
    assert m.running(0) == 2
    assert m.now == 16 * MS
    assert slice_out(m) in (0, 1)  # the head has waited since 0


def test_portions_of_a_share() -> None:
    m = two("share upper 3, lower 1", upper=2, lower=2)
    assert abs(sum(share_of(m, 4_000 * MS)[2:]) - 0.75) < 0.01


def share_of(m: Machine, over_ns: int) -> list[float]:
    """The share of the time that each task got."""
    before, start = [t.exec_ns for t in m.tasks], m.now
    while m.now < start + over_ns:
        slice_out(m)
    return [(t.exec_ns - b) / (m.now - start) for t, b in zip(m.tasks, before, strict=True)]


def test_the_previous_task_stands_in_its_portion() -> None:
    m = two("share upper 3, lower 1")
    assert abs(share(m, 1, 4_000 * MS) - 0.75) < 0.01


@pytest.mark.parametrize("hogs", [1, 2])
def test_an_empty_portion_saves_nothing_up(hogs: int) -> None:
    """Nor does it after an hour in which one task had the cpu to itself, and went on in place."""
    m = two("share upper 3, lower 1", upper=0, lower=hogs)
    order(m, 100)
    for _ in range(hogs):
        m.fork(nice(-1))
    runs = order(m, 24)
    assert abs(sum(task is not None and task >= hogs for task in runs) - 18) <= 1


def test_in_a_fifo_the_previous_task_stands_behind_the_others() -> None:
    m = two("take upper take lower", upper=2, lower=0)
    assert order(m, 4) == [1, 0, 1, 0]


KEYED = """
assume weight in 50..200
queue all by vtime within -20ms..100ms
state task.used : vtime of all
class everyone
on stop {{ task.used += charge(ran) }}
enqueue everyone to all key task.used slice 4ms
dispatch {{ {} }}
"""


def test_in_a_keyed_queue_by_its_key() -> None:
    m = machine(KEYED.format("take all"))
    heavy, light = m.fork(Profile(weight=200)), m.fork(Profile(weight=50))
    runs = order(m, 200)
    assert abs(runs.count(heavy) / runs.count(light) - 4) < 0.1


def test_at_equal_keys_in_order_of_arrival() -> None:
    text = KEYED.replace("by vtime within -20ms..100ms", "by moment within 0ms..1s")
    text = text.replace("state task.used : vtime of all", "").replace("task.used", "now + 1s")
    m = machine(text.replace("on stop {{ now + 1s += charge(ran) }}", "").format("take all"))
    for _ in range(4):
        m.fork(Profile())
    assert order(m, 6) == [1, 2, 3, 0, 1, 2]


def test_keep_at_most_so_often_in_a_row() -> None:
    text = KEYED.format("keep at most 2 when task.used < head(all) + 1s take all")
    m = machine(text)
    m.fork(Profile())
    m.fork(Profile())
    assert order(m, 9) == [0, 0, 1, 1, 1, 0, 0, 0, 1]


STEALING = """
queue own fifo per cpu
class everyone
enqueue everyone to own slice 4ms
dispatch { take own steal own }
"""


def test_a_cpu_without_work_steals() -> None:
    m = machine(STEALING, cpus=2)
    tasks = [m.fork(Profile(), 0) for _ in range(3)]
    assert (m.running(0), m.running(1)) == (tasks[0], tasks[1])
    m.end_at(1, m.now + MS, "sleep")
    assert m.running(1) == tasks[2]
    assert m.tasks[tasks[2]].cpu == 1


def test_stealing_goes_round_the_domains() -> None:
    m = machine(STEALING, cpus=3)
    for cpu in (0, 1, 2, 1):
        m.fork(Profile(allowed=frozenset({cpu})), cpu)
    m.fork(Profile(), 1)
    m.end_at(2, MS, "sleep")
    assert m.running(2) == 4  # from cpu 1, past the one that may run only there


def test_a_stolen_task_keeps_its_distance_to_the_clock() -> None:
    text = """
queue own by vtime within -20ms..100ms per cpu
state task.used : vtime of own
class everyone
on stop { task.used += charge(ran) }
enqueue everyone to own key task.used slice 4ms
dispatch { take own steal own }
"""
    m = machine(text, cpus=2)
    here = frozenset({0})
    for _ in range(2):
        m.fork(Profile(allowed=here), 0)
    order(m, 10, 0)
    third = m.fork(Profile(allowed=here), 0)
    lag = m.clock(0, 0) - m.value(third, "used")
    assert lag == -4 * MS
    m.fork(Profile(allowed=frozenset({1})), 1)
    there = m.clock(0, 1)
    m.set_affinity(third, frozenset({0, 1}))
    m.end_at(1, m.now, "sleep")
    assert m.running(1) == third
    assert m.value(third, "used") == there + 4 * MS


CELLS = """
assume weight in 50..200
assume cgroups <= 4
queue cell by vtime within -20ms..100ms clock all per cgroup
queue own by vtime within -20ms..100ms clock all per cpu
state task.used : vtime of cell
class bound when kthread
class free
on stop { task.used += charge(ran) }
enqueue bound to own key task.used slice 4ms
enqueue free to cell key task.used slice 4ms
dispatch { lowest own, cell steal own }
"""


def test_the_lowest_key_of_all_queues_on_one_clock() -> None:
    m = machine(CELLS)
    weights = (50, 100, 200)
    tasks = [m.fork(Profile(weight=w, cgroup=i)) for i, w in enumerate(weights)]
    bound = m.fork(Profile(weight=100, kthread=True))
    order(m, 900)
    used = [m.tasks[number].exec_ns for number in [*tasks, bound]]
    assert max(abs(u / used[1] - e) for u, e in zip(used, (0.5, 1, 2, 1), strict=True)) < 0.05


def test_control_groups_take_turns() -> None:
    text = """
assume cgroups <= 4
queue cell fifo per cgroup
class everyone
enqueue everyone to cell slice 4ms
dispatch { take cell }
"""
    m = machine(text)
    groups = [0, 1, 1, 1, 2]
    for group in groups:
        m.fork(Profile(cgroup=group))
    runs = [groups[task] for task in order(m, 30) if task is not None]
    assert all(abs(runs.count(group) - 10) <= 1 for group in range(3))


def test_a_cap_idles_the_cpu() -> None:
    text = """
queue all fifo
queue night fifo
class night when nice > 0
class day
cap night at 25% every 40ms
enqueue night to night slice 4ms
enqueue day to all slice 4ms
dispatch { take all take night }
"""
    m = machine(text)
    m.fork(nice(10))
    start, idle = m.tasks[0].exec_ns, 0
    while m.now < 4_000 * MS:
        if m.running(0) is None:
            m.advance(MS)
            idle += 1
        else:
            slice_out(m)
    assert abs((m.tasks[0].exec_ns - start) / m.now - 0.25) < 0.01
    assert idle > 2_000


def test_a_confined_class_keeps_to_its_cpus() -> None:
    text = """
cpus studio = "1"
queue audio fifo
queue all fifo
class audio when comm "jackd" confine studio
class rest
enqueue audio to audio slice 4ms
enqueue rest to all slice 4ms
dispatch { take audio at most 50% every 40ms take all }
"""
    m = machine(text, cpus=2)
    m.fork(Profile(comm=b"jackd"), 0)
    m.fork(Profile(comm=b"jackd"), 0)
    assert (m.running(0), m.running(1)) == (None, 0)
    elsewhere = m.fork(Profile(comm=b"jackd", allowed=frozenset({0})), 0)
    assert m.running(0) == elsewhere  # its cpus don't meet the set: it is of the next class
    assert m.class_name(elsewhere) == "rest"


def test_a_stint_that_was_interrupted_is_paid_by_its_line() -> None:
    m = two("take upper at most 50% every 40ms take lower", upper=1, lower=1)
    slice_out(m)
    assert m.running(0) == 1
    before = m.cpus[0].credit[0]
    m.end_at(0, m.now + MS, "preempted_by_rt")
    m.rt_done(0)
    m.set_weight(1, 50)
    m.end_at(0, m.now + MS, "yield")
    assert m.cpus[0].credit[0] == before + 2 * MS * 50 - 2 * MS * 100
