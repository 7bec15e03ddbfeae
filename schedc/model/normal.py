"""The state of a machine up to what can't matter: for searches that look for a state again.

Input: a machine and the task whose wait is in question. Output: a hashable value. Invariant: two
machines of one program with equal forms make the same picks under the same actions (tasks matched
by their places). Times and keys are relative to now and to their clocks; what lies so far below a
window that the next insertion lifts it is cut; names of the victim's competitors, tasks that are
gone, and how long anybody waits are left out, where no line or expression asks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from schedc.ir.nodes import Kind
from schedc.model.state import ASLEEP, FOREVER, GONE, QUEUED, RUNNING, Cpu, Task

if TYPE_CHECKING:
    from schedc.model.machine import Machine
    from schedc.model.program import Program


def normal_form(m: Machine, victim: int | None) -> Hashable:
    """See the module."""
    program = m.program
    signs = {t.id: task_form(m, t, t.id == victim) for t in m.tasks if t.state != GONE}
    queues = tuple(
        tuple(
            (at, tuple((_key(m, q, at, key), signs[number]) for key, number in entries))
            for at, entries in enumerate(domains)
            if entries
        )
        for q, domains in enumerate(m.queues)
    )
    asleep = Counter(signs[t.id] for t in m.tasks if t.state == ASLEEP)
    cpus = tuple(_cpu(m, cpu, signs) for cpu in m.cpus)
    shared = tuple(_shared(m, scope) for scope in ("llc", "node", "class", "global"))
    named = tuple(_named(m, scope) for scope in ("cgroup", "comm"))
    shift = max((k for k in program.drift if k is not None), default=0)
    rest = (
        m.now % (1 << shift),
        m.beat_at - m.now if program.beat_ns else 0,
        m.nr_runnable if "runnable" in program.facts else 0,
        (m.nr_awake, m.busy_average) if program.pack else 0,
        m.random if program.random_steals else 0,
        tuple(sorted(m.slots.items())),
    )
    return queues, frozenset(asleep.items()), cpus, shared, named, rest


def _key(m: Machine, queue: int, domain: int, key: int) -> int:
    """A key less its clock. Below the window it precedes all newcomers, however far."""
    program = m.program
    if program.orders[queue] == "fifo":
        return 0
    relative = key - m.clock(queue, domain)
    return relative if program.compared[queue] else max(relative, program.low[queue] - 1)


def task_form(m: Machine, t: Task, is_victim: bool) -> Hashable:
    """Of a task, in whatever place it is."""
    asks, now = m.program.facts, m.now
    resting = t.state == ASLEEP
    times = (
        (m.burst(t) if "burst" in asks else 0),
        (t.slept, now - t.slept_at if resting else 0) if "slept" in asks else 0,
        t.waited if "waited" in asks else 0,
        (t.wakes, now - t.last_wake) if "wakes" in asks else 0,
        (t.wakings, now - t.last_waking) if "wakings" in asks else 0,
        t.ran if "ran" in asks else 0,
        _queued_for(m, t),
    )
    place = (t.state, t.cpu, t.cls, t.waker, t.sync)
    left = 0 if t.state in (RUNNING, ASLEEP) else t.slice
    return is_victim, place, t.profile, t.allowed, left, _variables(m, t), tuple(t.home), times


def _queued_for(m: Machine, t: Task) -> int:
    """How long it waits, where that is asked; a line with `after` needs no more than its limit."""
    if t.queued_at < 0 or t.state == RUNNING:
        return 0
    waited = m.now - t.queued_at
    if "waited" in m.program.facts:
        return waited
    limits = [line.after for line in m.program.lines if line.after >= 0 and line.queue == t.queue]
    return min(waited, max(limits)) if limits and t.state == QUEUED else 0


def _variables(m: Machine, t: Task) -> tuple[int, ...]:
    program, made = m.program, []
    for number, state in enumerate(program.states["task"]):
        value = t.v[number]
        if state.type.kind is Kind.VTIME:
            queue = program.first_queue[state.type.clock or ""]
            value -= m.clock(queue, t.home[queue])
            value = max(value, program.low_of_clock[state.type.clock or ""])
        elif state.type.kind is Kind.MOMENT:
            value = max(value - m.now, program.low_moment)
        made.append(value)
    return tuple(made)


def _cpu(m: Machine, c: Cpu, signs: dict[int, Hashable]) -> Hashable:
    program, now = m.program, m.now
    stint: Hashable = ()
    if c.running >= 0:
        stint = (
            signs[c.running],
            c.slice_end - now if c.slice_end < FOREVER else FOREVER,
            c.due - now if c.due < FOREVER else FOREVER,
            now - c.running_since, now - c.started, c.ended, c.line, c.kept, c.cls, c.retry,
        )  # fmt: skip
    buckets = tuple(
        _credit(c.credit[b], now - c.filled[b], line.percent, line.period, c.line == b)
        for b, line in enumerate(program.budgets)
    )
    caps = tuple(
        _credit(c.cap_credit[n], now - c.cap_filled[n], percent, period, c.cls == cls)
        for n, (cls, percent, period) in enumerate(program.caps)
    )
    least = min(c.served, default=0)
    return (
        c.idle, c.rt, stint, tuple(signs[number] for number in c.local), buckets, caps,
        tuple(served - least for served in c.served), tuple(c.count), tuple(c.next),
        _relative(m, "cpu", c.v), c.kept if program.keeps else 0, c.picked, c.line if c.rt else 0,
        signs.get(c.last, 0) if c.rt else 0,
    )  # fmt: skip


def _credit(credit: int, since: int, percent: int, period: int, pays: bool) -> int:
    """What a bucket holds; it is cut at its size when somebody looks, so not while it pays."""
    filled = credit + since * percent
    return filled if pays else min(filled, period * percent)


def _relative(m: Machine, scope: str, values: list[int]) -> tuple[int, ...]:
    states = m.program.states[scope]
    return tuple(
        value - m.now if state.type.kind is Kind.MOMENT else value
        for state, value in zip(states, values, strict=True)
    )


def _shared(m: Machine, scope: str) -> Hashable:
    objects: list[list[int]] = m.shared[scope]
    if not m.program.states[scope]:
        return ()
    return tuple(_relative(m, scope, values) for values in objects)


def _named(m: Machine, scope: str) -> Hashable:
    objects: dict[Any, list[int]] = m.shared[scope]
    return frozenset((name, _vtimes(m, scope, values)) for name, values in objects.items())


def _vtimes(m: Machine, scope: str, values: list[int]) -> tuple[int, ...]:
    """Vtimes of control groups stand on clocks of the whole machine, or of the group itself."""
    made = list(_relative(m, scope, values))
    for number, state in enumerate(m.program.states[scope]):
        if state.type.kind is Kind.VTIME:
            made[number] -= m.clock(m.program.first_queue[state.type.clock or ""], 0)
    return tuple(made)


def lows(program: Program) -> tuple[dict[str, int], dict[str, int], int]:
    """For each clock its first queue, and how far below it a vtime matters: a stint may be charged
    before the next insertion lifts it. For moments the same."""
    policy = program.policy
    charge = -(-100 * policy.stint_max_ns // policy.weight.low)
    first: dict[str, int] = {}
    low: dict[str, int] = {}
    for queue in policy.queues:
        if queue.order == "vtime" and queue.clock is not None and queue.window is not None:
            first.setdefault(queue.clock, queue.index)
            cut = queue.window.low - charge - 1
            low[queue.clock] = min(low.get(queue.clock, cut), cut)
    moments = [q.window.low for q in policy.queues if q.order == "moment" and q.window is not None]
    return first, low, min(moments, default=0) - 1
