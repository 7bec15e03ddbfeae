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
        *_percentiles("child_life", "from a fork until the child is reaped"),
        *_percentiles("victim_wait", "waits of 50 µs or more of a task that wants a cpu"),
        Metric("throughput", "1/s", "higher", "requests, operations or events done a second"),
        Metric("switches", "1/s", "higher", "bytes passed between two processes a second"),
        Metric("forks", "1/s", "higher", "processes forked and reaped a second"),
        Metric("makespan", "ns", "lower", "until the last job is done"),
        Metric("mean_completion", "ns", "lower", "mean over the jobs of when each was done"),
        Metric("last_short", "ns", "lower", "until the last short job is done"),
        Metric("victim_longest", "ns", "lower", "the victim's longest wait for a cpu"),
        Metric("hog_longest", "ns", "lower", "the longest wait for a cpu of any pinned hog"),
        Metric("victim_share", "cpus", "higher", "cpu time of the victim"),
        Metric("background", "cpus", "higher", "cpu time of the background hogs"),
    )
}
"""All metrics by name. `mean_completion` is a mean over jobs within one run; percentiles are
never averaged."""
