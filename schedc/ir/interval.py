"""Interval analysis of expressions: between which integers a value can lie.

Input: an `ir` expression and an environment of intervals. Output: an interval that contains every
value that `ir.semantics.evaluate` can give. Invariant: sound for every operator, division by an
interval that holds 0 included (there the divisor is taken as at least 1, and `passes.bounds`
reports it); shared subexpressions are evaluated once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from schedc.ir import nodes as ir
from schedc.ir.facts import FACTS, RANGES
from schedc.ir.nodes import CHARGE_MIN_NS, Interval, Op

S64 = Interval(-(1 << 63), (1 << 63) - 1)


@dataclass(slots=True)
class Ranges:
    """What is known of names; `stint_max_ns` as in `Policy`. `memo` holds what was worked out."""

    tunes: Mapping[str, Interval]
    states: Mapping[tuple[str, str], Interval]
    weight: Interval
    stint_max_ns: int
    memo: dict[int, tuple[ir.Expr, Interval]] = field(default_factory=dict)

    @property
    def stint(self) -> Interval:
        """The range of a stint's length as it is charged."""
        return Interval(CHARGE_MIN_NS, self.stint_max_ns)


def interval(expr: ir.Expr, env: Ranges) -> Interval:
    """The interval of an expression."""
    # The memo keeps the expression alive, so that its id isn't given to another one.
    found = env.memo.get(id(expr))
    if found is not None:
        return found[1]
    result = _interval(expr, env)
    env.memo[id(expr)] = (expr, result)
    return result


