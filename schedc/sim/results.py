"""What one run of the simulator said, checked.

Input: the JSON that `schedc-sim` prints. Output: a `RunResult`. Invariant: times are in ns, shares
between 0 and 1; text that is no result raises a `SimError`, as a runtime that was killed leaves
half a line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from schedc.records import dataclass
from schedc.sim.errors import NO_RESULT, SimError
from schedc.vm.verdict import ClassStats, QueueStats, Stall, parse_stall
from schedc.workload.histogram import BadHistogram, Histogram
from schedc.workload.results import BadOutput, Result, parse_result

VERSION = 1
KIND_NORMAL_MAX = 66
KIND_STALL = 1026

SYSTEM: Mapping[str, str] = {
    "longest_wait": "ns",
    "utilisation": "share",
    "fairness": "share",
    "context_switches": "count",
    "preemptions": "count",
    "migrations": "count",
    "idle_wakeups": "count",
}
"""What is measured of the whole machine, whatever the workload: name -> unit. Shares come in
parts per million."""

_PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why the simulated kernel threw the scheduler out, in the kernel's words."""

    kind: int
    code: int
    at_ns: int
    reason: str
    message: str
    stall: Stall | None


@dataclass(frozen=True, slots=True)
class Group:
    """The tasks of one group of the workload; `wait_max_ns`: the longest wait of any of them."""

    name: str
    tasks: int
    cpu_ns: int
    wait_max_ns: int
    wait_sum_ns: int
    runs: int


@dataclass(frozen=True, slots=True)
class RunResult:
    """`workload`: its metrics. `system`: those of `SYSTEM`. `waits`: of all tasks for a cpu.
    `classes`, `queues`: the policy's own counters."""

    scheduler: str
    seed: int
    ended_ns: int
    events: int
    verdict: Verdict | None
    workload: Result | None
    unreadable: str
    system: Mapping[str, float]
    waits: Histogram
    groups: tuple[Group, ...]
    classes: tuple[ClassStats, ...]
    queues: tuple[QueueStats, ...]

    def value(self, name: str) -> float | None:
        """A metric of the workload or of the machine."""
        if name in SYSTEM:
            return self.system.get(name)
        return self.workload.value(name) if self.workload is not None else None


def read_result(text: bytes) -> RunResult:
    """The result in what the runtime printed; raises `SimError`."""
    try:
        data = json.loads(text)
        if data["version"] != VERSION:
            raise ValueError(f"version {data['version']!r:.20}")
        return _result(data)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, BadHistogram) as wrong:
        raise SimError(
            NO_RESULT, f"the simulator's result can't be read: {type(wrong).__name__}: {wrong}",
            help="report this with the policy and the command",
        ) from wrong


def _result(data: Mapping[str, Any]) -> RunResult:
    counters = data.get("counters") or {}
    workload, unreadable = _workload(data.get("workload"))
    waits = data["histograms"].get("wait")
    return RunResult(
        str(data["scheduler"]), int(data["seed"]), int(data["ended_ns"]), int(data["events"]),
        _verdict(data["verdict"]), workload, unreadable, _system(data["values"]),
        Histogram.from_json(waits) if waits else Histogram(),
        tuple(_group(one) for one in data["groups"]),
        tuple(_class(one) for one in counters.get("classes") or ()),
        tuple(
            QueueStats(**{key: int(value) for key, value in one.items()})
            for one in counters.get("queues") or ()
        ),
    )  # fmt: skip


def _workload(data: object) -> tuple[Result | None, str]:
    """The workload's own metrics, or why there are none."""
    if data is None:
        return None, "the workload left no result"
    try:
        return parse_result("phases", json.dumps(data)), ""
    except BadOutput as failure:
        return None, str(failure)


def _system(values: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: int(values[name]) / (_PPM if unit == "share" else 1)
        for name, unit in SYSTEM.items()
        if values.get(name) is not None
    }


def _verdict(data: Mapping[str, Any] | None) -> Verdict | None:
    """None where the scheduler stayed to the end."""
    if not data or int(data["kind"]) == 0:
        return None
    kind, message = int(data["kind"]), str(data["message"])
    return Verdict(
        kind, int(data["code"]), int(data["at_ns"]), str(data["reason"]), message,
        parse_stall(message) if kind == KIND_STALL else None,
    )


def _group(data: Mapping[str, Any]) -> Group:
    rest = {key: int(value) for key, value in data.items() if key != "name"}
    return Group(name=str(data["name"]), **rest)


def _class(data: Mapping[str, Any]) -> ClassStats:
    rest = {key: int(value) for key, value in data.items() if key != "wait_hist"}
    return ClassStats(**rest, wait_hist=tuple(int(one) for one in data["wait_hist"]))
