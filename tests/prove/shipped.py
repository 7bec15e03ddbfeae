"""The policies that are shipped, typed, and their proofs; each made once in a run of the tests."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from schedc.ir.nodes import Policy
from schedc.pipeline import analyze
from schedc.prove.parameters import declared
from schedc.prove.prove import prove
from schedc.prove.result import Proof
from schedc.source import Source

ROOT = Path(__file__).parents[2]
STDLIB = sorted((ROOT / "stdlib_policies").glob("*.sched"))
EXAMPLES = sorted((ROOT / "examples").glob("*/*.sched"))
SHIPPED = [*STDLIB, *EXAMPLES]
"""All of them proved; what is refuted on purpose lies deeper, in folders of its own."""


@cache
def typed(path: Path) -> Policy:
    analysis = analyze(Source.from_text(path.name, path.read_text()))
    assert analysis.policy is not None, [one.message for one in analysis.diagnostics]
    return analysis.policy


@cache
def proof_of(path: Path) -> Proof:
    """For what the policy declares."""
    return prove(typed(path), declared(typed(path)))
