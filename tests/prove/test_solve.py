"""Queries and what the solver says of them: verdicts, texts, messages."""

import re
import subprocess
import sys

import pytest
import z3

from schedc.ir.nodes import Kind, Type
from schedc.prove.narrow import narrow
from schedc.prove.parameters import declared
from schedc.prove.result import Verdict
from schedc.prove.solve import LIMIT, VACUOUS, Query, smt2, solve
from tests.prove.written import SHIPPED, written

X, Y = z3.Int("tune.x"), z3.Int("y")


def query(*hypotheses: z3.BoolRef, goal: z3.BoolRef, **more: object) -> Query:
    return Query("a.b", "bounded", "it holds", None, hypotheses, goal, **more)  # type: ignore[arg-type]


def test_proved() -> None:
    (found,) = solve([query(X >= 1, goal=X + 1 >= 2)])
    assert found.verdict is Verdict.proved
    assert found.reason == found.hint == ""
    assert found.rlimit > 0


def test_a_step_that_may_fail_is_unproven() -> None:
    (found,) = solve([query(X >= 0, goal=X >= 1, reason="x may be 0", hint="write max(x, 1)")])
    assert found.verdict is Verdict.unproven
    assert (found.reason, found.hint) == ("x may be 0", "write max(x, 1)")


def test_a_model_is_told_in_the_policys_words() -> None:
    shown = (("tune.x", Type(Kind.TIME)), ("tune.unused", Type(Kind.TIME)))
    asked = query(X >= 0, X <= 5_000_000, goal=X < 5_000_000, refutes=True, shown=shown)
    (found,) = solve([asked])
    assert found.verdict is Verdict.refuted
    assert found.reason == "it fails, with tune.x = 5ms"


def test_contradictory_hypotheses_prove_nothing() -> None:
    (found,) = solve([query(X > 0, X < 0, goal=z3.BoolVal(False))])
    assert (found.verdict, found.reason) == (Verdict.unproven, VACUOUS)


def test_the_limit_is_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("schedc.prove.solve.RLIMIT", 10)
    hard = [z3.Int(f"x{i}") for i in range(12)]
    goal = z3.Not(z3.And(z3.Distinct(*hard), z3.Sum(hard) == 100))
    (found,) = solve([query(*[z3.And(x >= 1, x <= 12) for x in hard], goal=goal)])
    assert (found.verdict, found.reason) == (Verdict.unproven, LIMIT)


def test_the_text_is_standard_and_ends_with_the_check() -> None:
    text = smt2(query(X >= 0, goal=z3.Or(X > Y, X <= Y)))
    assert text.startswith("(set-logic QF_LIA)\n(declare-fun tune.x () Int)")
    assert text.endswith("(check-sat)\n") and text.count("(check-sat)") == 1
    assert not re.search(r"set-info|set-option|push|get-model", text)


@pytest.mark.parametrize(
    ("logic", "goal"),
    [
        ("QF_LIA", X > Y),
        ("QF_UFLIA", z3.Function("f", z3.IntSort(), z3.BoolSort())(X)),
        ("QF_BV", z3.ULT(z3.BitVec("b", 8) & 3, 4)),
        ("ALL", z3.ForAll([Y], Y > X)),
    ],
)
def test_the_logic_is_the_least(logic: str, goal: z3.BoolRef) -> None:
    assert smt2(query(goal=goal)).startswith(f"(set-logic {logic})")


def test_the_text_does_not_depend_on_what_was_printed_before() -> None:
    shared = z3.If(X > Y, X, Y) + 1
    asked = query(shared > 3, goal=shared * 2 > shared)
    first = smt2(asked)
    assert "?0" in first  # there is a shared term
    extra = [z3.Int(f"unused.{i}") * 3 > 1 for i in range(50)]
    smt2(query(*extra, goal=extra[0]))
    shared = z3.If(X > Y, X, Y) + 1
    assert smt2(query(shared > 3, goal=shared * 2 > shared)) == first


_DIGEST = """
import hashlib, sys
from pathlib import Path
from schedc.prove.obligations.placed import placed
from schedc.prove.parameters import declared
from schedc.prove.solve import smt2
from tests.prove.written import written
policy = written(Path(sys.argv[1]).read_text())
texts = [smt2(query) for query in placed(policy, declared(policy))]
print(hashlib.sha256("".join(texts).encode()).hexdigest())
"""


def test_every_process_gives_the_same_text() -> None:
    digests = set()
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", _DIGEST, str(SHIPPED[0])],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."}, capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        digests.add(done.stdout)
    assert len(digests) == 1


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_narrowing_to_what_is_declared_changes_nothing(path: object) -> None:
    policy = written(path.read_text())  # type: ignore[attr-defined]
    assert narrow(policy, declared(policy)) == policy
