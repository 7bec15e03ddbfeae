"""One meaning in three places: reference semantics, generated C, solver terms.

Random expressions, and everything that the shipped policies compute (conditions, keys, slices,
whole event handlers), on inputs weighted to the edges of their ranges. The C is the generator's
text with the runtime's arithmetic, compiled for this machine; terms are those that obligations are
made of. The hypotheses that come with the terms must hold of every input, else the prover would
assume too much.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from schedc.ir import nodes as ir
from schedc.ir.semantics import evaluate
from schedc.prove.parameters import Parameters, declared
from schedc.prove.terms import Environment
from tests.emit.expressions import (
    BOOL,
    ENV,
    HERE,
    LAG,
    LEAVES,
    every_operator,
    inputs,
    random_expressions,
    reader,
    some_inputs,
)
from tests.emit.generated import PATHS
from tests.emit.native import compiled, plain, twins
from tests.prove.compared import Compared
from tests.prove.encoded import Encoded, encoded

SHIPPED = [p for p in PATHS if "stdlib_policies" in p.parts or "examples" in p.parts]
COMPUTING = [path for path in SHIPPED if Compared(path).items]


def terms_of(expressions: Sequence[ir.Expr]) -> Encoded:
    """Expressions over `LEAVES` as terms."""
    env = Environment(plain(), Parameters(64, ENV.weight, tuple(LEAVES.items())))
    terms = [env.evaluate(one) for one in expressions]
    types = {name: BOOL if limits.high == 1 else LAG for name, limits in LEAVES.items()}
    leaves = [env.read(ir.TuneRef(name, type_, HERE)) for name, type_ in types.items()]
    return encoded(env, leaves, terms)


def compare(expressions: Sequence[ir.Expr], rows: Sequence[dict[str, int]], folder: Path) -> int:
    """How many values were compared; any difference fails."""
    native, terms = iter(twins(expressions, folder).computed(rows)), terms_of(expressions)
    for row in rows:
        for expr, solved in zip(expressions, terms.values(row.values()), strict=True):
            meant = evaluate(expr, reader(row), ENV.stint_max_ns)
            assert meant == next(native) == solved, (row, expr)
    return len(rows) * len(expressions)


def compare_policy(path: Path, seed: int, count: int, folder: Path) -> int:
    """The same for everything that a policy computes, on `count` rows of inputs."""
    whole, draw = Compared(path), random.Random(seed)
    rows = [whole.row(partial(inputs, draw)) for _ in range(count)]
    native = iter(compiled(whole.variables, whole.items, folder).computed(rows))
    env = Environment(whole.policy, declared(whole.policy))
    terms = encoded(env, [env.read(leaf) for leaf in whole.leaves.values()], whole.terms(env))
    for row in rows:
        meant = whole.meaning(whole.reader(row))
        for value, solved in zip(meant, terms.values(row.values()), strict=True):
            assert value == next(native) == solved, (path.name, row)
    return len(rows) * len(meant)


def test_random_expressions(tmp_path: Path) -> None:
    assert compare(random_expressions(4), some_inputs(5, 100), tmp_path) == 25_000


def test_every_operator_on_the_edges(tmp_path: Path) -> None:
    assert compare(every_operator(), some_inputs(6, 1000), tmp_path) > 25_000


@pytest.mark.parametrize("path", COMPUTING, ids=lambda path: path.stem)
def test_all_that_a_policy_computes(path: Path, tmp_path: Path) -> None:
    assert compare_policy(path, 7, 1000, tmp_path) >= 1000


def test_few_policies_compute_nothing() -> None:
    assert {path.stem for path in SHIPPED} - {path.stem for path in COMPUTING} == {
        "fifo", "first", "tickless",
    }  # fmt: skip


def campaign(total: int, folder: Path) -> Iterator[int]:
    """Compares at least `total` values: random expressions, new ones every 25,000, and every
    policy on new inputs for as many."""
    done = seed = 0
    while done < total:
        one, other = folder / f"{seed}", folder / f"{seed}p"
        one.mkdir()
        other.mkdir()
        done += compare(random_expressions(1000 + seed), some_inputs(~seed, 100), one)
        done += compare_policy(COMPUTING[seed % len(COMPUTING)], seed, 2_500, other)
        seed += 1
        yield done


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_ten_million_values(tmp_path: Path) -> None:
    assert max(campaign(10_000_000, tmp_path)) >= 10_000_000
