"""What a proof that failed is to its user: diagnostics against the policy's lines.

Input: a `Proof`. Output: a diagnostic for each obligation that isn't proved, the one with a run
first (`schedc.refute.story` tells the run itself). Invariant: none exactly if the proof is proved;
E0501 to E0505 are refutations (exit code 1), E059x what could not be decided (3).
"""

from __future__ import annotations

from typing import Any

from schedc.diagnostics.model import Diagnostic, Edit, Fix, Label, error
from schedc.prove.parameters import at_most, milliseconds
from schedc.prove.result import Obligation, Proof, Verdict
from schedc.source import Span

_REFUTED = {
    "bounded": "E0502", "placed": "E0503", "work-conserving": "E0504",
    "starvation-free": "E0501", "served": "E0501",
}  # fmt: skip
_BY_REASON = (
    ("no known class of queue", "E0591"),
    ("the solver's limit was reached", "E0592"),
    ("the bound passes", "E0597"),
)
_FAILED = (Verdict.refuted, Verdict.unproven)
_MOST = 8
"""Diagnostics of one code: the first ones; more would only hide them."""


def diagnose(proof: Proof) -> tuple[Diagnostic, ...]:
    """Why a policy isn't proved."""
    shown = run_obligation(proof)
    failed = [one for one in proof.obligations if one.verdict in _FAILED and not _told(one, shown)]
    failed.sort(key=lambda one: (one is not shown, one.verdict is not Verdict.refuted))
    counts: dict[str, int] = {}
    found = []
    for one in failed:
        code = code_of(one, proof)
        counts[code] = counts.get(code, 0) + 1
        if counts[code] > _MOST:
            continue
        if one is shown and proof.run is not None:
            found.append(_of_run(code, one, proof.run))
        else:
            found.append(_of_obligation(code, one))
    return tuple(found)


def _told(one: Obligation, shown: Obligation | None) -> bool:
    """Whether a run says it better: what isn't proved of waits follows from what it shows, or will
    be said again once that is mended."""
    return shown is not None and one.property == "starvation-free" and (
        one.verdict is Verdict.unproven
    )


def run_obligation(proof: Proof) -> Obligation | None:
    """The obligation that the proof's run refutes."""
    if proof.run is None:
        return None
    name = f"starvation-free.{proof.run['victim_class']}"
    return next((one for one in proof.obligations if one.name == name), None)


def code_of(one: Obligation, proof: Proof) -> str:
    """The code that an obligation which isn't proved is reported with."""
    if one.verdict is Verdict.refuted:
        code = _REFUTED[one.property]
        waits = proof.run.get("wait_ns") if proof.run is not None else None
        return "E0505" if waits is not None and one is run_obligation(proof) else code
    for beginning, code in _BY_REASON:
        if one.reason.startswith(beginning):
            return code
    return "E0593" if one.property == "starvation-free" else "E0592"


def _of_run(code: str, one: Obligation, run: dict[str, Any]) -> Diagnostic:
    """A refutation with its run: the lines to blame, and an edit that mends it."""
    victim = run["victim_class"]
    if code == "E0505":
        message = (
            f"a task of class `{victim}` may wait {milliseconds(run['wait_ns'])}, "
            f"longer than the {milliseconds(run['promise_ns'])} that it may"
        )
    else:
        message = f"a task of class `{victim}` may wait for ever"
    blamed = [Label(_span(item["span"]), item["note"]) for item in run.get("blame", ())]
    first = blamed[0] if blamed else Label(one.span or Span(0, 0), "")
    return error(
        code, message, first.span, label=first.message, secondary=blamed[1:],
        help=_help(run) or one.hint or None, fix=_fix(run),
    )


def _help(run: dict[str, Any]) -> str:
    """The first edit that is suggested, and what was found when it was tried."""
    for one in run.get("help", ()):
        if not one.get("proves"):
            return f"write {one['text']}"
        wait = at_most(one["bound_ns"]) if one.get("bound_ns") else ""
        found = f", with waits of at most {wait}" if wait else ""
        return f"write {one['text']}: then it proves{found}"
    return ""


def _fix(run: dict[str, Any]) -> Fix | None:
    """Only an edit of the policy's own text, with which it proves."""
    for one in run.get("help", ())[:1]:
        if one.get("proves") and not any(edit["span"][2] for edit in one["edits"]):
            return Fix(tuple(Edit(_span(e["span"]), e["replacement"]) for e in one["edits"]))
    return None


def _of_obligation(code: str, one: Obligation) -> Diagnostic:
    """One that has no run: what was to be shown, and why it isn't."""
    if one.verdict is Verdict.refuted:
        message, notes = one.reason or f"refuted: {one.statement}", []
        if one.reason:
            notes = [f"to be proved was: {one.statement}"]
        return error(code, message, one.span, notes=notes, help=one.hint or None)
    message, notes = f"not proved: {one.statement}", []
    if one.reason:
        message, notes = one.reason.removeprefix(f"{_BY_REASON[0][0]}: "), [message]
    return error(code, message, one.span, notes=notes, help=one.hint or None)


def _span(values: Any) -> Span:
    start, end, file = values
    return Span(int(start), int(end), str(file))
