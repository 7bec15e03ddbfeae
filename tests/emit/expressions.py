"""Random expressions that the language would take, and inputs weighted to the edges of ranges.

An expression is taken only if the checks of the language would take it: no intermediate leaves 64
bits, divisors are at least 1. Leaves are tunables, each with a range of its own.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from schedc.ir import nodes as ir
from schedc.ir.interval import S64, Interval, Ranges, intermediates, interval
from schedc.ir.nodes import Kind, Op
from schedc.ir.semantics import Leaf
from schedc.source import Span

HERE = Span(0, 0)
COUNT, LAG, TIME, BOOL = (ir.Type(kind) for kind in (Kind.COUNT, Kind.LAG, Kind.TIME, Kind.BOOL))
YEAR = 366 * 24 * 3600 * 10**9
LEAVES = {
    "a": Interval(0, YEAR), "b": Interval(-YEAR, YEAR), "c": Interval(0, 1 << 40),
    "d": Interval(1, 10_000), "e": Interval(0, 100_000_000), "f": Interval(-(1 << 61), 1 << 61),
    "g": Interval(S64.low, S64.high), "h": Interval(0, 1),
}  # fmt: skip
"""Tunables that expressions read: ranges of times, lags, counts, weights, keys, everything."""

ENV = Ranges(dict(LEAVES), {}, Interval(1, 10_000), 24_000_000)
EXPRESSIONS = 250
BINARY = (Op.ADD, Op.SUB, Op.SUB_SAT, Op.MUL, Op.MIN, Op.MAX, Op.ABS_DIFF)
COMPARE = (Op.LT, Op.LE, Op.GT, Op.GE, Op.EQ, Op.NE)


def apply(op: Op, type_: ir.Type, *args: ir.Expr) -> ir.Expr:
    return ir.Apply(op, args, type_, HERE)


def const(value: int) -> ir.Expr:
    return ir.Const(value, TIME if value >= 0 else LAG, HERE)


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes random expressions that the language would take."""

    random: random.Random

    def value(self, depth: int) -> ir.Expr:
        """An integer, all of whose intermediates fit."""
        while True:
            made = self._value(depth)
            if all(
                S64.low <= i.low and i.high <= S64.high
                for i in (interval(made, ENV), *intermediates(made, ENV))
            ):
                return made

    def _value(self, depth: int) -> ir.Expr:
        draw = self.random
        if depth == 0 or draw.random() < 0.15:
            if draw.random() < 0.3:
                return const(
                    draw.choice(
                        (
                            0,
                            1,
                            2,
                            3,
                            999,
                            1_000_000,
                            -1_000,
                            20_000_000,
                            1 << 31,
                            -(1 << 40),
                            1 << 62,
                        )
                    )
                )
            return ir.TuneRef(draw.choice("abcdefg"), LAG, HERE)
        match draw.randrange(8):
            case 0 | 1 | 2:
                return apply(draw.choice(BINARY), LAG, self.value(depth - 1), self.value(depth - 1))
            case 3:
                dividend, divisor = self.at_least(0, depth - 1), self.at_least(1, depth - 1)
                return apply(Op.DIV, COUNT, dividend, divisor)
            case 4:
                return apply(Op.SDIV, LAG, self.value(depth - 1), self.at_least(1, depth - 1))
            case 5:
                one = self.value(depth - 1)
                return (
                    apply(Op.NEG, LAG, one) if draw.random() < 0.5 else apply(Op.LOG2, COUNT, one)
                )
            case 6:
                return apply(
                    Op.SELECT,
                    LAG,
                    self.condition(depth - 1),
                    self.value(depth - 1),
                    self.value(depth - 1),
                )
            case _:
                return self._charge(depth) if draw.random() < 0.5 else self._ewma(depth)

    def _charge(self, depth: int) -> ir.Expr:
        stint = self.random.random() < 0.5
        return ir.Charge(
            self.at_least(0, depth - 1), self.at_least(1, depth - 1), stint, TIME, HERE
        )

    def _ewma(self, depth: int) -> ir.Expr:
        whole = self.random.choice((2, 3, 4, 8, 1024))
        part = self.random.randrange(1, whole)
        if self.random.random() < 0.5:
            return ir.Ewma(self.value(depth - 1), self.value(depth - 1), part, whole, LAG, HERE)
        return ir.Ewma(
            self.at_least(0, depth - 1), self.at_least(0, depth - 1), part, whole, TIME, HERE
        )

    def at_least(self, low: int, depth: int) -> ir.Expr:
        one = self.value(max(depth, 0))
        return one if interval(one, ENV).low >= low else apply(Op.MAX, COUNT, one, const(low))

    def condition(self, depth: int) -> ir.Expr:
        draw = self.random
        if depth <= 0 or draw.random() < 0.5:
            if draw.random() < 0.2:
                return ir.TuneRef("h", BOOL, HERE)
            return apply(
                draw.choice(COMPARE), BOOL, self.value(max(depth, 0)), self.value(max(depth, 0))
            )
        if draw.random() < 0.3:
            return apply(Op.NOT, BOOL, self.condition(depth - 1))
        return apply(
            draw.choice((Op.AND, Op.OR)), BOOL, self.condition(depth - 1), self.condition(depth - 1)
        )

