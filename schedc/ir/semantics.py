"""Reference semantics of expressions and assignments: what the typed policy means.

Input: an `ir` expression and the values of what it reads. Output: its value. Invariant: the meaning
of every operator is in `_MEANING`, in terms of the few primitives of a `Domain`; `Integers` makes
it an interpreter over Python's integers, which neither round nor wrap, and a domain of solver terms
would make the same functions an encoder. The generated C must compute the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from schedc.ir import nodes as ir
from schedc.ir.nodes import CHARGE_MIN_NS, Kind, Op

Value = TypeVar("Value")

Leaf = (
    ir.TuneRef | ir.StateRef | ir.FactRef | ir.QueueFact | ir.MatchComm | ir.MatchPath | ir.IsClass
)
"""What an expression reads from outside: the interpreter asks for its value."""


class Domain(Protocol[Value]):
    """Primitive operations. Integers and truth values may be of two sorts; both are `Value`."""

    def number(self, value: int) -> Value: ...
    def truth(self, value: bool) -> Value: ...
    def add(self, a: Value, b: Value) -> Value: ...
    def mul(self, a: Value, b: Value) -> Value: ...
    def neg(self, a: Value) -> Value: ...
    def div(self, a: Value, b: Value) -> Value: ...  # floor; b >= 1
    def less(self, a: Value, b: Value) -> Value: ...
    def equal(self, a: Value, b: Value) -> Value: ...
    def both(self, a: Value, b: Value) -> Value: ...
    def negate(self, a: Value) -> Value: ...
    def choose(self, condition: Value, then: Value, otherwise: Value) -> Value: ...


class Integers:
    """Python's integers; truth values are `bool`, which are 0 and 1."""

    def number(self, value: int) -> int:
        return value

    def truth(self, value: bool) -> int:
        return value

    def add(self, a: int, b: int) -> int:
        return a + b

    def mul(self, a: int, b: int) -> int:
        return a * b

    def neg(self, a: int) -> int:
        return -a

    def div(self, a: int, b: int) -> int:
        return a // b

    def less(self, a: int, b: int) -> int:
        return a < b

    def equal(self, a: int, b: int) -> int:
        return a == b

    def both(self, a: int, b: int) -> int:
        return bool(a) and bool(b)

    def negate(self, a: int) -> int:
        return not a

    def choose(self, condition: int, then: int, otherwise: int) -> int:
        return then if condition else otherwise


class Interpreter(Generic[Value]):
    """Evaluates over one domain. `read` gives the value of a leaf, a truth value if it is one."""

    def __init__(
        self, domain: Domain[Value], read: Callable[[Leaf], Value], stint_max_ns: int
    ) -> None:
        self.domain = domain
        self.read = read
        self.stint_max_ns = stint_max_ns

    def evaluate(self, expr: ir.Expr) -> Value:
        """The value of an expression."""
        domain = self.domain
        match expr:
            case ir.Const(value=number, type=type):
                if type.kind is Kind.BOOL:
                    return domain.truth(bool(number))
                return domain.number(number)
            case ir.Apply(op=op, args=args):
                value: Value = _MEANING[op](domain, *map(self.evaluate, args))
                return value
            case ir.Charge():
                return self._charge(expr)
            case ir.Ewma(average=average, sample=sample, numerator=part, denominator=whole):
                kept = domain.mul(self.evaluate(average), domain.number(whole - part))
                added = domain.mul(self.evaluate(sample), domain.number(part))
                divide = sdiv if expr.type.kind is Kind.LAG else _div
                return divide(domain, domain.add(kept, added), domain.number(whole))
        return self.read(expr)

    def _charge(self, expr: ir.Charge) -> Value:
        """ceil(100 * v / weight), where a stint's v is clamped first."""
        domain = self.domain
        value, weight = self.evaluate(expr.value), self.evaluate(expr.weight)
        if expr.stint:
            value = clamp(domain, value, CHARGE_MIN_NS, self.stint_max_ns)
        hundredfold = domain.mul(value, domain.number(100))
        rounding = domain.add(weight, domain.number(-1))
        return domain.div(domain.add(hundredfold, rounding), weight)

    def assigned(self, assign: ir.Assign, state: ir.State) -> Value:
        """The value of the target after an assignment: as before if its guard is false."""
        value = self.evaluate(assign.value)
        # A vtime doesn't saturate: its queue's window holds it near the clock at each insertion.
        if state.type.kind not in (Kind.BOOL, Kind.VTIME):
            value = clamp(self.domain, value, state.low, state.high)
        if assign.when is None:
            return value
        return self.domain.choose(self.evaluate(assign.when), value, self.read(assign.target))


