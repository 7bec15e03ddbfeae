"""What a proof that failed is to its user: diagnostics against the policy's lines.

Input: a `Proof` that isn't proved, and the story of its run if there is one. Output: a diagnostic
for each obligation that isn't proved, refuted ones first. Invariant: none exactly if the proof is
proved; E0501 to E0505 are refutations (exit code 1), E059x what could not be decided (3).
"""

from __future__ import annotations

from typing import Any

from schedc.diagnostics.model import Diagnostic, Edit, Fix, Label, error
from schedc.prove.parameters import milliseconds
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


def diagnose(proof: Proof, story: str = "") -> tuple[Diagnostic, ...]:
    """Why a policy isn't proved; `story` tells the run that refutes it."""
    failed = [one for one in proof.obligations if one.verdict in _FAILED]
    shown = run_obligation(proof)
    failed.sort(key=lambda one: (one is not shown, one.verdict is not Verdict.refuted))
    counts: dict[str, int] = {}
    found = []
    for one in failed:
        code = code_of(one, proof)
        counts[code] = counts.get(code, 0) + 1
        if counts[code] > _MOST:
            continue
        if one is shown and proof.run is not None:
            found.append(_of_run(code, one, proof.run, story))
        else:
            found.append(_of_obligation(code, one))
    return tuple(found)


def run_obligation(proof: Proof) -> Obligation | None:
    """The obligation that the proof's run refutes."""
    if proof.run is None:
        return None
    about = f".{proof.run['victim_class']}"
    return next(
        (one for one in proof.obligations
         if one.verdict is Verdict.refuted and one.property in ("starvation-free", "served")
         and f"{one.name}.".find(f"{about}.") >= 0),
        None,
    )  # fmt: skip


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


def _of_run(code: str, one: Obligation, run: dict[str, Any], story: str) -> Diagnostic:
    """A refutation with its run: the blamed lines, the story, an edit that mends it."""
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
    edits = list(run.get("help", ()))
    return error(
        code, message, first.span, label=first.message, secondary=blamed[1:],
        notes=[story] if story else [], help=edits[0]["text"] if edits else one.hint or None,
        fix=_fix(edits),
    )  # fmt: skip


def _fix(edits: list[dict[str, Any]]) -> Fix | None:
    """Only an edit of the policy's own text, with which it proves."""
    good = [edit for edit in edits if edit.get("proves") and not edit["span"][2]]
    return Fix(tuple(Edit(_span(e["span"]), e["replacement"]) for e in good[:1])) if good else None


def _of_obligation(code: str, one: Obligation) -> Diagnostic:
    """One that has no run: what was to be shown, and why it isn't."""
    if one.verdict is Verdict.refuted:
        message, notes = one.reason or f"refuted: {one.statement}", []
        if one.reason:
            notes = [f"to be proved was: {one.statement}"]
        return error(code, message, one.span, notes=notes, help=one.hint or None)
    notes = [f"because {one.reason}"] if one.reason else []
    return error(
        code, f"not proved: {one.statement}", one.span, notes=notes, help=one.hint or None
    )


def _span(values: Any) -> Span:
    start, end, file = values
    return Span(int(start), int(end), str(file))