def inputs(draw: random.Random, leaves: Mapping[str, Interval]) -> dict[str, int]:
    """A value for each leaf: often an end, a power of two, or near another leaf's value."""
    chosen: dict[str, int] = {}
    for name, range_ in leaves.items():
        match draw.randrange(6):
            case 0:
                value = draw.choice((range_.low, range_.high))
            case 1:
                value = draw.choice((range_.low + 1, range_.high - 1, 0, 1, -1, 99, 100, 101))
            case 2:
                value = draw.choice((1, -1)) * (1 << draw.randrange(64)) + draw.randrange(-1, 2)
            case 3:
                value = draw.choice((0, *chosen.values())) + draw.randrange(-1, 2)
            case 4:
                value = draw.choice((1, -1)) * draw.getrandbits(draw.randrange(1, 64))
            case _:
                value = draw.randint(range_.low, range_.high)
        chosen[name] = min(max(value, range_.low), range_.high)
    return chosen


def random_expressions(seed: int) -> tuple[ir.Expr, ...]:
    maker = Maker(random.Random(seed))
    return tuple(maker.value(4) for _ in range(EXPRESSIONS))


def every_operator() -> tuple[ir.Expr, ...]:
    """Each operator once, on leaves."""
    a, b, d, e = (ir.TuneRef(name, LAG, HERE) for name in "abde")
    binary = [apply(op, LAG, a, b) for op in (*BINARY, *COMPARE) if op is not Op.MUL]
    tests = [apply(Op.LT, BOOL, a, b), ir.TuneRef("h", BOOL, HERE)]
    expressions = (
        *binary, apply(Op.MUL, LAG, e, d), apply(Op.DIV, COUNT, a, d), apply(Op.SDIV, LAG, b, d),
        apply(Op.NEG, LAG, b), apply(Op.LOG2, COUNT, e), apply(Op.SELECT, LAG, tests[0], a, b),
        apply(Op.AND, BOOL, *tests), apply(Op.OR, BOOL, *tests), apply(Op.NOT, BOOL, tests[1]),
        *(ir.Charge(x, d, stint, TIME, HERE) for x in (a, e) for stint in (True, False)),
        *(ir.Ewma(x, y, 1, 4, t, HERE) for x, y, t in ((a, e, TIME), (b, e, LAG), (e, b, LAG))),
    )  # fmt: skip
    assert {one.op for one in expressions if isinstance(one, ir.Apply)} == set(Op)
    return expressions


def some_inputs(seed: int, count: int) -> list[dict[str, int]]:
    draw = random.Random(seed)
    return [inputs(draw, LEAVES) for _ in range(count)]


def reader(row: Mapping[str, int]) -> Callable[[Leaf], int]:
    """What the leaves are worth in a row of inputs."""

    def read(leaf: Leaf) -> int:
        assert isinstance(leaf, ir.TuneRef)
        return row[leaf.name]

    return read
