"""The collector without privileges: what `/proc` says of tasks, looked at again and again.

Input: a target. Output: groups whose histograms are estimates. Invariant: nothing is told that
/proc doesn't know. Of a task it tells, since it began: the time on a cpu, the time it waited for
one, how often it got one, how often it gave one up by itself (slept) and against its will. So
between two looks the means of bursts, sleeps and waits are known, not their spread; a task that
lived and died between two looks was never seen; who wakes whom isn't known at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import field
from pathlib import Path

from schedc.profile.model import GroupProfile, Histogram
from schedc.profile.names import Namer, common, stem
from schedc.profile.system import PROC, read
from schedc.profile.target import Target
from schedc.records import dataclass

INTERVAL_S = 0.05
LARGEST_SHARE = 0.05
"""Of one cpu, for looking."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at a task; times in ns, the rest are counts since the task began."""

    at: int
    ran: int
    waited: int
    got_cpu: int
    slept: int
    preempted: int


@dataclass(slots=True)
class _Task:
    """What is known of one task. `since` is the look after which it first slept again."""

    comm: bytes
    nice: int
    first: Seen
    last: Seen
    since: Seen
    born: bool
    moved: int = -1
    bursts: list[tuple[int, int]] = field(default_factory=list)
    sleeps: list[tuple[int, int]] = field(default_factory=list)
    waits: list[tuple[int, int]] = field(default_factory=list)


class ProcCollector:
    """Looks at the target's tasks until `over` says so."""

    def __init__(self, target: Target, own_pid: int, proc: Path = PROC) -> None:
        self.target = target
        self.proc = proc
        self.own = own_pid
        self.tasks: dict[int, _Task] = {}
        self.most: dict[tuple[bytes, int], int] = {}
        self.looks = 0

    def run(self, seconds: float, over: Callable[[], bool]) -> float:
        """Look until the time is over, `over()` is true, or the target is gone; the seconds that
        it took. Ctrl-C ends it, too, and is passed on."""
        began = time.monotonic()
        try:
            while True:
                begin = time.thread_time()
                alive = self.look()
                cost = time.thread_time() - begin
                left = began + seconds - time.monotonic()
                if left <= 0 or over() or (not alive and self.target.kind != "all"):
                    break
                time.sleep(min(left, max(INTERVAL_S, cost / LARGEST_SHARE)))
        finally:
            self.took = time.monotonic() - began
            self._migrations()
        return self.took

    def look(self) -> int:
        """One look at every task; how many there are."""
        now: dict[tuple[bytes, int], int] = {}
        for task in self._folders():
            known = self._look_at(task)
            if known is not None:
                key = (stem(known.comm), known.nice)
                now[key] = now.get(key, 0) + 1
        for key, count in now.items():
            self.most[key] = max(self.most.get(key, 0), count)
        self.looks += 1
        return sum(now.values())

    def _look_at(self, folder: Path) -> _Task | None:
        seen = _seen(folder)
        if seen is None:
            return None
        tid = int(folder.name)
        known = self.tasks.get(tid)
        comm, nice, _ = _stat(folder)
        if not comm:
            return None
        if known is not None and seen.ran >= known.last.ran:
            known.comm, known.nice = comm, nice  # after an exec it goes by its new name
            _step(known, seen)
            return known
        self.tasks[tid] = made = _Task(comm, nice, seen, seen, seen, self.looks > 0)
        if self.looks:
            # It was born in between: all that it did is of this profile.
            made.first = made.since = Seen(seen.at, 0, 0, 0, 0, 0)
        made.moved = _moved(folder) if not made.born else 0
        return made

    def _migrations(self) -> None:
        for tid, task in self.tasks.items():
            folder = self.proc / str(tid)  # a thread, too, has one here
            moved = _moved(folder)
            task.moved = moved - task.moved if task.moved >= 0 and moved >= 0 else -1

    # --- whom to look at ------------------------------------------------------------------------

    def _folders(self) -> Iterator[Path]:
        match self.target.kind:
            case "process":
                yield from _numbers(self.proc / str(self.target.pid) / "task")
            case "cgroup":
                yield from (self.proc / tid for tid in self._members())
            case "tree":
                for pid in self._descendants():
                    yield from _numbers(self.proc / str(pid) / "task")
            case "all":
                for folder in _numbers(self.proc):
                    if folder.name != str(self.own):
                        yield from _numbers(folder / "task")

    def _members(self) -> Iterator[str]:
        if self.target.cgroup is not None:
            for folder in (self.target.cgroup, *_below(self.target.cgroup)):
                listed = read(folder / "cgroup.threads") or read(folder / "cgroup.procs")
                yield from (word for word in listed.split() if word.isdigit())

    def _descendants(self) -> list[int]:
        """The command and its children, found by their parents' numbers."""
        parents = {int(one.name): _stat(one)[2] for one in _numbers(self.proc)}
        found, fresh = {self.target.pid}, {self.target.pid}
        while fresh:
            fresh = {pid for pid, parent in parents.items() if parent in fresh} - found
            found |= fresh
        return sorted(found)

    # --- the result -----------------------------------------------------------------------------

    def groups(self) -> tuple[GroupProfile, ...]:
        """The tasks that ran, by name and nice value, those with the most cpu time first."""
        found: dict[tuple[bytes, int], list[_Task]] = {}
        for task in self.tasks.values():
            if task.last.ran > task.first.ran:
                found.setdefault((stem(task.comm), task.nice), []).append(task)
        namer = Namer()
        rows = sorted(found.items(), key=lambda one: (-sum(map(_ran, one[1])), one[0]))
        return tuple(self._group(key, tasks, namer) for key, tasks in rows)

    def _group(
        self, key: tuple[bytes, int], tasks: list[_Task], namer: Namer
    ) -> GroupProfile:
        named = common(tasks[0].comm, any(one.comm != tasks[0].comm for one in tasks))
        hogs = [one for one in tasks if _is_hog(one)]
        moved = [one.moved for one in tasks if one.moved >= 0]
        seconds = max(self.took, 1e-3)

        def rate(what: Callable[[Seen], int]) -> float:
            return sum(what(one.last) - what(one.first) for one in tasks) / seconds

        def histogram(what: Callable[[_Task], list[tuple[int, int]]]) -> Histogram:
            return Histogram.weighted(
                (pair for one in tasks for pair in what(one)), estimated=True
            )

        return GroupProfile(
            namer.name(named, key[1]), named, max(self.most.get(key, 1), 1), key[1],
            sum(map(_ran, tasks)) / seconds / 1e9, rate(lambda s: s.slept),
            rate(lambda s: s.slept + s.preempted), sum(moved) / seconds if moved else -1.0,
            histogram(lambda t: t.bursts), histogram(lambda t: t.sleeps),
            histogram(lambda t: t.waits), sum(one.born for one in tasks) / seconds, len(hogs),
            sum(map(_ran, hogs)) / seconds / 1e9,
        )  # fmt: skip


