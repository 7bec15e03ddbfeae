"""The generated C computes what the reference semantics says: random expressions on both.

Expressions are printed as the generator prints them, compiled natively for this machine with the
runtime's own arithmetic, and run on inputs weighted to the edges of their ranges.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from schedc.ir import nodes as ir
from schedc.ir.nodes import Op
from schedc.ir.semantics import evaluate
from tests.emit.expressions import (
    ENV,
    every_operator,
    random_expressions,
    reader,
    some_inputs,
)
from tests.emit.native import twins


def compare(expressions: Sequence[ir.Expr], rows: list[dict[str, int]], folder: Path) -> int:
    """How many values were compared; any difference fails."""
    got = iter(twins(expressions, folder).computed(rows))
    for row in rows:
        for expr in expressions:
            assert next(got) == evaluate(expr, reader(row), ENV.stint_max_ns), (row, expr)
    return len(rows) * len(expressions)


def test_generated_c_means_what_the_semantics_says(tmp_path: Path) -> None:
    assert compare(random_expressions(1), some_inputs(2, 120), tmp_path) == 30_000


def test_each_operator_on_the_edges(tmp_path: Path) -> None:
    assert compare(every_operator(), some_inputs(3, 2700), tmp_path) > 70_000


def test_every_operator_takes_part(tmp_path: Path) -> None:
    seen: set[object] = set()
    todo = list(random_expressions(1))
    while todo:
        one = todo.pop()
        seen.add(one.op if isinstance(one, ir.Apply) else type(one))
        if isinstance(one, ir.Apply):
            todo += one.args
        elif isinstance(one, ir.Charge):
            todo += (one.value, one.weight)
        elif isinstance(one, ir.Ewma):
            todo += (one.average, one.sample)
    assert seen >= {*Op, ir.Charge, ir.Ewma, ir.Const, ir.TuneRef}
