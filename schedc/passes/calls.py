"""Lowering functions: `min max clamp abs_diff log2 scale charge ewma table clock length head`.

Input: a call of the tree and its lowered arguments. Output: an `ir` expression or None.
Invariant: as for `lower_expr`; a table is a chain of SELECT, so its rows are tried in order.
"""

from __future__ import annotations

from collections.abc import Sequence

from schedc.ir import nodes as ir
from schedc.ir.nodes import Kind, Op
from schedc.passes import types
from schedc.passes.arithmetic import adapt, hundredth
from schedc.passes.environment import Environment
from schedc.passes.mismatch import mismatched, not_of_type
from schedc.source import Span
from schedc.syntax import tree

MAX_EWMA = 1024


def lower_call(
    expr: tree.Call, lowered: Sequence[ir.Expr | None], env: Environment
) -> ir.Expr | None:
    """A call of one of the functions that take values only."""
    arguments = [one for one in lowered if one is not None]
    if len(arguments) < len(lowered):
        return None
    span = expr.span
    match expr.function, arguments:
        case "min" | "max" as name, [left, right]:
            return _extremum(Op(name), left, right, span, env)
        case "clamp", [value, low, high]:
            # If the ends are the wrong way round at run time, the upper one holds.
            raised = _extremum(Op.MAX, value, low, span, env)
            return raised and _extremum(Op.MIN, raised, high, span, env)
        case "abs_diff", [left, right]:
            return _abs_diff(left, right, span, env)
        case "log2", [value]:
            return _log2(value, span, env)
        case "scale", [value, weight]:
            return _scale(value, weight, span, env)
        case "charge", [value]:
            weight = ir.FactRef("weight", types.WEIGHT, span)
            return _charge(value, weight, span, env)
        case "charge", [value, weight]:
            return _charge(value, weight, span, env)
    raise AssertionError(f"the grammar has no {expr.function} of {len(arguments)} arguments")


def _extremum(
    op: Op, left: ir.Expr, right: ir.Expr, span: Span, env: Environment
) -> ir.Expr | None:
    left, right = adapt(left, right)
    join = types.larger if op is Op.MAX else types.unify
    type = join(left.type, right.type)
    if type is None or type.kind is Kind.BOOL:
        mismatched(env.report, f"take the `{op.value}` of", span, left, right)
        return None
    return ir.Apply(op, (left, right), type, span)


def _abs_diff(left: ir.Expr, right: ir.Expr, span: Span, env: Environment) -> ir.Expr | None:
    type = types.distance(left.type, right.type)
    if type is None:
        mismatched(env.report, "take the difference of", span, left, right)
        return None
    return ir.Apply(Op.ABS_DIFF, (left, right), type, span)


def _log2(value: ir.Expr, span: Span, env: Environment) -> ir.Expr | None:
    if value.type.kind in types.NUMBERS or value.type.kind is Kind.TIME:
        return ir.Apply(Op.LOG2, (value,), types.COUNT, span)
    not_of_type(env.report, value, "a number or a time", "use `abs_diff(a, b)` to get a time")
    return None


def _scale(value: ir.Expr, weight: ir.Expr, span: Span, env: Environment) -> ir.Expr | None:
    """`scale(x, w)` is x * w / 100."""
    if not _is_weight(weight, env):
        return None
    type = types.part_of(value.type)
    if type is None:
        not_of_type(
            env.report, value, "a time, a lag or a number", "scale a time: `scale(4ms, weight)`"
        )
        return None
    return hundredth(ir.Apply(Op.MUL, (value, weight), type, span))


def _charge(value: ir.Expr, weight: ir.Expr, span: Span, env: Environment) -> ir.Expr | None:
    """`charge(v, w)` is 100 * v / w rounded up: what a stint costs a task of that weight."""
    if not _is_weight(weight, env):
        return None
    if value.type.kind is not Kind.TIME:
        not_of_type(env.report, value, "a time", "charge a time: `charge(ran)`")
        return None
    stint = isinstance(value, ir.FactRef) and value.name == "ran"
    return ir.Charge(value, weight, stint, types.TIME, span)


def _is_weight(weight: ir.Expr, env: Environment) -> bool:
    if weight.type.kind in (Kind.WEIGHT, Kind.COUNT):
        return True
    not_of_type(env.report, weight, "a weight", "write `weight`, or a number around 100")
    return False


def lower_ewma(
    expr: tree.Ewma, average: ir.Expr | None, sample: ir.Expr | None, env: Environment
) -> ir.Expr | None:
    """`ewma(average, sample, n/d)`: moves the average by n/d of the way to the sample."""
    part, whole = expr.numerator, expr.denominator
    fits = 0 < part.value < whole.value <= MAX_EWMA
    if not fits:
        env.report.add(
            "E0313", f"a share of {part.value}/{whole.value} is out of range",
            part.span.to(whole.span), f"must be between 0 and 1, and at most in {MAX_EWMA}ths",
            help="write `1/4`",
        )  # fmt: skip
    if average is None or sample is None or not fits:
        return None
    average, sample = adapt(average, sample)
    type = types.unify(average.type, sample.type)
    if type is None or type.kind in (Kind.BOOL, Kind.MOMENT, Kind.VTIME):
        mismatched(env.report, "average", expr.span, average, sample)
        return None
    if average.type.kind in types.NUMBERS:
        type = average.type  # the average of rates is a rate, however the sample was computed
    return ir.Ewma(average, sample, part.value, whole.value, type, expr.span)


def lower_queue_call(expr: tree.QueueCall, env: Environment) -> ir.Expr | None:
    """`clock(Q)`, `length(Q)`, `head(Q)`."""
    queue = env.symbols.queues.get(expr.queue.text)
    if queue is None:
        return None
    if expr.function == "length":
        return ir.QueueFact("length", queue.name.text, types.COUNT, expr.span)
    if queue.order == "fifo":
        env.report.add(
            "E0316", f"`{expr.function}` of a fifo queue", expr.span,
            f"`{queue.name.text}` has no keys, so it has no {expr.function}",
            help=f"write `length({queue.name.text})`, or declare the queue `by vtime`",
        )  # fmt: skip
        return None
    clock = env.clocks[queue.name.text]
    type = types.MOMENT if clock is None else ir.Type(Kind.VTIME, clock)
    return ir.QueueFact(expr.function, queue.name.text, type, expr.span)  # type: ignore[arg-type]


def lower_table(
    expr: tree.Table, subject: ir.Expr | None, limits: Sequence[ir.Expr | None],
    values: Sequence[ir.Expr | None], otherwise: ir.Expr | None, env: Environment,
) -> ir.Expr | None:  # fmt: skip
    """`table(x | l: v | … | else v)`: nested SELECT, the first row outermost."""
    tests: list[ir.Expr | None] = []
    for row, limit in zip(expr.rows, limits, strict=True):
        if subject is None or limit is None:
            tests.append(None)
            continue
        one, other = adapt(subject, limit)
        if not types.comparable(one.type, other.type, equality=False):
            mismatched(env.report, "compare", row.limit.span, one, other)
            tests.append(None)
            continue
        tests.append(ir.Apply(Op.LE, (one, other), types.BOOL, row.limit.span))
    result = otherwise
    for row, test, value in reversed(list(zip(expr.rows, tests, values, strict=True))):
        if result is None or value is None:
            return None
        value, result = adapt(value, result)
        type = types.unify(value.type, result.type)
        if type is None:
            mismatched(env.report, "choose between", row.value.span, value, result)
            return None
        if test is None:
            return None
        result = ir.Apply(Op.SELECT, (test, value, result), type, row.span.to(expr.otherwise.span))
    return result
