"""The names under which measurements are reported, whatever program made them.

Input: none. Output: `METRICS`. Invariant: a name means the same quantity, unit and direction in
every workload, so that figures of different programs and of the simulator can stand side by side.
"""

from __future__ import annotations

from typing import Literal

from schedc.records import dataclass

Better = Literal["lower", "higher"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One reported quantity; `unit` is "ns", "1/s", "cpus" (cpus' worth of time) or "share"."""

    name: str
    unit: str
    better: Better
    doc: str
    histogram: str = ""
    """Where the value is a percentile: the histogram that it is read from."""
    quantile: float = 0.0


def _percentiles(name: str, what: str) -> tuple[Metric, ...]:
    return tuple(
        Metric(f"{name}_{suffix}", "ns", "lower", f"{what}, {word}", name, quantile)
        for suffix, word, quantile in (
            ("p50", "median", 0.5),
            ("p99", "99th percentile", 0.99),
            ("p999", "99.9th percentile", 0.999),
        )
    )


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        *_percentiles("wakeup", "from a wake-up until the task runs"),
        *_percentiles("request", "from a request's arrival until its work is done"),
        *_percentiles("frame", "from the moment that a frame was due until it is done"),
        *_percentiles("child_life", "from a fork until the child is done"),
        *_percentiles("victim_wait", "waits of 50 µs or more of a task that wants a cpu"),
        Metric("throughput", "1/s", "higher", "requests, operations or events done a second"),
        Metric("switches", "1/s", "higher", "bytes passed between two processes a second"),
        Metric("forks", "1/s", "higher", "processes forked and reaped a second"),
        Metric("missed", "share", "lower", "frames that were late"),
        Metric("makespan", "ns", "lower", "until the last job is done"),
        Metric("mean_completion", "ns", "lower", "mean over the jobs of when each was done"),
        Metric("last_short", "ns", "lower", "until the last short job is done"),
        Metric("victim_longest", "ns", "lower", "the victim's longest wait for a cpu"),
        Metric("hog_longest", "ns", "lower", "the longest wait for a cpu of any pinned hog"),
        Metric("victim_share", "cpus", "higher", "cpu time of the victim"),
        Metric("misallocated", "share", "lower",
               "cpu time that went to control groups beyond their weight's part"),
        Metric("background", "cpus", "higher", "cpu time of the background hogs"),
    )
}
"""All metrics by name. `mean_completion` is a mean over jobs within one run; percentiles are
never averaged."""

MEASURES = ("wakeup",)
"""What a `wait` or `sleep` can measure: the histograms by these names."""
MARKS = ("request", "frame")
"""What a `mark` can measure."""
COUNTERS = ("throughput", "switches", "forks")
"""What a `count` can count."""
FED_BY_ROLE: dict[str, tuple[str, ...]] = {
    "victim": ("victim_longest", "victim_wait", "victim_share"),
    "hog": ("hog_longest",),
    "background": ("background",),
    "job": ("makespan", "mean_completion"),
    "short": ("makespan", "mean_completion", "last_short"),
    "shared": ("misallocated",),
}
"""Which metrics the tasks of a group feed, by its role. A run without a duration ends when all
tasks with the role `job` or `short` are done."""
ROLES = tuple(FED_BY_ROLE)
