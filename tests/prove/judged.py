"""What becomes of a mutant: refuted, unproven, or still proved, and then attacked.

Input: a `Mutant`. Output: `Judged`. A mutant that is still proved is attacked by the scripted
adversaries that refute policies and by a random one; a run that the model repeats and that breaks
the proof's word is a fault of the prover. Why another survivor is harmless is said by a rule, one
for each kind of change; a survivor that no rule explains is told as such.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import islice
from pathlib import Path
from unittest import mock

from schedc.ir.nodes import Policy
from schedc.model.replay import why_not
from schedc.prove.parameters import Parameters, declared, milliseconds
from schedc.prove.prove import prove
from schedc.prove.result import Proof, Verdict
from schedc.records import dataclass
from schedc.refute import search
from schedc.refute.find import in_doubt, settings
from tests.prove.adversary import attack
from tests.prove.mutations import Mutant
from tests.prove.shipped import proof_of

STEPS = 6_000
"""Of the scripted adversaries, for one setting of the tunables."""
SEEDS = range(6)
"""Of the random one."""


@dataclass(frozen=True, slots=True)
class Judged:
    """`bad`: what breaks the word of a proof, empty if nothing was found. `closest`: the longest
    wait of the random adversary as a part of its bound. `why`: why a survivor is harmless."""

    mutant: Mutant
    verdict: str
    waits: str
    bad: str
    closest: float
    why: str


def judge(mutant: Mutant) -> Judged:
    policy, parameters = mutant.policy, declared(mutant.policy)
    proof = prove(policy, parameters)
    proved = proof.verdict is Verdict.proved
    shown = refuting(policy, parameters, None if proved else proof)
    if not proved:
        failed = next(one for one in proof.obligations if one.verdict not in _FINE)
        refuted = shown or proof.verdict is Verdict.refuted
        verdict = "refuted" if refuted else "unproven"
        why = shown or f"{failed.name}: {failed.reason}".split("; ")[0]
        return Judged(mutant, verdict, "", "", 0.0, why)
    found, closest = attack(policy, proof, parameters, SEEDS)
    bad = shown or (f"{found.property}: {found.what}" if found else "")
    waits = changed_waits(mutant, proof)
    return Judged(mutant, "proved", waits, bad, closest, harmless(mutant, waits))


_FINE = (Verdict.proved, Verdict.waived)


def refuting(policy: Policy, parameters: Parameters, proof: Proof | None) -> str:
    """A run of the scripted adversaries that the model repeats, told in a few words."""
    wanted = in_doubt(policy, proof)
    if not wanted:
        return ""
    narrowed = replace(policy, weight=parameters.weight)
    with mock.patch.object(search, "BUDGET", STEPS):
        for tunes in islice(settings(policy, parameters), 2):
            run = search.Search(narrowed, parameters, wanted).run(tunes)
            if run is None:
                continue
            values = json.loads(json.dumps(run.as_json()))
            assert why_not(values, policy) is None, "every run of the search is repeated"
            wait = "for ever" if run.wait_ns is None else milliseconds(run.wait_ns)
            return f"{run.victim_class} waits {wait}"
    return ""


def changed_waits(mutant: Mutant, proof: Proof) -> str:
    """`10.92 s → 12.1 s`: the longest bound before and after; empty if no bound differs."""
    before = proof_of(mutant.base)
    if _bounds(before) == _bounds(proof):
        return ""
    return " → ".join(_longest(one) for one in (before, proof))


def _bounds(proof: Proof) -> dict[str, int]:
    return {one.cls: one.wait_ns(proof.runnable) for one in proof.bounds}


def _longest(proof: Proof) -> str:
    worst = proof.worst_bound
    assert worst is not None
    return milliseconds(worst.wait_ns(proof.runnable))


# --- why a survivor is harmless -------------------------------------------------------------------

_ANY_MACHINE = "rungs only choose among idle cpus; whoever waits is found by dispatch"
_EXPLAINED = {
    "placement": _ANY_MACHINE,
    "preemption": "a kick only ends stints early: those who wait are nearer to their turn",
    "condition": "every class has a bound, and no bound asks who is in a class",
    "arithmetic": "states and keys may have any value of their range: the window clamps keys",
    "event handler": "states may have any value of their range: the window clamps keys",
    "assumption or promise": "what is assumed is less, or what is promised is still kept",
    "range of a tunable": "the tunable has no part in a bound, or not at that end",
    "dispatch line": (
        "a queue has the bound of its best line, and the lines above that are limited as before"
    ),
    "limit of a line": (
        "a queue has the bound of its best line, and no line above that one takes more"
    ),
    "slice": "the longest slice of the queue is the same",
    "target of a rule": "the other queue has the same bound",
    "domain of a queue": "the bound is for each domain, with as many contenders for each cpu",
    "order of a queue": "the bound is for arrival",
    "window": "that end of the window has no part in the bound",
}
_BY_DISCIPLINE = {
    "with drift": "the clock's drift puts newcomers behind, whatever keys and charges are",
    "now": "keys lie in the window around the time, whatever they are",
    "fifo": "order of arrival asks for no key and no charge",
}
_WITHOUT_DRIFT = {
    "charge": "it is charged more: it only falls further behind those that wait",
    "key": "its key is later than its vtime: it passes fewer of those that wait",
}
_KEYED = ("charge", "key", "drift or clock", "window", "arithmetic", "event handler")


@cache
def disciplines(base: Path) -> frozenset[str]:
    return frozenset(one.discipline for one in proof_of(base).bounds)


def harmless(mutant: Mutant, waits: str) -> str:
    """Why a mutant may be proved; empty if nothing says so."""
    if waits:
        return "the bound has changed with it"
    kinds = disciplines(mutant.base)
    if mutant.kind in _KEYED and "vtime without drift" in kinds:
        return _WITHOUT_DRIFT.get(mutant.kind, "")
    if mutant.kind in _KEYED:
        found = (why for word, why in _BY_DISCIPLINE.items() if any(word in one for one in kinds))
        return next(found, "")
    return _EXPLAINED.get(mutant.kind, "")


# --- the table ------------------------------------------------------------------------------------


def report(judged: Sequence[Judged]) -> str:
    """All mutants as Markdown: how many of each kind, then each, those still proved first."""
    return "\n".join([*_HEAD, "", *_counts(judged), "", *_rows(judged)]) + "\n"


_HEAD = (
    "# Mutants of the library", "",
    "Made by `make campaign`. Each is one small change of a shipped policy that still compiles;",
    "*refuted*: a run that the model repeats, or a solver's counterexample; *unproven*: refused",
    "without one; *proved*: attacked in the model, and why it is harmless. *Longest wait*: the",
    "longest bound of the policy before and after, if it differs. *Seen*: the longest wait of the",
    "random adversary (few tasks, 6 short runs) as a part of its bound.",
)  # fmt: skip
_VERDICTS = ("refuted", "unproven", "proved")


def _counts(judged: Sequence[Judged]) -> Iterator[str]:
    yield "| kind of change | mutants | refuted | unproven | proved |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for kind in [*dict.fromkeys(one.mutant.kind for one in judged), "all"]:
        found = Counter(one.verdict for one in judged if kind in (one.mutant.kind, "all"))
        numbers = [sum(found.values()), *(found[verdict] for verdict in _VERDICTS)]
        yield f"| {kind} | " + " | ".join(map(str, numbers)) + " |"


def _rows(judged: Sequence[Judged]) -> Iterator[str]:
    yield "| policy | kind | change | verdict | longest wait | seen | why |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for one in sorted(judged, key=lambda one: (one.mutant.base.stem, one.verdict)):
        cells = (
            one.mutant.base.stem, one.mutant.kind, one.mutant.what, one.verdict, one.waits,
            f"{one.closest:.2f}" if one.verdict == "proved" else "", one.bad or one.why,
        )  # fmt: skip
        yield (
            "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
        )
