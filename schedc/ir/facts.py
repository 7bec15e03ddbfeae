"""Facts that the system supplies: their types and ranges, and what each means.

One table, read by the type checker, the code generator, the reference semantics and the
documentation.
"""

from __future__ import annotations

from dataclasses import dataclass

from schedc.ir.nodes import Interval, Kind, Type

YEAR_NS = 366 * 24 * 3600 * 1_000_000_000
"""Longest uptime that the proofs assume (E7), and so the range of every time."""

RANGES: dict[Kind, Interval] = {
    Kind.TIME: Interval(0, YEAR_NS),
    Kind.MOMENT: Interval(0, 2 * YEAR_NS),
    Kind.LAG: Interval(-YEAR_NS, YEAR_NS),
    Kind.COUNT: Interval(0, 1 << 40),
    Kind.RATIO: Interval(0, 100_000),
    Kind.RATE: Interval(0, 1_000_000),
    Kind.WEIGHT: Interval(1, 10_000),
    Kind.BOOL: Interval(0, 1),
    Kind.VTIME: Interval(-(1 << 61), 1 << 61),
}
"""Widest range of a state of each kind."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact; `range` bounds its value in every context."""

    name: str
    type: Type
    range: Interval
    doc: str


def _fact(name: str, kind: Kind, low: int, high: int, doc: str) -> Fact:
    return Fact(name, Type(kind), Interval(low, high), doc)


FACTS: dict[str, Fact] = {
    fact.name: fact
    for fact in (
        _fact("now", Kind.MOMENT, 0, YEAR_NS, "this instant, monotonic"),
        _fact(
            "ran",
            Kind.TIME,
            0,
            YEAR_NS,
            "cpu time of the current stint, or of the last one once it ended",
        ),
        _fact(
            "burst", Kind.TIME, 0, YEAR_NS, "cpu time since the task last woke, over all its stints"
        ),
        _fact("slept", Kind.TIME, 0, YEAR_NS, "how long the task's last sleep took"),
        _fact("waited", Kind.TIME, 0, YEAR_NS, "how long the task last waited for a cpu"),
        _fact(
            "wakes", Kind.RATE, 0, 1_000_000, "how often the task is woken, per second, averaged"
        ),
        _fact(
            "wakings",
            Kind.RATE,
            0,
            1_000_000,
            "how often the task wakes others, per second, averaged",
        ),
        _fact(
            "weight",
            Kind.WEIGHT,
            1,
            10_000,
            "the task's weight (nice 0 is 100), clamped as assumed",
        ),
        _fact("nice", Kind.COUNT, -20, 19, "the task's nice value"),
        _fact("uid", Kind.COUNT, 0, (1 << 32) - 1, "the task's effective user id"),
        _fact("pid", Kind.COUNT, 0, 1 << 22, "the task's id"),
        _fact("tgid", Kind.COUNT, 0, 1 << 22, "the task's process id"),
        _fact("sync", Kind.BOOL, 0, 1, "the waker is about to sleep (a synchronous wake-up)"),
        _fact(
            "runnable",
            Kind.COUNT,
            0,
            1 << 22,
            "tasks that run or wait for a cpu, on the whole machine",
        ),
        _fact("kthread", Kind.BOOL, 0, 1, "the task is a kernel thread"),
        _fact(
            "pinned", Kind.BOOL, 0, 1, "the task may run on one cpu only, or may not migrate now"
        ),
        _fact("allowed_cpus", Kind.COUNT, 1, 8192, "cpus that the task's affinity allows"),
        _fact("cgroup_weight", Kind.WEIGHT, 1, 10_000, "cpu.weight of the task's cgroup"),
        _fact(
            "cgroup_runnable", Kind.COUNT, 0, 1 << 22, "tasks of the task's cgroup that run or wait"
        ),
        _fact("cpus", Kind.COUNT, 1, 8192, "cpus online"),
        _fact("cpus_idle", Kind.COUNT, 0, 8192, "cpus idle now"),
        _fact("busy", Kind.RATIO, 0, 100, "share of the cpus that are not idle"),
        _fact("capacity", Kind.COUNT, 1, 1024, "capacity of the task's cpu; the fastest have 1024"),
    )
}
