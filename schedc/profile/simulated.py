"""A profile of a simulated run: what the collectors would have counted there.

Input: a trace of the simulator. Output: a `Profile`. Invariant: bursts, sleeps and waits are those
of `backends/profile/profile.bpf.c`: a burst is cpu time between two sleeps, its task's or the
scheduler's doing alike, and one whose begin was not seen isn't counted.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import field

from schedc.profile.model import NOT_A_TASK, GroupProfile, Histogram, Machine, Profile
from schedc.profile.names import Namer, is_plain
from schedc.records import dataclass
from schedc.sim.trace import EXIT, IDLE, RUN, SLEEP, WAKE, Trace, tasks_of


@dataclass(slots=True)
class _Task:
    """Moments in ns, -1 while not so."""

    ran: int = 0
    on: int = -1
    ready: int = -1
    slept: int = -1
    whole: bool = False
    sleeps: bool = False
    all: int = 0


@dataclass(slots=True)
class _Group:
    tasks: set[int] = field(default_factory=set)
    bursts: list[int] = field(default_factory=list)
    sleeps: list[int] = field(default_factory=list)
    waits: list[int] = field(default_factory=list)
    switches: int = 0
    wakeups: int = 0


class _Watcher:
    def __init__(self, trace: Trace) -> None:
        self.who = tasks_of(trace)
        self.tasks: dict[int, _Task] = defaultdict(_Task)
        self.groups: dict[int, _Group] = defaultdict(_Group)
        self.wakes: dict[tuple[int, int], int] = defaultdict(int)
        self.running: dict[int, int] = {}
        for time, kind, _, cpu, pid, b, _ in trace.records(RUN, IDLE, WAKE, SLEEP, EXIT):
            if kind in (RUN, IDLE):
                self._off(self.running.pop(cpu, 0), time, sleeps=False)
                if kind == RUN:
                    self._on(pid, time)
                    self.running[cpu] = pid
            elif kind == WAKE:
                self._wake(pid, b, time)
            else:
                self._off(pid, time, sleeps=True)
                self.running = {at: one for at, one in self.running.items() if one != pid}
        for pid in self.running.values():
            self._off(pid, trace.ended_ns, sleeps=False)

    def _group(self, pid: int) -> _Group:
        return self.groups[self.who.group.get(pid, -1)]

    def _on(self, pid: int, time: int) -> None:
        task, group = self.tasks[pid], self._group(pid)
        group.tasks.add(pid)
        if task.ready >= 0:
            group.waits.append(time - task.ready)
        task.ready, task.slept, task.on = -1, -1, time

    def _off(self, pid: int, time: int, *, sleeps: bool) -> None:
        task, group = self.tasks[pid], self._group(pid)
        if not pid or task.on < 0:
            return
        task.ran += time - task.on
        task.all += time - task.on
        task.on = -1
        group.switches += 1
        if not sleeps:
            task.ready = time
            return
        if task.whole:
            group.bursts.append(task.ran)
        task.ran, task.whole, task.sleeps, task.slept = 0, True, True, time

    def _wake(self, pid: int, waker: int, time: int) -> None:
        task, group = self.tasks[pid], self._group(pid)
        if task.on >= 0 or task.ready >= 0:
            return
        if task.slept >= 0:
            group.sleeps.append(time - task.slept)
            group.wakeups += 1
            self.wakes[self.who.group.get(waker, -1), self.who.group.get(pid, -1)] += 1
        task.ready, task.slept, task.whole = time, -1, True


def profile_of(trace: Trace) -> Profile:
    """The profile of the whole traced run."""
    seen = _Watcher(trace)
    seconds = max(trace.ended_ns, 1) / 1e9
    namer = Namer()
    made: dict[int, GroupProfile] = {}
    for number, group in sorted(seen.groups.items()):
        if number >= 0:
            made[number] = _group_profile(seen, number, group, seconds, namer)
    waits = Histogram.of(wait for group in seen.groups.values() for wait in group.waits)
    busy = sum(one.share for one in made.values())
    names = {number: one.name for number, one in made.items()}
    wakes = tuple(
        (names.get(source, NOT_A_TASK), names[to], count)
        for (source, to), count in sorted(seen.wakes.items()) if to in names
    )  # fmt: skip
    switches = sum(group.switches for group in seen.groups.values()) / seconds
    return Profile(
        "sim", "a simulated run", (), seconds, "", trace.nr_cpus,
        Machine(busy, -1.0, -1.0, switches, -1.0, waits), tuple(made.values()), wakes,
    )  # fmt: skip


def _group_profile(
    seen: _Watcher, number: int, group: _Group, seconds: float, namer: Namer
) -> GroupProfile:
    name = seen.who.group_name.get(number, "")
    tasks = [seen.tasks[pid] for pid in group.tasks]
    hogs = [task for task in tasks if task.all and not task.sleeps]
    comm = next((seen.who.comm[pid] for pid in group.tasks if pid in seen.who.comm), "")
    return GroupProfile(
        namer.name(name[:15] if is_plain(name[:15]) else "", 0), comm if is_plain(comm) else "",
        max(len(tasks), 1), 0, sum(task.all for task in tasks) / 1e9 / seconds,
        group.wakeups / seconds, group.switches / seconds, -1.0, Histogram.of(group.bursts),
        Histogram.of(group.sleeps), Histogram.of(group.waits), 0.0, len(hogs),
        sum(task.all for task in hogs) / 1e9 / seconds,
    )  # fmt: skip
