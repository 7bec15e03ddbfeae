"""What the loader says of what runs.

Input: its reply to `status`. Output: a `State`. Invariant: a reply of another form is a
`LoadError`, never a guess; every text of it is made visible, as names come from plans that others
wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schedc.deploy.waits import quantile
from schedc.diagnostics.render.visible import visible
from schedc.load.client import Client
from schedc.load.errors import LOADER_FAILED, LoadError
from schedc.records import dataclass


@dataclass(frozen=True, slots=True)
class KernelState:
    """What the kernel says. `ops`: the scheduler's name, empty for its own."""

    release: str
    state: str
    ops: str
    enable_seq: int
    nr_rejected: int
    events: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A policy that the loader holds, or held before (then without what follows `source`).
    `stage`: canary or confirmed. `since`: unix seconds. `settings`: as in its plan."""

    name: str
    version: str
    object: str
    source: str
    settings: str = ""
    stage: str = ""
    since: float = 0.0
    by: str = ""


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """Counters of a class since the policy was attached; times in ns."""

    name: str
    enqueued: int
    direct: int
    run: int
    preempted: int
    ran_ns: int
    wait_ns: int
    wait_max_ns: int
    wait_hist: tuple[int, ...]

    def wait(self, share: float) -> float | None:
        """A quantile of all waits so far; never above the longest that was seen."""
        value = quantile(self.wait_hist, share)
        return None if value is None else min(value, float(self.wait_max_ns))


@dataclass(frozen=True, slots=True)
class QueueCounts:
    name: str
    inserted: int
    taken: int
    stolen: int
    skipped: int


@dataclass(frozen=True, slots=True)
class ProgramCounts:
    """A callback: how often it ran, and for how long (0 while the kernel doesn't count)."""

    name: str
    run_cnt: int
    run_time_ns: int


@dataclass(frozen=True, slots=True)
class BoundOf:
    """What was proved of a class's waits. `text`: W(N)."""

    cls: str
    text: str
    at_n: int
    wait_ms: float
    promise_ms: float


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A policy that ended badly twice. `source`: the sha256 that it goes by; `why`: each time."""

    source: str
    policy: str
    why: tuple[str, ...]
    since: float


@dataclass(frozen=True, slots=True)
class State:
    kernel: KernelState
    policy: Loaded | None
    previous: Loaded | None
    classes: tuple[ClassCounts, ...]
    queues: tuple[QueueCounts, ...]
    programs: tuple[ProgramCounts, ...]
    bounds: tuple[BoundOf, ...]
    quarantined: tuple[Quarantined, ...]
    raw: Mapping[str, Any]

    def histograms(self) -> dict[str, tuple[int, ...]]:
        return {one.name: one.wait_hist for one in self.classes}

    def longest_wait_ns(self, cls: str = "") -> int:
        """The longest wait since it was attached: of a class, or of all."""
        return max((one.wait_max_ns for one in self.classes if cls in ("", one.name)), default=0)

    @property
    def run_time_ns(self) -> int:
        """Cpu time of the policy's callbacks so far."""
        return sum(one.run_time_ns for one in self.programs)

    @property
    def run_cnt(self) -> int:
        return sum(one.run_cnt for one in self.programs)


def ask(client: Client) -> State:
    """The loader's state now; raises `LoadError`."""
    return read(client.ask({"do": "status"}))


def read(reply: Mapping[str, Any]) -> State:
    """The state in a reply."""
    try:
        return _read(reply)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as wrong:
        raise LoadError(
            LOADER_FAILED, "the loader's answer can't be read",
            notes=(f"{type(wrong).__name__}: {wrong}"[:200],),
            help="is it of the same version of schedc? restart it: systemctl restart schedc-loader",
        ) from wrong  # fmt: skip


def _read(reply: Mapping[str, Any]) -> State:
    kernel, counters = reply["kernel"], reply["counters"]
    return State(
        KernelState(
            visible(kernel["release"]), visible(kernel["state"]), visible(kernel["ops"]),
            int(kernel["enable_seq"]), int(kernel["nr_rejected"]),
            {visible(name): int(count) for name, count in kernel["events"].items()},
        ),
        _loaded(reply["policy"]), _loaded(reply["previous"]),
        tuple(map(_class, counters["classes"])),
        tuple(
            QueueCounts(visible(one["name"]), *_ints(one, "inserted taken stolen skipped"))
            for one in counters["queues"]
        ),
        tuple(
            ProgramCounts(visible(one["name"]), *_ints(one, "run_cnt run_time_ns"))
            for one in reply["programs"]
        ),
        tuple(map(_bound, (reply["policy"] or {}).get("bounds", ()))),
        tuple(map(_quarantined, reply["quarantined"])),
        reply,
    )  # fmt: skip


def _loaded(one: Mapping[str, Any] | None) -> Loaded | None:
    if one is None:
        return None
    return Loaded(
        visible(one["name"]), visible(one["version"]), visible(one["object"]),
        visible(one["source"]), str(one["settings"]), visible(one.get("stage", "")),
        float(one.get("since", 0)), visible(one.get("by", "")),
    )  # fmt: skip


def _class(one: Mapping[str, Any]) -> ClassCounts:
    names = "enqueued direct run preempted ran_ns wait_ns wait_max_ns"
    values = [*_ints(one, names), tuple(map(int, one["wait_hist"]))]
    return ClassCounts(visible(one["name"]), *values)


def _bound(one: Mapping[str, Any]) -> BoundOf:
    return BoundOf(
        visible(one["class"]), visible(one["text"]), int(one["at_n"]), float(one["wait_ms"]),
        float(one["promise_ms"]),
    )


def _ints(one: Mapping[str, Any], names: str) -> list[Any]:
    return [int(one[name]) for name in names.split()]


def _quarantined(one: Mapping[str, Any]) -> Quarantined:
    return Quarantined(
        visible(one["source"]), visible(one["policy"]), tuple(visible(why) for why in one["why"]),
        float(one["since"]),
    )
