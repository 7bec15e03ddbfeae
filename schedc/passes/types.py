"""Dimensions: which operands an operator takes, and of what type the result is.

Input: the types of operands. Output: the operator of the typed policy and the type of its result,
or None where the language has no such operation. Invariant: no rule drops a dimension silently: a
time never becomes a number but by a division by a time.
"""

from __future__ import annotations

from schedc.ir.nodes import Kind, Op, Type

TIME = Type(Kind.TIME)
MOMENT = Type(Kind.MOMENT)
LAG = Type(Kind.LAG)
COUNT = Type(Kind.COUNT)
RATIO = Type(Kind.RATIO)
RATE = Type(Kind.RATE)
WEIGHT = Type(Kind.WEIGHT)
BOOL = Type(Kind.BOOL)

NUMBERS = frozenset({Kind.COUNT, Kind.RATE, Kind.WEIGHT})
"""Kinds that are plain numbers in arithmetic; what comes out is a count."""

_SPANS = frozenset({Kind.TIME, Kind.LAG})

_NOUNS = {
    Kind.TIME: "a time",
    Kind.MOMENT: "a moment",
    Kind.LAG: "a lag",
    Kind.COUNT: "a count",
    Kind.RATIO: "a ratio",
    Kind.RATE: "a rate",
    Kind.WEIGHT: "a weight",
    Kind.BOOL: "a condition",
}


def noun(type: Type) -> str:
    """How a message calls a value of the type, such as `a time`."""
    if type.kind is Kind.VTIME:
        return f"a vtime of `{type.clock}`"
    return _NOUNS[type.kind]


def add(left: Type, right: Type) -> tuple[Op, Type] | None:
    """`left + right`."""
    for one, other in ((left, right), (right, left)):
        if one.kind in (Kind.MOMENT, Kind.VTIME) and other.kind in _SPANS:
            return Op.ADD, one
    return _same_line(Op.ADD, left, right)


def subtract(left: Type, right: Type) -> tuple[Op, Type] | None:
    """`left - right`: exact where the result may be negative, else it stops at 0."""
    if left.kind in (Kind.MOMENT, Kind.VTIME):
        if right == left:
            return Op.SUB, LAG
        return (Op.SUB, left) if right.kind in _SPANS else None
    return _same_line(Op.SUB_SAT, left, right)


def _same_line(op: Op, left: Type, right: Type) -> tuple[Op, Type] | None:
    """Sums and differences of amounts: of times, of plain numbers, or of ratios."""
    if left.kind in _SPANS and right.kind in _SPANS:
        if left.kind is right.kind is Kind.TIME:
            return op, TIME
        return (Op.SUB if op is Op.SUB_SAT else op), LAG
    if left.kind in NUMBERS and right.kind in NUMBERS:
        return op, COUNT
    return (op, RATIO) if left.kind is right.kind is Kind.RATIO else None


def multiply(left: Type, right: Type) -> tuple[Op, Type] | None:
    """`left * right`, where neither is a ratio."""
    for one, other in ((left, right), (right, left)):
        if other.kind in NUMBERS and one.kind in _SPANS:
            return Op.MUL, one
    return (Op.MUL, COUNT) if left.kind in NUMBERS and right.kind in NUMBERS else None


def part_of(type: Type) -> Type | None:
    """The type of a ratio of a value, `30% * x`; None if a value of it has no parts."""
    return COUNT if type.kind in NUMBERS else type if type.kind in _SPANS else None


def divide(left: Type, right: Type) -> tuple[Op, Type] | None:
    """`left / right`: rounds down, or towards 0 where the dividend may be negative."""
    if left.kind is right.kind is Kind.TIME:
        return Op.DIV, COUNT
    if right.kind in NUMBERS:
        if left.kind is Kind.LAG:
            return Op.SDIV, LAG
        if left.kind is Kind.TIME:
            return Op.DIV, TIME
        if left.kind in NUMBERS:
            return Op.DIV, COUNT
    return None


def unify(left: Type, right: Type) -> Type | None:
    """The type of a value that is one of two, as in `min`, `table` and `ewma`."""
    if left == right:
        return left
    if left.kind in _SPANS and right.kind in _SPANS:
        return LAG
    for one, other in ((left, right), (right, left)):
        if one.kind is Kind.COUNT and other.kind in NUMBERS:
            return one
    return None


def larger(left: Type, right: Type) -> Type | None:
    """The type of `max(left, right)`: what is at least a time is a time."""
    if left.kind in _SPANS and right.kind in _SPANS and left != right:
        return TIME
    return unify(left, right)


def comparable(left: Type, right: Type, *, equality: bool) -> bool:
    """Whether `left < right` (or `left == right`) means something."""
    if left.kind is right.kind is Kind.BOOL:
        return equality
    return unify(left, right) is not None


def assignable(target: Type, value: Type) -> bool:
    """Whether a state of type `target` may hold the value, saturated into its range."""
    if target == value or (target.kind is Kind.LAG and value.kind is Kind.TIME):
        return True
    # A rate or weight that was computed with is a count, and a count may become one again.
    return Kind.COUNT in (target.kind, value.kind) and {target.kind, value.kind} <= NUMBERS


def distance(left: Type, right: Type) -> Type | None:
    """The type of `abs_diff(left, right)`."""
    if left.kind in NUMBERS and right.kind in NUMBERS:
        return COUNT if unify(left, right) is not None else None
    found = subtract(left, right)
    return TIME if found is not None and found[1].kind in _SPANS else None
