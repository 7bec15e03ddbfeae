"""Proofs are about something: hypotheses can hold, and every rule and line is reached in a run."""

from __future__ import annotations

from pathlib import Path

import pytest
import z3

from schedc.ir.nodes import Policy
from schedc.prove.parameters import declared
from schedc.prove.result import Proof
from tests.prove.adversary import Adversary
from tests.prove.shipped import SHIPPED, proof_of, typed


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_hypotheses_can_hold(path: Path) -> None:
    queries = [one for one in proof_of(path).obligations if one.smt2]
    assert queries
    for one in queries:
        *hypotheses, _negated_goal = z3.parse_smt2_string(one.smt2)
        solver = z3.SimpleSolver()
        solver.add(*hypotheses)
        assert solver.check() == z3.sat, one.name


def reached(policy: Policy, seeds: range) -> tuple[set[str | None], set[int]]:
    """Classes whose tasks were queued and numbers of lines that gave a task, in some run."""
    nothing = Proof(policy.name, policy.version, "", policy.runnable, {}, (), (), ())
    every = {cls.name for cls in policy.classes}
    classes: set[str | None] = set()
    lines: set[int] = set()
    for seed in seeds:
        run = Adversary(policy, nothing, declared(policy), seed)
        run.machine.record = True
        run.run(300)
        for event in run.machine.events:
            if event.kind == "queue":
                classes.add(run.machine.class_name(event.task))
            elif event.kind in ("pick", "keep") and event.line >= 0:
                lines.add(event.line)
        if classes >= every and len(lines) == len(policy.dispatch):
            break
    return classes, lines


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_class_and_line_is_reached(path: Path) -> None:
    policy = typed(path)
    classes, lines = reached(policy, range(400))
    assert {cls.name for cls in policy.classes} <= classes
    assert lines == set(range(len(policy.dispatch)))
