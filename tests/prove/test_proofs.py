"""The proof of every policy of the library and every example: what is proved, and how it is said.

Goldens in `proofs/`: each obligation's verdict, name and statement, and each class's bound.
`pytest tests/prove/test_proofs.py --update` rewrites them; read the difference before committing.
"""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from schedc.ir.nodes import Interval
from schedc.prove.parameters import declared, milliseconds
from schedc.prove.prove import prove
from schedc.prove.result import PROPERTIES, Proof, Verdict
from tests.prove.written import SHIPPED, written

GOLDENS = Path(__file__).parent / "proofs"


@cache
def proof(path: Path) -> Proof:
    policy = written(path.read_text())
    return prove(policy, declared(policy))


def listing(found: Proof) -> str:
    """One line for each obligation, and for each bound."""
    lines = [f"{found.policy} {found.version}: {found.verdict.value}"]
    for one in found.obligations:
        lines += [f"{one.verdict.value} {one.name}", f"    {one.statement}"]
        lines += [f"    {one.reason}"] if one.reason else []
    for bound in found.bounds:
        wait = milliseconds(bound.wait_ns(found.runnable))
        lines += [f"bound {bound.cls} {wait} at {found.runnable}, {bound.discipline}"]
        lines += [f"    {bound.formula}"]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_it_is_proved(path: Path, update: bool) -> None:
    found = proof(path)
    assert found.verdict is Verdict.proved
    text, golden = listing(found), GOLDENS / f"{path.stem}.txt"
    if update:
        golden.write_text(text, encoding="utf-8")
    same = text == golden.read_text(encoding="utf-8")
    assert same, f"{golden.name} differs; run this test with --update and read git diff"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_property_is_there(path: Path) -> None:
    policy, found = written(path.read_text()), proof(path)
    order = [PROPERTIES.index(one.property) for one in found.obligations]
    assert order == sorted(order)
    preempts = any(rule.preempt is not None for rule in policy.rules)
    assert {one.property for one in found.obligations} >= set(PROPERTIES[: 5 if preempts else 4])
    assert {bound.cls for bound in found.bounds} == {cls.name for cls in policy.classes}
    for one in found.obligations:
        # What is proved has a query to check again; what is waived says why.
        assert one.smt2 if one.verdict is Verdict.proved else one.reason


def test_every_golden_has_its_policy() -> None:
    assert {path.stem for path in GOLDENS.glob("*.txt")} == {path.stem for path in SHIPPED}


def test_a_proof_is_the_same_the_second_time() -> None:
    path = SHIPPED[0]
    policy = written(path.read_text())
    again = prove(policy, declared(policy))
    texts = [(one.name, one.verdict, one.smt2) for one in proof(path).obligations]
    assert [(one.name, one.verdict, one.smt2) for one in again.obligations] == texts


@pytest.mark.parametrize("name", ["fair", "kernel_first", "interactive", "bands", "tenants"])
def test_narrower_tunables_never_make_a_bound_longer(name: str) -> None:
    path = next(path for path in SHIPPED if path.stem == name)
    policy, wide = written(path.read_text()), proof(path)
    parameters = declared(policy)
    for end in ("low", "high"):
        tunes = tuple(
            (name, Interval(getattr(range_, end), getattr(range_, end)))
            for name, range_ in parameters.tunes
        )
        narrow = prove(policy, replace(parameters, tunes=tunes))
        assert narrow.verdict is Verdict.proved
        for one, other in zip(narrow.bounds, wide.bounds, strict=True):
            assert one.wait_ns(policy.runnable) <= other.wait_ns(policy.runnable)
