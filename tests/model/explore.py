"""The worst wait over every schedule of a small machine: an exhaustive search of its states.

The environment ends stints at their slice's end or a tick later, or after the shortest stint; lets
tasks yield, sleep and wake, exit and be forked. States are told apart by `Machine.normal_form`, so
that the search ends by itself where waits are bounded; a state that is met again while the victim
waits is a wait for ever.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from schedc.model import Machine, Profile
from schedc.model.state import ASLEEP, FOREVER, GONE, LOCAL, QUEUED

Action = tuple[object, ...]

SHORTEST_NS = 10_000
"""A stint of which nothing but the least charge is asked."""


@dataclass(frozen=True)
class Moves:
    """What the environment may do. `kinds`: profiles of newcomers. `ends`: ways of stopping beside
    the slice's end. `contenders`: most tasks that run or wait, for each cpu."""

    contenders: int
    kinds: tuple[Profile, ...] = (Profile(),)
    ends: tuple[str, ...] = ("yield", "sleep", "exit")
    late: tuple[int, ...] = (0, 1)
    short_ns: tuple[int, ...] = (SHORTEST_NS,)
    ends_late: tuple[str, ...] = ()
    steady: frozenset[int] = frozenset()
    cpus: int | None = None
    apart: bool = False

    def after(self, m: Machine, victim: int) -> Iterator[Action]:
        """Every action that is possible now."""
        for t in m.tasks:
            if t.state == ASLEEP and (t.id == victim or self._room(m, victim, t.profile)):
                yield ("wake", t.id)
        for number, kind in enumerate(self.kinds):
            alive = sum(t.state != GONE and self._meet(t.profile, kind) for t in m.tasks)
            if alive < self.contenders * len(m.cpus) and self._room(m, victim, kind):
                for cpu in range(len(m.cpus)):
                    yield ("fork", number, cpu)
        yield from self._stops(m, victim)

    def _meet(self, one: Profile, other: Profile) -> bool:
        return not self.apart or one.nice == other.nice

    def _room(self, m: Machine, victim: int, kind: Profile) -> bool:
        """Whether one more may contend: of those that may run on any cpu of the victim's, at most
        so many for each of these cpus. The victim counts whether it is awake or not."""
        cpus, own = m.tasks[victim].allowed, m.tasks[victim].profile
        allowed = (kind.allowed or m.program.all_cpus) & cpus
        if not allowed:
            return True
        rivals = [
            t for t in m.tasks
            if (t.id == victim and self._meet(own, kind))
            or (t.state not in (ASLEEP, GONE) and t.allowed & cpus
                and self._meet(t.profile, kind))
        ]  # fmt: skip
        served = len(cpus) if self.cpus is None else min(self.cpus, len(cpus))
        return len(rivals) < self.contenders * served

    def _stops(self, m: Machine, victim: int) -> Iterator[Action]:
        latest = m.latest()
        if m.now < latest < FOREVER and m.program.caps:
            yield ("advance", latest - m.now)  # an idle cpu may be woken
        for cpu in range(len(m.cpus)):
            running = m.running(cpu)
            if running is None:
                continue
            for late in self.late:
                at = max(m.slice_end(cpu), m.now) + late * m.tick_ns
                if m.slice_end(cpu) == FOREVER:  # an unlimited slice ends at the timer's beat
                    at = m.deadline(cpu) + (late - 1) * m.tick_ns
                if at <= latest and m.deadline(cpu) < FOREVER:
                    yield ("slice", cpu, at - m.now)
                    for how in self.ends_late if running not in self.steady else ():
                        if running != victim or how != "exit":
                            yield (how, cpu, at - m.now)
            for short in self.short_ns if running not in self.steady else ():
                at = max(m.now, m.cpus[cpu].running_since + short)
                if at > latest or at >= m.slice_end(cpu):
                    continue
                for how in self.ends:
                    if running != victim or how != "exit":
                        yield (how, cpu, at - m.now)

    def do(self, m: Machine, action: Action) -> None:
        """Perform one."""
        match action:
            case ("wake", int(task)):
                m.wake(task)
            case ("advance", int(ns)):
                m.advance(ns)
            case ("fork", int(number), int(cpu)):
                m.fork(self.kinds[number], cpu)
            case (str(how), int(cpu), int(after)):
                m.end_at(cpu, m.now + after, how)


@dataclass
class Found:
    """`worst_ns`: None if somebody can wait for ever. `complete`: no state was left out."""

    worst_ns: int | None
    states: int
    complete: bool
    run: list[Action]


def is_waiting(m: Machine, victim: int) -> bool:
    return m.tasks[victim].state in (QUEUED, LOCAL)


def explore(start: Machine, victim: int, moves: Moves, most: int = 20_000) -> Found:
    """The longest wait of the victim that any schedule gives, from any reachable state."""
    nodes: dict[Hashable, int] = {}
    machines: list[Machine | None] = []
    edges: list[list[tuple[int, int, Action]]] = []
    parent: list[tuple[int, Action] | None] = []
    waiting: list[bool] = []

    def add(m: Machine, came: tuple[int, Action] | None) -> int:
        form = m.normal_form(victim)
        if form not in nodes:
            nodes[form] = len(machines)
            machines.append(m)
            edges.append([])
            parent.append(came)
            waiting.append(is_waiting(m, victim))
        return nodes[form]

    add(start, None)
    at, complete = 0, True
    while at < len(machines):
        m = machines[at]
        machines[at] = None
        assert m is not None
        if len(machines) > most:
            complete = False
            break
        for action in moves.after(m, victim):
            other = m.copy()
            other.events.clear()
            moves.do(other, action)
            edges[at].append((add(other, (at, action)), other.now - m.now, action))
        at += 1
    longest, step = _longest(edges, waiting)
    if longest is None:
        return Found(None, len(edges), complete, _to(parent, step[0]))
    entered = [i for i in range(len(edges)) if waiting[i]]
    best = max(entered, key=lambda i: longest[i], default=-1)
    if best < 0:
        return Found(0, len(edges), complete, [])
    run = _to(parent, best)
    node = best
    while waiting[node] and edges[node]:
        node, _, action = max(edges[node], key=lambda e: e[1] + (longest[e[0]] if waiting[e[0]]
                                                                 else 0))  # fmt: skip
        run.append(action)
    return Found(longest[best], len(edges), complete, run)


def _to(parent: list[tuple[int, Action] | None], node: int) -> list[Action]:
    run: list[Action] = []
    came = parent[node]
    while came is not None:
        run.append(came[1])
        came = parent[came[0]]
    return run[::-1]


def _longest(
    edges: list[list[tuple[int, int, Action]]], waiting: list[bool]
) -> tuple[list[int] | None, list[int]]:
    """For each node in which the victim waits, the longest time until it doesn't; None, and the
    node, if there is a way round."""
    longest = [0] * len(edges)
    state = [0] * len(edges)
    for root in range(len(edges)):
        if not waiting[root] or state[root]:
            continue
        stack = [(root, 0)]
        state[root] = 1
        while stack:
            node, i = stack.pop()
            if i == len(edges[node]):
                longest[node] = max(
                    (dt + (longest[n] if waiting[n] else 0) for n, dt, _ in edges[node]), default=0
                )
                state[node] = 2
                continue
            stack.append((node, i + 1))
            after = edges[node][i][0]
            if waiting[after] and state[after] == 1:
                return None, [after]
            if waiting[after] and not state[after]:
                state[after] = 1
                stack.append((after, 0))
    return longest, []