def _ran(task: _Task) -> int:
    return task.last.ran - task.first.ran


def _is_hog(task: _Task) -> bool:
    """It ran for a hundredth of its time at least, and never gave its cpu up."""
    life = task.last.at - task.first.at
    return task.last.slept == task.first.slept and life > 0 and _ran(task) > life // 100


def _step(task: _Task, seen: Seen) -> None:
    """Add what happened since the task last slept, if it has slept again."""
    since, times = task.since, seen.slept - task.since.slept
    got = seen.got_cpu - task.last.got_cpu
    if got > 0:
        task.waits.append(((seen.waited - task.last.waited) // got, got))
    if times > 0:
        ran, waited = seen.ran - since.ran, seen.waited - since.waited
        task.bursts.append((ran // times, times))
        task.sleeps.append((max(seen.at - since.at - ran - waited, 0) // times, times))
        task.since = seen
    task.last = seen


def _seen(folder: Path) -> Seen | None:
    """A task's counters; None if it is gone, or has never run."""
    words = read(folder / "schedstat").split()
    slept = preempted = 0
    for line in read(folder / "status").splitlines():
        if line.startswith("voluntary_ctxt_switches:"):
            slept = int(line.split()[1])
        elif line.startswith("nonvoluntary_ctxt_switches:"):
            preempted = int(line.split()[1])
    if len(words) != 3 or not all(word.isdigit() for word in words):
        return None
    ran, waited, got = map(int, words)
    return Seen(time.monotonic_ns(), ran, waited, got, slept, preempted)


def _stat(folder: Path) -> tuple[bytes, int, int]:
    """A task's name, nice value and parent; an empty name if it is gone."""
    text = read(folder / "stat")
    begin, end = text.find("("), text.rfind(")")  # a name may hold anything
    rest = text[end + 2 :].split()
    if begin < 0 or len(rest) < 17:
        return b"", 0, 0
    nice = int(rest[16])
    return text[begin + 1 : end].encode("latin-1")[:15], min(max(nice, -20), 19), int(rest[1])


def _moved(folder: Path) -> int:
    """How often a task changed its cpu; -1 if the kernel doesn't say."""
    for line in read(folder / "sched").splitlines():
        if line.startswith("se.nr_migrations"):
            last = line.rsplit(":", 1)[1].strip()
            return int(last) if last.isdigit() else -1
    return -1


def _numbers(folder: Path) -> Iterator[Path]:
    """The folders in it that are named by numbers."""
    try:
        names = [one.name for one in folder.iterdir() if one.name.isdigit()]
    except OSError:
        return
    yield from (folder / name for name in sorted(names, key=int))


def _below(folder: Path) -> Iterator[Path]:
    try:
        folders = sorted(one for one in folder.iterdir() if one.is_dir() and not one.is_symlink())
    except OSError:
        return
    for one in folders:
        yield one
        yield from _below(one)
