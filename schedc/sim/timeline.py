"""Who ran where and who waited, out of a trace.

Input: a `Trace`. Output: a `Timeline`, and the window of time in which several of them are shown
side by side. Invariant: the spans of a cpu don't overlap and are in order; a task is on one cpu at
a time; a wait goes from the instant at which a task became runnable, or lost its cpu, until it has
a cpu again (or the run ends).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from schedc.records import dataclass
from schedc.sim.trace import EXIT, IDLE, RUN, SLEEP, WAKE, Tasks, Trace, tasks_of

Span = tuple[int, int, int, int]
"""start, end, cpu, pid"""


@dataclass(frozen=True, slots=True)
class Wait:
    """`over`: the task had a cpu at `end`; else the run ended with it still waiting."""

    pid: int
    start: int
    end: int
    over: bool = True

    @property
    def ns(self) -> int:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Timeline:
    """`spans` by their start. `longest`: the longest wait of the run, the earliest of equals."""

    nr_cpus: int
    ended_ns: int
    spans: tuple[Span, ...]
    longest: Wait | None
    tasks: Tasks


@dataclass(slots=True)
class _Cpus:
    """What is open at one instant: who has which cpu since when, who waits since when."""

    current: list[int]
    since: list[int]
    waits: dict[int, int]
    asleep: set[int]
    spans: list[Span]
    longest: Wait | None = None

    def take(self, at: int, cpu: int, pid: int) -> None:
        """The cpu goes over to a task, or to none (0)."""
        before = self.current[cpu]
        if before == pid and before not in self.asleep:
            return
        if before:
            if at > self.since[cpu]:
                self.spans.append((self.since[cpu], at, cpu, before))
            if before not in self.asleep:
                self.waits.setdefault(before, at)
        self.asleep.discard(before)
        self.current[cpu], self.since[cpu] = pid, at
        if pid in self.waits:
            self.waited(pid, self.waits.pop(pid), at, True)

    def leave(self, pid: int) -> None:
        """The running task sleeps or exits; its cpu goes over to another at the same instant."""
        if pid in self.current:
            self.asleep.add(pid)
        self.waits.pop(pid, None)

    def waited(self, pid: int, start: int, end: int, over: bool) -> None:
        if self.longest is None or end - start > self.longest.ns:
            self.longest = Wait(pid, start, end, over)


def timeline(trace: Trace) -> Timeline:
    """Everything that ran, in one pass over the records."""
    cpus = _Cpus([0] * trace.nr_cpus, [0] * trace.nr_cpus, {}, set(), [])
    for at, kind, _, cpu, a, _, _ in trace.records(RUN, IDLE, WAKE, SLEEP, EXIT):
        if kind == WAKE:
            cpus.waits.setdefault(a, at)
        elif kind >= SLEEP:
            cpus.leave(a)
        elif cpu >= 0:
            cpus.take(at, cpu, a if kind == RUN else 0)
    waiting = dict(cpus.waits)
    for cpu in range(trace.nr_cpus):
        cpus.take(trace.ended_ns, cpu, 0)
    for pid, start in sorted(waiting.items(), key=lambda item: (item[1], item[0])):
        cpus.waited(pid, start, trace.ended_ns, False)
    spans = tuple(sorted(cpus.spans))
    return Timeline(trace.nr_cpus, trace.ended_ns, spans, cpus.longest, tasks_of(trace))


def window(lines: Sequence[Timeline], most: int = 1500) -> tuple[int, int]:
    """The start and end of what is shown of all runs: around the first one's longest wait, with at
    most about `most` spans of each, and of a round length."""
    whole = min(line.ended_ns for line in lines)
    starts = [[span[0] for span in line.spans] for line in lines]
    longest = lines[0].longest
    best = (0, whole)
    for length in _lengths(whole):
        best = _place(longest, length, whole)
        counts = [bisect_left(one, best[1]) - bisect_left(one, best[0]) for one in starts]
        if max(counts) <= most:
            break
    return best


def _lengths(whole: int) -> list[int]:
    """The whole run, then 5, 2, 1 times powers of ten ns below it, down to 10 us."""
    steps = [digit * 10**power for power in range(13, 3, -1) for digit in (5, 2, 1)]
    return [whole, *(step for step in steps if step < whole)]


def _place(longest: Wait | None, length: int, whole: int) -> tuple[int, int]:
    """A window of this length in the run, with the wait in its middle; where the wait is too long
    for that, with the wait's end, when the task runs at last, at nine tenths."""
    if longest is None:
        start = (whole - length) // 2
    elif longest.ns <= length * 8 // 10:
        start = (longest.start + longest.end - length) // 2
    else:
        start = longest.end - length * 9 // 10
    start = max(0, min(start, whole - length))
    return start, start + length


def visible(line: Timeline, start: int, end: int) -> list[Span]:
    """The spans of a window, cut to it."""
    return [
        (max(begin, start), min(stop, end), cpu, pid)
        for begin, stop, cpu, pid in line.spans
        if begin < end and stop > start
    ]
