"""An environment that may do anything, decided by a source of choices (random, or hypothesis)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from schedc.model import Machine, Profile
from schedc.model.state import ASLEEP, FOREVER, GONE
from tests.model.machines import MS

Choose = Callable[[int], int]
"""A number below its argument."""

WEIGHTS = (1, 20, 50, 100, 200, 10_000)
COMMS = (b"task", b"jackd", b"ardour", b"backup", b"nginx", b"updatedb.x", b"other")


def profile(choose: Choose, cpus: int) -> Profile:
    """Facts of a task."""
    allowed = frozenset(cpu for cpu in range(cpus) if choose(4))
    return Profile(
        weight=WEIGHTS[choose(len(WEIGHTS))],
        nice=choose(40) - 20,
        kthread=not choose(8),
        allowed=allowed if allowed and not choose(3) else frozenset(),
        held=not choose(12),
        comm=COMMS[choose(len(COMMS))],
        exe=choose(2) - 1,
        within=frozenset({0} if not choose(3) else ()),
        cgroup=choose(4),
        cgroup_weight=WEIGHTS[choose(len(WEIGHTS))],
    )


Action = tuple[Any, ...]


def next_action(m: Machine, choose: Choose, most: int = 8) -> Action:
    """Something that may happen now: what it is, and its arguments."""
    asleep = [t.id for t in m.tasks if t.state == ASLEEP]
    alive = [t.id for t in m.tasks if t.state != GONE]
    busy = [c.number for c in m.cpus if c.running >= 0]
    rt = [c.number for c in m.cpus if c.rt]
    kind = choose(16)
    if (kind < 2 or not alive) and len(alive) < most:
        return ("fork", profile(choose, len(m.cpus)), choose(len(m.cpus)))
    if kind < 5 and asleep:
        waker = m.tasks[choose(len(m.tasks))].id if choose(2) else None
        return ("wake", asleep[choose(len(asleep))], None, waker, bool(choose(2)))
    if kind == 5 and alive:
        cpus = frozenset(c for c in range(len(m.cpus)) if choose(2)) or frozenset({0})
        return ("set_affinity", alive[choose(len(alive))], cpus)
    if kind == 6 and alive:
        return ("set_profile", alive[choose(len(alive))], profile(choose, len(m.cpus)))
    if kind == 7 and rt:
        return ("rt_done", rt[choose(len(rt))])
    if kind == 8 and busy:
        return ("tick", busy[choose(len(busy))])
    if busy:
        return _stop(m, choose, busy)
    latest = m.latest()
    return ("advance", min(choose(20) * MS, latest - m.now))


def _stop(m: Machine, choose: Choose, busy: list[int]) -> Action:
    """One of the stints ends, or time passes."""
    latest = m.latest()
    cpu = busy[choose(len(busy))]
    slice_end = m.slice_end(cpu)
    at = max(slice_end, m.now)
    if choose(3) and slice_end < FOREVER and at <= latest:
        late = min(choose(3) * m.tick_ns // 2, latest - at)
        return ("end_at", cpu, at + late, "slice")
    hows = ("sleep", "yield", "exit", "sleep", "preempted_by_rt")
    at = min(latest, m.now + choose(9) * MS + choose(3))
    return ("end_at", cpu, at, hows[choose(len(hows))])


def do(m: Machine, action: Action) -> None:
    """Perform an action."""
    getattr(m, action[0])(*action[1:])
