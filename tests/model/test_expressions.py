"""Expressions as Python functions have the meaning that the interpreter gives them."""

from __future__ import annotations

import random

from schedc.ir import nodes as ir
from schedc.ir.semantics import Leaf, evaluate
from schedc.model.expressions import Body, compiled
from tests.emit.expressions import EXPRESSIONS, LEAVES, Maker


def test_functions_mean_what_the_interpreter_says() -> None:
    draw = random.Random(11)
    maker = Maker(draw)
    stint_max = 24_000_000
    for number in range(EXPRESSIONS):
        expr = maker.value(4) if number % 2 else maker.condition(3)
        names = list(LEAVES)
        body = Body(lambda leaf: f"m[{leaf.name!r}]", stint_max)
        function = compiled(body.function(body.value(expr)), {})
        for _ in range(40):
            values = {name: _value(draw, LEAVES[name]) for name in names}

            def read(leaf: Leaf, values: dict[str, int] = values) -> int:
                assert isinstance(leaf, ir.TuneRef)
                return values[leaf.name]

            assert int(function(values, None, 0, 0, 0)) == int(evaluate(expr, read, stint_max))


def _value(draw: random.Random, range_: ir.Interval) -> int:
    ends = (range_.low, range_.low + 1, range_.high - 1, range_.high, 0, 1)
    if draw.random() < 0.5:
        return min(max(draw.choice(ends), range_.low), range_.high)
    return draw.randint(range_.low, range_.high)
