"""What holds of every run of every policy, for environments made at random."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from schedc.model import Machine, Profile, Topology
from schedc.model.state import GONE, LOCAL, QUEUED, RUNNING
from schedc.prove.parameters import declared
from tests.model.environment import Action, do, next_action
from tests.model.machines import SHIPPED, policy_of, shipped

TOPOLOGIES = (
    Topology((0,)),
    Topology((0, 0)),
    Topology((0, 1), (0, 1)),
    Topology((0, 0, 1, 1), (0, 0, 1, 1), (0, 0, 1, 1), (1024, 1024, 512, 512)),
)


def name(path: Path) -> str:
    return path.stem


def consistent(m: Machine) -> None:
    """Every task is in the one place that it thinks it is in."""
    places: list[tuple[int, str]] = []
    for queue, domains in enumerate(m.queues):
        for domain, entries in enumerate(domains):
            assert entries == sorted(entries, key=lambda e: e[0])
            for key, task in entries:
                places.append((task, QUEUED))
                found = m.tasks[task]
                assert (found.queue, found.domain, found.key) == (queue, domain, key)
    for cpu in m.cpus:
        places += [(task, LOCAL) for task in cpu.local]
        places += [(cpu.running, RUNNING)] if cpu.running >= 0 else []
        assert not (cpu.idle and (cpu.running >= 0 or cpu.rt or cpu.local))
    assert sorted(places) == sorted(
        (t.id, t.state) for t in m.tasks if t.state in (QUEUED, LOCAL, RUNNING)
    )
    assert all(m.deadline(cpu.number) >= m.now for cpu in m.cpus)
    assert not m.pending


def within_windows(m: Machine, fresh: int) -> None:
    """Keys lay in their window when they were inserted, and slices in their range."""
    policy = m.program.policy
    for event in m.events[fresh:]:
        if event.kind == "queue" and m.tasks[event.task].queue >= 0:
            queue = policy.queue(event.queue)
            if queue.window is not None and event.at == m.now:
                clock = m.clock(queue.index, event.domain)
                # The clock may have moved on in the same instant, never back.
                assert event.key <= clock + queue.window.high
        if event.kind in ("keep", "run", "kernel_keep"):
            # A task whose slice is over goes on with nothing left after a change of its weight.
            assert event.value >= (event.kind != "run")


def run(m: Machine, seed: int, actions: int) -> list[Action]:
    draw = random.Random(seed)
    done = []
    for _ in range(actions):
        action = next_action(m, draw.randrange)
        fresh = len(m.events)
        before = m.now
        do(m, action)
        assert m.now >= before
        consistent(m)
        within_windows(m, fresh)
        done.append(action)
    return done


@pytest.mark.parametrize("path", SHIPPED, ids=name)
@pytest.mark.parametrize("topology", TOPOLOGIES, ids=range(len(TOPOLOGIES)))
def test_no_task_is_lost_and_a_run_replays(path: Path, topology: Topology) -> None:
    policy = shipped(path)
    m = Machine(policy, topology, parameters=declared(policy))
    other = m.copy()
    for action in run(m, 7, 100):
        do(other, action)
    assert other.events == m.events
    assert other.normal_form(0) == m.normal_form(0)
    assert any(t.state != GONE for t in m.tasks)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_no_task_is_lost_whatever_is_chosen(data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(SHIPPED))
    policy = shipped(path)
    topology = data.draw(st.sampled_from(TOPOLOGIES))
    m = Machine(policy, topology, parameters=declared(policy), record=False)
    for _ in range(30):
        do(m, next_action(m, lambda n: data.draw(st.integers(0, n - 1)), most=5))
        consistent(m)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1 << 32), st.sampled_from(SHIPPED))
def test_a_stint_never_outlasts_its_deadline(seed: int, path: Path) -> None:
    policy = shipped(path)
    m = Machine(policy, Topology((0, 0)), parameters=declared(policy))
    run(m, seed, 120)
    begun: dict[int, int] = {}
    longest = max(policy.slice_max_ns, m.keep_ns) + m.tick_ns + m.program.beat_ns
    unlimited = any(contended < 1 << 62 for contended in m.program.contended)
    for event in m.events:
        if event.kind in ("run", "keep", "kernel_keep"):
            begun[event.cpu] = event.at
        elif event.kind == "stop" and event.cpu in begun and not unlimited:
            assert event.at - begun[event.cpu] <= longest
            assert event.value <= event.at - begun[event.cpu]


def _translate(action: Action, match: dict[int, int]) -> Action:
    """The same action in a machine whose tasks have other numbers."""
    if action[0] in ("wake", "set_affinity", "set_profile"):
        waker = ()
        if action[0] == "wake":
            waker = (None, None if action[3] is None else match.get(action[3]), action[4])
            return (action[0], match[action[1]], *waker)
        return (action[0], match[action[1]], *action[2:])
    return action


def _matched(a: Machine, b: Machine) -> dict[int, int] | None:
    """Tasks of two machines by their places; sleepers in the order of their numbers."""
    pairs: dict[int, int] = {}
    for left, right in zip(a.queues, b.queues, strict=True):
        for x, y in zip(left, right, strict=False):
            pairs.update({p[1]: q[1] for p, q in zip(x, y, strict=True)})
    for c, d in zip(a.cpus, b.cpus, strict=True):
        pairs.update(dict(zip(c.local, d.local, strict=True)))
        if c.running >= 0:
            pairs[c.running] = d.running
    asleep = [[t.id for t in m.tasks if t.state == "sleeping"] for m in (a, b)]
    if asleep[0] or asleep[1]:
        return None  # which of two sleepers is which can't be told by place
    return pairs


PERIODIC = """
policy p 1.0.0
assume weight in 50..200
queue all by vtime within -20ms..100ms
state task.used : vtime of all
class everyone
on stop { task.used += charge(ran) }
enqueue everyone to all key task.used slice 4ms
dispatch { take all }
"""


def _forms(m: Machine, seed: int, actions: int) -> dict[object, list[Machine]]:
    """Machines of a run in which only slices end, by their form."""
    found: dict[object, list[Machine]] = {}
    draw = random.Random(seed)
    for _ in range(actions):
        found.setdefault(m.normal_form(0), []).append(m.copy())
        busy = [c.number for c in m.cpus if c.running >= 0]
        latest = m.latest()
        cpu = min(busy, key=m.slice_end)
        at = max(m.slice_end(cpu), m.now)
        if at > latest:
            return found
        how = "slice" if m.slice_end(cpu) <= at else "yield"
        late = min(m.tick_ns, latest - at) if draw.random() < 0.3 else 0
        m.end_at(cpu, at + late, how)
    return found


@pytest.mark.parametrize("path", [None, *SHIPPED], ids=lambda p: p.stem if p else "plain")
def test_equal_forms_have_the_same_future(path: Path | None) -> None:
    """Where a form comes again in a run, the same actions make the same picks from there."""
    policy = shipped(path) if path else policy_of(PERIODIC)
    again = 0
    for topology in TOPOLOGIES[:2]:
        m = Machine(policy, topology, parameters=declared(policy), record=False)
        for number in range(3):
            weight = 100 if number else 50
            m.fork(Profile(weight=weight), number % len(m.cpus))
        if any(contended < 1 << 62 for contended in m.program.contended):
            continue
        for machines in _forms(m, 3, 60).values():
            for other in machines[1:3]:
                again += _same_future(machines[0].copy(), other.copy())
    assert again or path is not None


def _same_future(a: Machine, b: Machine) -> int:
    match = _matched(a, b)
    if match is None:
        return 0
    draw = random.Random(5)
    for _ in range(25):
        action = next_action(a, draw.randrange, most=6)
        if action[0] == "fork":
            match[len(a.tasks)] = len(b.tasks)
        if action[0] == "end_at":
            action = ("end_at", action[1], action[2] - a.now, action[3])
            do(a, ("end_at", action[1], action[2] + a.now, action[3]))
            do(b, ("end_at", action[1], action[2] + b.now, action[3]))
        else:
            do(a, action)
            do(b, _translate(action, match))
        for c, d in zip(a.cpus, b.cpus, strict=True):
            assert match.get(c.running, -1) == d.running
            assert [match[task] for task in c.local] == d.local
        assert a.normal_form(0) == b.normal_form(match[0])
    return 1
