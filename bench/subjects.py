"""What campaigns in the virtual machine share: compiled policies, and a script run under one.

Input: names or paths of policies. Output: `Subject`s, and the `Verdict` of a script run under one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from schedc.cli.policy_object import find_policy, settings_of
from schedc.data import data_path
from schedc.diagnostics.model import Diagnostic
from schedc.ir.nodes import Policy
from schedc.pipeline import analyze, generate
from schedc.source import Source
from schedc.toolchain import compile_c, find_compiler
from schedc.vm.job import Job, JobResult
from schedc.vm.machine import Machine
from schedc.vm.verdict import Verdict, parse_report

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Subject:
    """A compiled policy."""

    policy: str
    compiler: str
    object: bytes
    settings: str
    classes: tuple[str, ...]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.object).hexdigest()[:12]


def library() -> tuple[str, ...]:
    """The policies' names, and the path of the first example."""
    names = sorted(path.stem for path in data_path("stdlib_policies").glob("*.sched"))
    return (*names, str(ROOT / "examples/mixed/mixed.sched"))


def typed(name: str) -> tuple[Policy, Source, Mapping[str, Source]]:
    """A policy of the library, or at a path; its own text, and those that it extends."""
    path = find_policy(name)
    source, _ = Source.from_bytes(Path(path).name, Path(path).read_bytes())
    analysis = analyze(source)
    if analysis.policy is None:
        raise SystemExit(f"{name}: {analysis.diagnostics[0].message}")
    return analysis.policy, source, analysis.sources


def subject(name: str, compiler: str | None = None) -> Subject:
    """Compile a policy; any compiler by default."""
    policy, source, sources = typed(name)
    found = find_compiler(compiler)
    if isinstance(found, Diagnostic):
        raise SystemExit(found.message)
    done = compile_c(generate(policy, source, sources=sources), found, source=source)
    if done.object is None:
        raise SystemExit(f"{name}: {done.diagnostics[0].message}")
    return Subject(policy.name, compiler or found.kind, done.object, settings_of(policy, ()).text(),
                   tuple(cls.name for cls in policy.classes))  # fmt: skip


def calibrate(machine: Machine) -> int:
    """Iterations of the workloads' loop per millisecond, in this machine."""
    result = machine.run(Job({}, "wl-calibrate > out/rate"), 60)
    return int(json.loads(result.out["rate"])["spin_rate"])


def under(
    machine: Machine, one: Subject, script: str, timeout_s: float, *options: str
) -> tuple[JobResult, Verdict]:
    """Run a script under a policy, in one job."""
    load = ("schedc-load --object p.o --settings settings --report out/load.json "
            f"{' '.join(options)} -- sh work.sh")  # fmt: skip
    result = machine.run(Job({**files(one), "work.sh": script.encode()}, load), timeout_s)
    return result, verdict_of(result, machine)


def files(one: Subject) -> dict[str, bytes]:
    return {"p.o": one.object, "settings": one.settings.encode()}


def verdict_of(result: JobResult, machine: Machine) -> Verdict:
    report = result.out.get("load.json")
    if report is None:
        raise RuntimeError(f"the loader left no report: {result.console[-400:]!r}")
    return parse_report(report, machine.shape.kernel.release)


def problem_of(verdict: Verdict) -> str:
    if verdict.stall:
        return (
            f"{verdict.stall.task}[{verdict.stall.pid}] did not run for {verdict.stall.seconds} s"
        )
    said = verdict.exit.msg if verdict.exit else ""
    return f"{verdict.outcome.name}: {verdict.problem} {said}".strip()


def json_of(result: JobResult, name: str) -> dict[str, int] | None:
    try:
        return json.loads(result.out[name])
    except (KeyError, ValueError):
        return None


def ms_of(ns: int | None) -> float | None:
    return None if ns is None else round(ns / 1e6, 1)
