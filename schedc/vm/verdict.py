"""The kernel's opinion of a scheduler, as the loader reported it.

Input: the report of `schedc-load` (JSON), as bytes from a guest. Output: a `Verdict`.
Invariant: a report that isn't of the agreed form is an error, never a guess.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import field
from enum import Enum
from typing import Any

from schedc.records import dataclass
from schedc.vm.errors import BAD_RESULT, VmError
from schedc.vm.verifier_log import VerifierFailure, parse_verifier_log

KIND_NORMAL_MAX = 66
KIND_STALL = 1026


class Outcome(Enum):
    """How it went; the values are the loader's exit statuses."""

    fine = 0
    bad_settings = 2
    bad_object = 10
    refused = 11
    not_loaded = 12
    not_attached = 13
    ejected = 14
    not_restored = 15
    command_failed = 16
    left = 17


@dataclass(frozen=True, slots=True)
class ProgramFacts:
    """One callback: instructions that the verifier looked at; runs and time, if counted."""

    name: str
    callback: str
    insns: int
    run_cnt: int = 0
    run_time_ns: int = 0


@dataclass(frozen=True, slots=True)
class ExitRecord:
    """What the kernel told `ops.exit`. kind ≤ 66 is an orderly end, 1026 a stall."""

    kind: int
    code: int
    reason: str
    msg: str

    @property
    def is_error(self) -> bool:
        return self.kind > KIND_NORMAL_MAX


@dataclass(frozen=True, slots=True)
class Stall:
    """Who starved, and for how long."""

    task: str
    pid: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ClassStats:
    """Counters of one class, summed over all cpus (wait_max_ns: the largest).

    wait_hist[i] counts waits with floor(log2(ns)) == i + 6; the first and last take the rest.
    """

    enqueued: int
    direct: int
    run: int
    preempted: int
    ran_ns: int
    wait_ns: int
    wait_max_ns: int
    wait_hist: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class QueueStats:
    """Counters of one queue, summed over all cpus."""

    inserted: int
    taken: int
    stolen: int
    skipped: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Everything that a load told. `seconds` are guest seconds by stage."""

    outcome: Outcome
    kernel: str
    ops: str
    loads: bool
    attaches: bool
    stayed: bool
    detached: bool
    problem: str
    programs: tuple[ProgramFacts, ...]
    refusal: VerifierFailure | None = None
    exit: ExitRecord | None = None
    stall: Stall | None = None
    kernel_messages: tuple[str, ...] = ()
    libbpf_messages: tuple[str, ...] = ()
    unresolved: tuple[str, ...] = ()
    events: Mapping[str, int] = field(default_factory=dict)
    classes: tuple[ClassStats, ...] = ()
    queues: tuple[QueueStats, ...] = ()
    restarts: int = 0
    command_status: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Loaded, attached, stayed, detached: the whole way."""
        return self.outcome in (Outcome.fine, Outcome.command_failed)

    @property
    def malformed_btf(self) -> bool:
        """A kernel built with an old pahole: no scheduler can be loaded on it."""
        text = "\n".join((*self.kernel_messages, *self.libbpf_messages))
        return "Malformed kfunc BTF" in text or "malformed kfunc BTF" in text


def parse_report(data: bytes, kernel: str, c_text: str = "") -> Verdict:
    """The verdict in a loader's report."""
    try:
        report = json.loads(data)
        return _verdict(report, kernel, c_text)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as e:
        raise VmError(
            BAD_RESULT,
            f"the loader's report can't be read: {type(e).__name__}: {e}",
            help="run it again; if it happens again, report it",
        ) from e


def parse_stall(text: str) -> Stall | None:
    """Who starved, of the kernel's `NAME[PID] failed to run for 2.488s`."""
    found = re.search(r"(?P<task>\S[^\n]*)\[(?P<pid>\d+)\] failed to run for (?P<s>[0-9.]+)s", text)
    if not found:
        return None
    task = found["task"]
    # The kernel's own prefix: "sched_ext: NAME: " from 6.13 on.
    task = re.sub(r"^sched_ext: (?:\S+: )?", "", task)
    return Stall(task, int(found["pid"]), float(found["s"]))


def _verdict(report: dict[str, Any], kernel: str, c_text: str) -> Verdict:
    ops = str(report["ops"])
    exit_ = _exit(report["exit"])
    messages = _lines(report["kmsg"])
    stall = parse_stall(exit_.msg) if exit_ and exit_.kind == KIND_STALL else None
    if stall is None and exit_ is None:
        stall = parse_stall("\n".join(messages))
    return Verdict(
        outcome=Outcome(int(report["outcome"])),
        kernel=kernel,
        ops=ops,
        loads=bool(report["loads"]),
        attaches=bool(report["attaches"]),
        stayed=bool(report["stayed"]),
        detached=bool(report["detached"]),
        problem=str(report["problem"]),
        programs=tuple(_program(p, ops) for p in report["programs"]),
        refusal=_refusal(report, c_text),
        exit=exit_,
        stall=stall,
        kernel_messages=messages,
        libbpf_messages=_lines(report["libbpf"]),
        unresolved=_lines(report["unresolved"]),
        events={str(k): int(v) for k, v in report["events"].items()},
        classes=tuple(_class(c) for c in report["classes"]),
        queues=tuple(QueueStats(**{k: int(v) for k, v in q.items()}) for q in report["queues"]),
        restarts=int(report["restarts"]),
        command_status=int(report["command_status"]),
        seconds={
            stage: int(report.get(f"{stage}_ns", 0)) / 1e9
            for stage in ("load", "attach", "attached", "detach")
        },
    )


def _program(p: dict[str, Any], ops: str) -> ProgramFacts:
    name = str(p["name"])
    return ProgramFacts(
        name, _callback(name, ops), int(p["insns"]), int(p["run_cnt"]), int(p["run_time_ns"])
    )


def _callback(name: str, ops: str) -> str:
    """`fifo_enqueue` is the callback `enqueue` of the scheduler `fifo`."""
    return name.removeprefix(f"{ops}_")


def _class(c: dict[str, Any]) -> ClassStats:
    hist = tuple(int(n) for n in c["wait_hist"])
    rest = {k: int(v) for k, v in c.items() if k != "wait_hist"}
    return ClassStats(**rest, wait_hist=hist)


def _exit(record: dict[str, Any] | None) -> ExitRecord | None:
    if record is None:
        return None
    return ExitRecord(
        int(record["kind"]), int(record["code"]), str(record["reason"]), str(record["msg"])
    )


def _refusal(report: dict[str, Any], c_text: str) -> VerifierFailure | None:
    """The verifier's reason, of the program whose log ends in one."""
    for p in report["programs"]:
        log = str(p.get("log", ""))
        if "processed " in log:
            return parse_verifier_log(log, callback=str(p["name"]), c_text=c_text)
    return None


def _lines(text: object) -> tuple[str, ...]:
    return tuple(line for line in str(text).splitlines() if line.strip())