def _interval(expr: ir.Expr, env: Ranges) -> Interval:
    match expr:
        case ir.Const(value=value):
            return Interval(value, value)
        case ir.TuneRef(name=name):
            return env.tunes[name]
        case ir.StateRef(scope=scope, name=name):
            return env.states[(scope, name)]
        case ir.FactRef(name="weight"):
            return env.weight
        case ir.FactRef(name=name):
            return FACTS[name].range
        case ir.QueueFact(type=type):
            return RANGES[type.kind]
        case ir.Apply(op=op, args=args):
            return _TABLE[op](*[interval(argument, env) for argument in args])
        case ir.Charge(value=value, weight=weight, stint=stint):
            amount, divisor = interval(value, env), positive(interval(weight, env))
            if stint:
                amount = _clamp(amount, env.stint)
            return Interval(
                -(-100 * amount.low // divisor.high), -(-100 * amount.high // divisor.low)
            )
        case ir.Ewma():
            return _ewma(expr, env)
        case ir.MatchComm() | ir.MatchPath() | ir.IsClass():
            return Interval(0, 1)


def intermediates(expr: ir.Expr, env: Ranges) -> tuple[Interval, ...]:
    """What is computed on the way to the value by an expression that takes several steps."""
    match expr:
        case ir.Charge(value=value, weight=weight, stint=stint):
            amount, divisor = interval(value, env), positive(interval(weight, env))
            if stint:
                amount = _clamp(amount, env.stint)
            return (Interval(100 * amount.low, 100 * amount.high + divisor.high - 1),)
        case ir.Ewma(numerator=part, denominator=whole):
            average, sample = interval(expr.average, env), interval(expr.sample, env)
            kept, added = _times(average, whole - part), _times(sample, part)
            return kept, added, _add(kept, added)
    return ()


def positive(divisor: Interval) -> Interval:
    """The part of a divisor's interval that a division is made with."""
    return Interval(max(divisor.low, 1), max(divisor.high, 1))


def join(left: Interval, right: Interval) -> Interval:
    """The smallest interval that holds both."""
    return Interval(min(left.low, right.low), max(left.high, right.high))


def _clamp(value: Interval, limits: Interval) -> Interval:
    low = min(max(value.low, limits.low), limits.high)
    return Interval(low, min(max(value.high, limits.low), limits.high))


def _ewma(expr: ir.Ewma, env: Ranges) -> Interval:
    total = intermediates(expr, env)[-1]
    whole = Interval(expr.denominator, expr.denominator)
    rounded = _sdiv(total, whole) if expr.type.kind is ir.Kind.LAG else _div(total, whole)
    # A weighted mean lies between what it averages: tighter than the sum of products when wide.
    hull = join(interval(expr.average, env), interval(expr.sample, env))
    return Interval(max(rounded.low, hull.low), min(rounded.high, hull.high))


def _add(a: Interval, b: Interval) -> Interval:
    return Interval(a.low + b.low, a.high + b.high)


def _sub(a: Interval, b: Interval) -> Interval:
    return Interval(a.low - b.high, a.high - b.low)


def _sub_sat(a: Interval, b: Interval) -> Interval:
    exact = _sub(a, b)
    return Interval(max(exact.low, 0), max(exact.high, 0))


def _times(a: Interval, factor: int) -> Interval:
    return Interval(a.low * factor, a.high * factor)


def _mul(a: Interval, b: Interval) -> Interval:
    corners = (a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high)
    return Interval(min(corners), max(corners))


def _div(a: Interval, b: Interval) -> Interval:
    b = positive(b)
    corners = (a.low // b.low, a.low // b.high, a.high // b.low, a.high // b.high)
    return Interval(min(corners), max(corners))


def _sdiv(a: Interval, b: Interval) -> Interval:
    b = positive(b)
    corners = [toward_zero(x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
    return Interval(min(corners), max(corners))


def toward_zero(dividend: int, divisor: int) -> int:
    """Division that drops the fraction, as C does."""
    quotient = abs(dividend) // abs(divisor)
    return quotient if (dividend < 0) == (divisor < 0) else -quotient


def _abs_diff(a: Interval, b: Interval) -> Interval:
    exact = _sub(a, b)
    nearest = 0 if exact.low <= 0 <= exact.high else min(abs(exact.low), abs(exact.high))
    return Interval(nearest, max(abs(exact.low), abs(exact.high)))


def _log2(a: Interval) -> Interval:
    return Interval(max(a.low, 1).bit_length() - 1, max(a.high, 1).bit_length() - 1)


def _compare(
    always: Callable[[Interval, Interval], bool], never: Callable[[Interval, Interval], bool]
) -> Callable[[Interval, Interval], Interval]:
    def compare(a: Interval, b: Interval) -> Interval:
        return Interval(int(always(a, b)), int(not never(a, b)))

    return compare


def _is_equal(a: Interval, b: Interval) -> bool:
    return a.low == a.high == b.low == b.high


def _is_apart(a: Interval, b: Interval) -> bool:
    return a.high < b.low or b.high < a.low


def _select(condition: Interval, then: Interval, otherwise: Interval) -> Interval:
    if condition.low == 1:
        return then
    return otherwise if condition.high == 0 else join(then, otherwise)


_TABLE: dict[Op, Callable[..., Interval]] = {
    Op.ADD: _add,
    Op.SUB: _sub,
    Op.SUB_SAT: _sub_sat,
    Op.MUL: _mul,
    Op.DIV: _div,
    Op.SDIV: _sdiv,
    Op.NEG: lambda a: Interval(-a.high, -a.low),
    Op.MIN: lambda a, b: Interval(min(a.low, b.low), min(a.high, b.high)),
    Op.MAX: lambda a, b: Interval(max(a.low, b.low), max(a.high, b.high)),
    Op.ABS_DIFF: _abs_diff,
    Op.LOG2: _log2,
    Op.LT: _compare(lambda a, b: a.high < b.low, lambda a, b: a.low >= b.high),
    Op.LE: _compare(lambda a, b: a.high <= b.low, lambda a, b: a.low > b.high),
    Op.GT: _compare(lambda a, b: a.low > b.high, lambda a, b: a.high <= b.low),
    Op.GE: _compare(lambda a, b: a.low >= b.high, lambda a, b: a.high < b.low),
    Op.EQ: _compare(_is_equal, _is_apart),
    Op.NE: _compare(_is_apart, _is_equal),
    Op.AND: lambda a, b: Interval(a.low & b.low, a.high & b.high),
    Op.OR: lambda a, b: Interval(a.low | b.low, a.high | b.high),
    Op.NOT: lambda a: Interval(1 - a.high, 1 - a.low),
    Op.SELECT: _select,
}
"""The transfer rule of each operator."""
