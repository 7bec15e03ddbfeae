"""Verdicts for people and for programs.

Input: a `Verdict`. Output: a few lines of plain text; a JSON value; diagnostics.
Invariant: pure. A refusal is shown at the policy's line if the object's line information leads to
one that is there, else with the C line in a note.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from schedc.diagnostics.model import Diagnostic, error
from schedc.source import Source, Span
from schedc.vm.errors import (
    CANNOT_LOAD,
    EJECTED,
    NO_SCHED_EXT,
    NOT_RESTORED,
    STALLED,
    VmError,
)
from schedc.vm.verdict import Outcome, Verdict

REFUSED = "E0801"


def verdict_text(verdict: Verdict, *, details: bool = True) -> str:
    """The verdict in some lines; without details where diagnostics tell them."""
    steps = [
        f"{name}: {'yes' if done else 'no'}"
        for name, done in (
            ("loads", verdict.loads), ("attaches", verdict.attaches),
            ("stays", verdict.stayed), ("detaches", verdict.detached),
        )
    ]  # fmt: skip
    lines = [f"{verdict.outcome.name} on {verdict.kernel} ({', '.join(steps)})"]
    if verdict.loads:
        insns = ", ".join(f"{p.callback} {p.insns}" for p in verdict.programs)
        lines.append(f"  verified instructions: {insns}")
    lines += [f"  matches nothing here: {setting}" for setting in verdict.unresolved]
    if details:
        lines += _details(verdict)
    return "\n".join(lines)


def _details(verdict: Verdict) -> list[str]:
    lines = [f"  {verdict.problem}"] if verdict.problem else []
    if verdict.refusal:
        r = verdict.refusal
        lines.append(f"  {r.callback}: {r.reason} (policy line {r.policy_line}, {r.file}:{r.line})")
        lines += [f"    | {line}" for line in r.tail]
    if verdict.stall:
        s = verdict.stall
        lines.append(f"  {s.task}[{s.pid}] did not run for {s.seconds} s")
    if verdict.exit and not verdict.good:
        lines.append(f"  {verdict.exit.reason}: {verdict.exit.msg}")
    if not verdict.good:
        lines += [f"  kernel: {m}" for m in verdict.kernel_messages]
        lines += [f"  {m}" for m in verdict.libbpf_messages]
    return lines


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """The verdict as a JSON value; stable names, times in the units that the names say."""
    value = dataclasses.asdict(verdict)
    value["outcome"] = verdict.outcome.name
    value["good"] = verdict.good
    return value


def diagnostics_of(verdict: Verdict, source: Source | None = None) -> tuple[Diagnostic, ...]:
    """What is wrong, as diagnostics; none for a good verdict."""
    if verdict.good:
        return ()
    notes = _notes(verdict)
    if verdict.malformed_btf:
        return (
            error(
                NO_SCHED_EXT,
                f"no scheduler can be loaded on kernel {verdict.kernel}: its BTF is malformed",
                None,
                notes=(*notes, "it was built with a pahole that is too old"),
                help="choose another kernel (`schedc vm kernels` lists them)",
            ),
        )
    match verdict.outcome:
        case Outcome.refused if verdict.refusal:
            return (_refused(verdict, source),)
        case Outcome.ejected if verdict.stall:
            s = verdict.stall
            who = f"task {s.task}[{s.pid}] did not run for {s.seconds:g} s"
            message = f"{who}: the kernel ejected the scheduler"
            return (error(STALLED, message, None, notes=notes),)
        case Outcome.ejected | Outcome.left:
            return (error(EJECTED, _ejected_message(verdict), None, notes=notes),)
        case Outcome.not_restored:
            return (error(NOT_RESTORED, verdict.problem, None, notes=notes),)
        case _:
            what = verdict.exit.msg if verdict.exit and verdict.exit.is_error else verdict.problem
            message = f"kernel {verdict.kernel} did not take the scheduler: {what}"
            return (error(CANNOT_LOAD, message, None, notes=notes),)


def failure_diagnostic(failure: VmError) -> Diagnostic:
    """The diagnostic of a failure of the machine itself."""
    return error(failure.code, failure.message, None, notes=failure.notes, help=failure.help)


def _refused(verdict: Verdict, source: Source | None) -> Diagnostic:
    r = verdict.refusal
    assert r is not None
    notes = [f"in callback `{r.callback}`, on kernel {verdict.kernel}", f"verifier: {r.reason}"]
    if r.explanation:
        notes.append(f"kernel: {r.explanation}")
    if r.instruction:
        notes.append(f"instruction: {r.instruction}")
    if r.text and not (r.file or "").endswith(".sched"):
        notes.append(f"C line ({r.file}:{r.line}): {r.text}")
    if r.insns:
        notes.append(f"{r.insns} instructions looked at")
    span = _line_span(source, r.policy_line)
    if span is None and r.policy_line:
        notes.append(f"policy line {r.policy_line}")
    elif span is None:
        notes += r.tail[-6:]
    return error(
        REFUSED,
        f"the kernel's verifier refuses the policy: {r.meaning or r.reason}",
        span,
        label="refused here",
        notes=notes,
        help="this is more likely a bug of schedc than of the policy: please report it"
        if r.meaning is None
        else None,
    )


def _line_span(source: Source | None, line: int | None) -> Span | None:
    """The line's text without its indentation."""
    if source is None or line is None or not 1 <= line <= source.line_count:
        return None
    text = source.line_text(line)
    start = source.offset(line) + len(text) - len(text.lstrip())
    end = source.offset(line) + len(text.rstrip())
    return Span(start, max(end, start))


def _ejected_message(verdict: Verdict) -> str:
    if verdict.exit is None:
        return "the scheduler is gone, and the kernel does not say why"
    what = f"{verdict.exit.reason}: {verdict.exit.msg}" if verdict.exit.msg else verdict.exit.reason
    verb = "ejected the scheduler" if verdict.exit.is_error else "ended the scheduler"
    return f"the kernel {verb} ({what})"


def _notes(verdict: Verdict) -> tuple[str, ...]:
    said = [f"kernel: {m}" for m in verdict.kernel_messages[-4:]]
    said += verdict.libbpf_messages[-4:]
    return (f"on kernel {verdict.kernel}", *said)
