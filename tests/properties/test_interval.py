"""Intervals contain what the reference semantics computes, for random expressions and values."""

import operator

import pytest
from hypothesis import given, settings, strategies as st

from schedc.ir import nodes as ir
from schedc.ir.interval import Interval, Ranges, interval, join
from schedc.ir.nodes import Kind, Op
from schedc.ir.semantics import Integers, Interpreter, evaluate, matches
from schedc.source import Span

HERE = Span(0, 0)
COUNT, LAG, BOOL = ir.Type(Kind.COUNT), ir.Type(Kind.LAG), ir.Type(Kind.BOOL)
NAMES = ("a", "b", "c")
STINT_MAX = 24_000_000

numbers = st.integers(-(1 << 20), 1 << 20) | st.sampled_from([-1, 0, 1, 2, 3, 1 << 40, -(1 << 40)])


def apply(op: Op, type: ir.Type, *args: ir.Expr) -> ir.Expr:
    return ir.Apply(op, args, type, HERE)


def at_least_1(expr: ir.Expr) -> ir.Expr:
    return apply(Op.MAX, COUNT, expr, ir.Const(1, COUNT, HERE))


def max_0(expr: ir.Expr) -> ir.Expr:
    return apply(Op.MAX, COUNT, expr, ir.Const(0, COUNT, HERE))


def grow(values: st.SearchStrategy[ir.Expr]) -> st.SearchStrategy[ir.Expr]:
    """Larger values from smaller ones, divisors and dividends as the language ensures them."""
    binary = st.sampled_from([Op.ADD, Op.SUB, Op.SUB_SAT, Op.MUL, Op.MIN, Op.MAX, Op.ABS_DIFF])
    compare = st.sampled_from([Op.LT, Op.LE, Op.GT, Op.GE, Op.EQ, Op.NE])
    conditions = st.builds(apply, compare, st.just(BOOL), values, values)
    logic = st.builds(
        apply, st.sampled_from([Op.AND, Op.OR]), st.just(BOOL), conditions, conditions
    )
    conditions = conditions | logic | st.builds(lambda c: apply(Op.NOT, BOOL, c), conditions)
    ratio = st.tuples(st.integers(1, 1023), st.integers(1, 1023)).filter(
        lambda pair: pair[0] != pair[1]
    )
    return (
        st.builds(apply, binary, st.just(LAG), values, values)
        | st.builds(lambda a: apply(Op.NEG, LAG, a), values)
        | st.builds(lambda a: apply(Op.LOG2, COUNT, a), values)
        | st.builds(lambda a, b: apply(Op.DIV, COUNT, max_0(a), at_least_1(b)), values, values)
        | st.builds(lambda a, b: apply(Op.SDIV, LAG, a, at_least_1(b)), values, values)
        | st.builds(lambda c, a, b: apply(Op.SELECT, LAG, c, a, b), conditions, values, values)
        | st.builds(
            lambda v, w, s: ir.Charge(max_0(v), at_least_1(w), s, COUNT, HERE),
            values, values, st.booleans(),
        )
        | st.builds(
            lambda a, b, r, t: ir.Ewma(a, b, min(r), max(r), t, HERE),
            values, values, ratio, st.sampled_from([COUNT, LAG]),
        )
    )  # fmt: skip


leaves = st.builds(lambda n: ir.Const(n, LAG, HERE), numbers) | st.builds(
    lambda name: ir.StateRef("task", name, LAG, HERE), st.sampled_from(NAMES)
)
expressions = st.recursive(leaves, grow, max_leaves=12)
ranges = st.tuples(numbers, numbers).map(lambda ends: Interval(min(ends), max(ends)))


