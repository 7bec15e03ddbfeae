"""Two solvers never disagree: cvc5 on every query of every shipped policy, and of mutants.

What Z3 proved, cvc5 finds unsatisfiable; where Z3 has a model, cvc5 finds none of the contrary.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

import pytest

from schedc.prove.parameters import declared
from schedc.prove.prove import prove
from schedc.prove.recheck import _answer
from schedc.prove.result import Obligation, Verdict
from schedc.prove.solve import LIMIT, VACUOUS
from tests.prove.mutations import KINDS, generated
from tests.prove.shipped import ROOT, SHIPPED, STDLIB, proof_of, typed

cvc5 = pytest.importorskip("cvc5")


def disagreements(obligations: Iterable[Obligation]) -> list[tuple[str, str]]:
    """Names of the obligations on which cvc5 says something else, and what."""
    found = []
    for one in obligations:
        if not one.smt2 or one.verdict is Verdict.waived or one.reason in (LIMIT, VACUOUS):
            continue
        expected = "unsat" if one.verdict is Verdict.proved else "sat"
        answer = _answer(cvc5, one.name, one.smt2)
        if answer != expected:
            found.append((one.name, answer))
    return found


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_obligation_of_a_shipped_policy(path: Path) -> None:
    proof = proof_of(path)
    assert any(one.smt2 for one in proof.obligations)
    assert disagreements(proof.obligations) == []


def test_what_is_not_proved_has_a_model_in_both() -> None:
    """Policies that starve somebody, and mutants."""
    draw = random.Random(1)
    policies = [typed(path) for path in sorted(ROOT.glob("examples/*/*/flawed.sched"))]
    policies += [
        next(generated(path, draw.sample(list(KINDS), len(KINDS)))).policy for path in STDLIB[::3]
    ]
    refused = 0
    for policy in policies:
        proof = prove(policy, declared(policy))
        assert disagreements(proof.obligations) == [], policy.name
        refused += sum(
            1 for one in proof.obligations if one.smt2 and one.verdict is not Verdict.proved
        )
    assert refused >= 2
