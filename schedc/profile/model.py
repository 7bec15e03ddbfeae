"""A profile: what runs on a machine, as numbers.

Input: a collector's counts. Output: values that a page, a workload and a fingerprint are made of.
Invariant: names are plain (`names.is_plain`) and differ from each other; times are nanoseconds,
rates are per second of the profile; `read` gives back what `write` wrote, or raises.

A burst is the cpu time that a task uses from one sleep to the next, whoever preempts it meanwhile;
a sleep lasts until the task is woken; `runq` is the time from there, or from a preemption, until
it runs. The simulator's `run` and `sleep` mean the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from math import ceil

from schedc.records import dataclass
from schedc.workload.histogram import index_of, upper_of

FORMAT = 1
COLLECTORS = ("bcc", "bpf", "proc")
"""The best first."""

NOT_A_TASK = "-"
"""In `wakes`: a timer, an interrupt, or a task that is in none of the groups."""


def middle_of(index: int) -> int:
    """The value that stands for a bucket's samples."""
    low = upper_of(index - 1) + 1 if index else 0
    return (low + upper_of(index)) // 2


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts by log-linear bucket of nanoseconds, those of `workload.histogram` (3.2% wide at
    most), with the exact sum and the largest value. `estimated`: made of averages, so that it
    knows the mean and not the spread."""

    counts: Mapping[int, int] = field(default_factory=dict)
    sum: int = 0
    max: int = 0
    estimated: bool = False

    @property
    def count(self) -> int:
        return sum(self.counts.values())

    @property
    def mean(self) -> float:
        """In ns; 0 without samples."""
        return self.sum / self.count if self.counts else 0.0

    @staticmethod
    def of(samples: Iterable[int], *, estimated: bool = False) -> Histogram:
        return Histogram.weighted(((value, 1) for value in samples), estimated=estimated)

    @staticmethod
    def weighted(samples: Iterable[tuple[int, int]], *, estimated: bool = False) -> Histogram:
        """Of values with how often each was seen."""
        counts: dict[int, int] = {}
        total = high = 0
        for value, times in samples:
            if times > 0:
                index = index_of(value)
                counts[index] = counts.get(index, 0) + times
                total += value * times
                high = max(high, value)
        return Histogram(counts, total, high, estimated)

    def merge(self, other: Histogram) -> Histogram:
        """Of both sets of samples together."""
        counts = dict(self.counts)
        for index, count in other.counts.items():
            counts[index] = counts.get(index, 0) + count
        return Histogram(
            counts, self.sum + other.sum, max(self.max, other.max),
            self.estimated or other.estimated,
        )

    def quantile(self, share: float) -> int:
        """The value of nearest rank at `share` in 0..1, too large by 3.2% at most; 0 without
        samples."""
        rank = max(1, ceil(round(share * self.count, 6)))
        seen = 0
        for index in sorted(self.counts):
            seen += self.counts[index]
            if seen >= rank:
                return min(upper_of(index), self.max)
        return self.max


@dataclass(frozen=True, slots=True)
class GroupProfile:
    """Tasks of one name and nice value. `name` is the group's own among the profile's groups;
    `comm` is what its tasks are called, for groups of several names what these begin with, empty
    if that isn't plain. `tasks`: the most that lived at once. `share`: cpu time of all of them a
    second, so 1.0 is one cpu. `born_s`: tasks that began, a second. `hogs`: tasks that ran and
    never slept; `hog_share` is theirs of `share`."""

    name: str
    comm: str
    tasks: int
    nice: int
    share: float
    wakeups_s: float
    switches_s: float
    migrations_s: float
    bursts: Histogram
    sleeps: Histogram
    runq: Histogram
    born_s: float = 0.0
    hogs: int = 0
    hog_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Machine:
    """All of it, not only the groups. `busy`: cpus in use, on average; `psi_some`, `psi_full`: the
    share of the time (0..1) in which some, or all, tasks waited for a cpu, -1 if unknown."""

    busy: float
    psi_some: float
    psi_full: float
    switches_s: float
    migrations_s: float
    runq: Histogram


@dataclass(frozen=True, slots=True)
class Profile:
    """`target` says in words what was watched; `why_not` which better collectors did not run, and
    why; `dropped` how many events found no room in the collector's tables; `complete` is false if
    the profile ended before its time. `wakes`: who woke whom how often, by groups' names."""

    collector: str
    target: str
    why_not: tuple[tuple[str, str], ...]
    seconds: float
    kernel: str
    cpus: int
    machine: Machine
    groups: tuple[GroupProfile, ...]
    wakes: tuple[tuple[str, str, int], ...]
    dropped: int = 0
    complete: bool = True
    notes: tuple[str, ...] = ()
    format: int = FORMAT

    def group(self, name: str) -> GroupProfile | None:
        return next((one for one in self.groups if one.name == name), None)