@settings(max_examples=150, deadline=None)
@given(expressions, st.fixed_dictionaries(dict.fromkeys(NAMES, ranges)), st.data())
def test_an_interval_contains_every_value(expr, known, data) -> None:  # type: ignore[no-untyped-def]
    env = Ranges({}, {("task", name): found for name, found in known.items()},
                 Interval(1, 10_000), STINT_MAX)  # fmt: skip
    found = interval(expr, env)
    ends = st.sampled_from
    for _ in range(4):
        values = {
            name: data.draw(st.integers(one.low, one.high) | ends([one.low, one.high]))
            for name, one in known.items()
        }
        value = evaluate(expr, lambda leaf, at=values: at[leaf.name], STINT_MAX)  # type: ignore[union-attr,misc]
        assert found.low <= value <= found.high


TRUTH = [
    (Op.ADD, operator.add), (Op.SUB, operator.sub), (Op.MUL, operator.mul),
    (Op.MIN, min), (Op.MAX, max), (Op.LT, operator.lt), (Op.LE, operator.le), (Op.GT, operator.gt),
    (Op.GE, operator.ge), (Op.EQ, operator.eq), (Op.NE, operator.ne),
    (Op.SUB_SAT, lambda a, b: max(a - b, 0)), (Op.ABS_DIFF, lambda a, b: abs(a - b)),
]  # fmt: skip


@pytest.mark.parametrize(("op", "meaning"), TRUTH, ids=[op.value for op, _ in TRUTH])
@settings(max_examples=100)
@given(a=numbers, b=numbers)
def test_operators_mean_what_they_say(op, meaning, a, b) -> None:  # type: ignore[no-untyped-def]
    expr = apply(op, COUNT, ir.Const(a, COUNT, HERE), ir.Const(b, COUNT, HERE))
    assert evaluate(expr, lambda leaf: 0, 0) == meaning(a, b)


def const(value: int) -> ir.Const:
    return ir.Const(value, LAG, HERE)


@pytest.mark.parametrize(
    ("expr", "value"),
    [
        (apply(Op.DIV, COUNT, const(7), const(2)), 3),
        (apply(Op.SDIV, LAG, const(-7), const(2)), -3),
        (apply(Op.SDIV, LAG, const(7), const(2)), 3),
        (apply(Op.LOG2, COUNT, const(0)), 0),
        (apply(Op.LOG2, COUNT, const(1)), 0),
        (apply(Op.LOG2, COUNT, const(8)), 3),
        (apply(Op.LOG2, COUNT, const((1 << 62) - 1)), 61),
        (apply(Op.LOG2, COUNT, const(1 << 62)), 62),
        (ir.Charge(const(1), const(300), False, COUNT, HERE), 1),
        (ir.Charge(const(0), const(300), False, COUNT, HERE), 0),
        (ir.Charge(const(0), const(100), True, COUNT, HERE), ir.CHARGE_MIN_NS),
        (ir.Charge(const(1 << 60), const(100), True, COUNT, HERE), STINT_MAX),
        (ir.Ewma(const(100), const(0), 1, 4, COUNT, HERE), 75),
        (ir.Ewma(const(-101), const(0), 1, 4, LAG, HERE), -75),
    ],
)
def test_values(expr: ir.Expr, value: int) -> None:
    assert evaluate(expr, lambda leaf: 0, STINT_MAX) == value


def test_an_assignment_saturates_and_obeys_its_guard() -> None:
    target = ir.StateRef("task", "x", COUNT, HERE)
    state = ir.State("task", "x", COUNT, 0, 10, True, const(0), HERE)
    run = Interpreter(Integers(), lambda leaf: 5, 0)
    for value, guard, expected in ((99, None, 10), (-1, None, 0), (7, True, 7), (7, False, 5)):
        when = None if guard is None else ir.Const(int(guard), BOOL, HERE)
        assign = ir.Assign(target, const(value), when, True, True, HERE)
        assert run.assigned(assign, state) == expected


def test_comm_patterns() -> None:
    assert matches(ir.CommPattern(b"cc1", True), b"cc1plus")
    assert not matches(ir.CommPattern(b"cc1", False), b"cc1plus")
    assert matches(ir.CommPattern(b"nginx", False), b"nginx")


@given(ranges, ranges)
def test_join_holds_both(a: Interval, b: Interval) -> None:
    both = join(a, b)
    assert both.low == min(a.low, b.low) and both.high == max(a.high, b.high)