def evaluate(expr: ir.Expr, read: Callable[[Leaf], int], stint_max_ns: int) -> int:
    """The value of an expression over Python's integers."""
    return Interpreter(Integers(), read, stint_max_ns).evaluate(expr)


def matches(pattern: ir.CommPattern, comm: bytes) -> bool:
    """Whether a task's name, as the kernel keeps it, matches a pattern."""
    return comm.startswith(pattern.text) if pattern.prefix else comm == pattern.text


def clamp(domain: Domain[Value], value: Value, low: int, high: int) -> Value:
    """The nearest value in [low, high]."""
    return _min(domain, _max(domain, value, domain.number(low)), domain.number(high))


def _sub(domain: Domain[Value], a: Value, b: Value) -> Value:
    return domain.add(a, domain.neg(b))


def _min(domain: Domain[Value], a: Value, b: Value) -> Value:
    return domain.choose(domain.less(a, b), a, b)


def _max(domain: Domain[Value], a: Value, b: Value) -> Value:
    return domain.choose(domain.less(a, b), b, a)


def _sub_sat(domain: Domain[Value], a: Value, b: Value) -> Value:
    return _max(domain, _sub(domain, a, b), domain.number(0))


def _abs_diff(domain: Domain[Value], a: Value, b: Value) -> Value:
    return domain.choose(domain.less(a, b), _sub(domain, b, a), _sub(domain, a, b))


def _div(domain: Domain[Value], a: Value, b: Value) -> Value:
    return domain.div(a, b)


def sdiv(domain: Domain[Value], a: Value, b: Value) -> Value:
    """Division towards zero, as C does it."""
    negative = domain.less(a, domain.number(0))
    below = domain.neg(domain.div(domain.neg(a), b))
    return domain.choose(negative, below, domain.div(a, b))


def _log2(domain: Domain[Value], a: Value) -> Value:
    """floor(log2(max(a, 1))): how many powers of two, from 2 on, are at most a."""
    result = domain.number(0)
    for power in range(1, 63):
        small = domain.less(a, domain.number(1 << power))
        result = domain.choose(small, result, domain.number(power))
    return result


def _either(domain: Domain[Value], a: Value, b: Value) -> Value:
    return domain.negate(domain.both(domain.negate(a), domain.negate(b)))


_MEANING: dict[Op, Callable[..., Any]] = {
    Op.ADD: lambda d, a, b: d.add(a, b),
    Op.SUB: _sub,
    Op.SUB_SAT: _sub_sat,
    Op.MUL: lambda d, a, b: d.mul(a, b),
    Op.DIV: _div,
    Op.SDIV: sdiv,
    Op.NEG: lambda d, a: d.neg(a),
    Op.MIN: _min,
    Op.MAX: _max,
    Op.ABS_DIFF: _abs_diff,
    Op.LOG2: _log2,
    Op.LT: lambda d, a, b: d.less(a, b),
    Op.LE: lambda d, a, b: d.negate(d.less(b, a)),
    Op.GT: lambda d, a, b: d.less(b, a),
    Op.GE: lambda d, a, b: d.negate(d.less(a, b)),
    Op.EQ: lambda d, a, b: d.equal(a, b),
    Op.NE: lambda d, a, b: d.negate(d.equal(a, b)),
    Op.AND: lambda d, a, b: d.both(a, b),
    Op.OR: _either,
    Op.NOT: lambda d, a: d.negate(a),
    Op.SELECT: lambda d, c, a, b: d.choose(c, a, b),
}
"""Each operator in terms of the primitives of a domain."""
