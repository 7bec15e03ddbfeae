"""What the guest's programs print, read into the same metric names.

Input: the text of one program's result. Output: a `Result`. Invariant: a value is there only if
the program measured it; text that isn't the program's result raises `BadOutput` with the reason
(the guest is not trusted to be well: a killed program leaves half a line).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from schedc.records import dataclass
from schedc.workload.histogram import BadHistogram, Histogram
from schedc.workload.metrics import METRICS


class BadOutput(ValueError):
    """A program's result that can't be read."""


@dataclass(frozen=True, slots=True)
class Result:
    """Values by metric name, and the histograms that the percentiles are read from."""

    values: Mapping[str, float] = field(default_factory=dict)
    histograms: Mapping[str, Histogram] = field(default_factory=dict)
    extra: Mapping[str, object] = field(default_factory=dict)
    """Facts that are no metric, such as how many requests were still open at the end."""

    def value(self, name: str) -> float | None:
        """A metric of this run; None if the program did not measure it."""
        if name in self.values:
            return self.values[name]
        metric = METRICS[name]
        if metric.histogram and metric.histogram in self.histograms:
            return self.histograms[metric.histogram].quantile(metric.quantile)
        return None


def _object(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as failure:
        raise BadOutput(f"not JSON: {failure}") from failure
    if not isinstance(data, dict):
        raise BadOutput("JSON, but not an object")
    return data


def _figure(data: Mapping[str, Any], key: str) -> float:
    value = data.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise BadOutput(f"`{key}` is no figure")
    return value


def _histograms(data: Mapping[str, Any], *names: str) -> dict[str, Histogram]:
    found = data.get("histograms")
    if not isinstance(found, dict):
        raise BadOutput("no histograms")
    try:
        return {name: Histogram.from_json(found[name]) for name in names if name in found}
    except BadHistogram as failure:
        raise BadOutput(str(failure)) from failure


def _program(text: str, name: str) -> dict[str, Any]:
    data = _object(text)
    if data.get("program") != name:
        raise BadOutput(f"not the result of {name}")
    return data


def _wakeup(text: str) -> Result:
    data = _program(text, "wakeup")
    values = {
        "throughput": _figure(data, "throughput"),
        "background": _figure(data, "background_cpus"),
    }
    extra = {key: data.get(key) for key in ("requests", "censored", "dropped")}
    return Result(values, _histograms(data, "wakeup", "request"), extra)


def _pinned(text: str) -> Result:
    data = _program(text, "pinned")
    values = {
        "victim_longest": _figure(data, "victim_longest_ns"),
        "hog_longest": _figure(data, "hog_longest_ns"),
        "victim_share": _figure(data, "victim_share"),
    }
    extra = {key: data.get(key) for key in ("hog_share_min", "hog_share_max")}
    return Result(values, _histograms(data, "victim_wait"), extra)


def _forkstorm(text: str) -> Result:
    data = _program(text, "forkstorm")
    values = {"throughput": _figure(data, "throughput")}
    if "victim_longest_ns" in data:
        values["victim_longest"] = _figure(data, "victim_longest_ns")
        values["victim_share"] = _figure(data, "victim_share")
    histograms = _histograms(data, "child_life", "victim_wait")
    return Result(values, histograms, {"children": data.get("children")})


def _phases(text: str) -> Result:
    """What `measures_json` of backends/phases writes, in the guest and in the simulator."""
    data = _program(text, "phases")
    found = data.get("values")
    if not isinstance(found, dict):
        raise BadOutput("no values")
    unfinished, jobs = _figure(data, "unfinished"), _figure(data, "jobs")
    if unfinished:
        raise BadOutput(f"{unfinished} of {jobs} jobs were not done at the limit")
    values = {name: _figure(found, name) for name in found if name in METRICS}
    names = {metric.histogram for metric in METRICS.values() if metric.histogram}
    extra = {key: data.get(key) for key in ("window_ns", "jobs", "censored")}
    return Result(values, _histograms(data, *sorted(names)), extra)


_HACKBENCH_TIME = re.compile(r"^Time:\s*([0-9]+(?:\.[0-9]+)?)\s*$", re.MULTILINE)


def _hackbench(text: str) -> Result:
    """`Time: 1.234`: seconds until all messages have passed."""
    times = _HACKBENCH_TIME.findall(text)
    if len(times) != 1:
        raise BadOutput(f"{len(times)} lines with a time, not one")
    return Result({"makespan": float(times[0]) * 1e9})


def _cyclictest(text: str) -> Result:
    """The `--json` of cyclictest with `-h`: per thread a histogram in microseconds.

    Latencies beyond the histogram's end are counted at that thread's maximum: no better place is
    known, and leaving them out would flatter the percentiles.
    """
    data = _object(text)
    threads = data.get("thread")
    if not isinstance(threads, dict) or not threads:
        raise BadOutput("no threads")
    unit = 1 if data.get("resolution_in_ns") == 1 else 1000
    merged = Histogram()
    for thread in threads.values():
        if not isinstance(thread, dict) or not isinstance(thread.get("histogram"), dict):
            raise BadOutput("a thread without a histogram: cyclictest needs -h")
        try:
            pairs = [(int(us) * unit, int(n)) for us, n in thread["histogram"].items()]
        except (TypeError, ValueError) as failure:
            raise BadOutput("a bucket is a time and a count") from failure
        if any(value < 0 or count < 0 for value, count in pairs):
            raise BadOutput("a bucket is negative")
        pairs = [(value, count) for value, count in pairs if count]
        beyond = int(_figure(thread, "cycles")) - sum(count for _, count in pairs)
        if beyond > 0:
            pairs.append((int(_figure(thread, "max")) * unit, beyond))
        merged = merged.merge(Histogram.weighted(pairs))
    if not merged.counts:
        raise BadOutput("no wake-up was measured")
    return Result({}, {"wakeup": merged})


_STRESS_LINE = re.compile(
    r"^\s*-?\s*stressor:\s*(\S+)|^\s*bogo-ops-per-second-real-time:\s*([0-9.]+)", re.MULTILINE
)
_STRESSORS = {"cpu": "throughput", "switch": "switches", "fork": "forks"}


def _stress(text: str) -> Result:
    """The `--yaml` of stress-ng: operations a second of each kind of worker.

    Operations of different stressors are not alike, so they are not added up: `throughput` is
    that of the computing workers alone.
    """
    rates: dict[str, float] = {}
    stressor = ""
    for name, rate in _STRESS_LINE.findall(text):
        try:
            if name:
                stressor = name
            elif rate and stressor:
                rates[stressor] = float(rate)
        except ValueError as failure:
            raise BadOutput(str(failure)) from failure
    if not rates:
        raise BadOutput("no stressor with its operations a second")
    values = {name: rates[key] for key, name in _STRESSORS.items() if key in rates}
    return Result(values, {}, {"stressors": rates})


_SYSBENCH_RATE = re.compile(r"^\s*events per second:\s*([0-9.]+)\s*$", re.MULTILINE)
_SYSBENCH_TOTAL = re.compile(r"^\s*total time:\s*([0-9.]+)s\s*$", re.MULTILINE)
_SYSBENCH_EVENTS = re.compile(r"^\s*total number of events:\s*([0-9]+)\s*$", re.MULTILINE)
_SYSBENCH_BUCKET = re.compile(r"^\s*([0-9]+\.[0-9]+)\s*\|[* ]*\s([0-9]+)\s*$", re.MULTILINE)


def _sysbench(text: str) -> Result:
    """`sysbench cpu|threads --histogram=on`: events a second, and their latency as requests."""
    rate = _SYSBENCH_RATE.search(text)
    events, total = _SYSBENCH_EVENTS.search(text), _SYSBENCH_TOTAL.search(text)
    if rate:
        throughput = float(rate[1])
    elif events and total and float(total[1]) > 0:
        throughput = int(events[1]) / float(total[1])
    else:
        raise BadOutput("neither events per second nor their number and the total time")
    values = {"throughput": throughput}
    if total:
        values["makespan"] = float(total[1]) * 1e9
    buckets = [
        (round(float(value) * 1e6), int(count)) for value, count in _SYSBENCH_BUCKET.findall(text)
    ]
    histograms = {"request": Histogram.weighted(buckets)} if buckets else {}
    return Result(values, histograms)


PARSERS: Mapping[str, Callable[[str], Result]] = {
    "wakeup": _wakeup,
    "pinned": _pinned,
    "forkstorm": _forkstorm,
    "hackbench": _hackbench,
    "cyclictest": _cyclictest,
    "stress": _stress,
    "sysbench": _sysbench,
    "phases": _phases,
}
"""The parsers that a workload's command can name."""


def parse_result(parser: str, text: str) -> Result:
    """The result that a program printed; raises `BadOutput`."""
    return PARSERS[parser](text)
