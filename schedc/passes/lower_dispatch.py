"""Lowering the lines of `dispatch`.

Input: a line of the tree. Output: an `ir` line or None. Invariant: limits are constants or tunables
of the right kind: a count, or a share with its period.
"""

from __future__ import annotations

from schedc.ir import nodes as ir
from schedc.ir.nodes import Kind
from schedc.passes import types
from schedc.passes.declarations import out_of_bounds
from schedc.passes.environment import Environment
from schedc.passes.lower_expr import lower_condition, lower_number, lower_ref
from schedc.passes.mismatch import not_of_type
from schedc.passes.quantities import in_bounds, lower_quantity
from schedc.syntax import tree

MAX_COUNT = 64
MAX_PARTS = 1000
MAX_PICK = 8
MIN_PERIOD_NS = 1_000_000
MAX_PERIOD_NS = 1_000_000_000
MAX_AFTER_NS = 30 * 1_000_000_000


def lower_line(line: tree.Line, env: Environment) -> ir.Line | None:
    """One line of `dispatch`."""
    match line:
        case tree.Take():
            return _take(line, env)
        case tree.Share(portions=portions, span=span):
            bad = [
                out_of_bounds(env.report, portion.parts, "a part", 1, MAX_PARTS)
                for portion in portions
            ]
            if any(bad) or not all(_known(portion.queue, env) for portion in portions):
                return None
            parts = tuple((portion.queue.text, portion.parts.value) for portion in portions)
            return ir.Share(parts, span)
        case tree.Lowest(queues=queues, span=span):
            if not all(_known(queue, env) for queue in queues):
                return None
            return ir.Lowest(tuple(queue.text for queue in queues), span)
        case tree.Steal(queue=queue, pick=pick, span=span):
            if pick is not None and out_of_bounds(
                env.report, pick, "the number of domains to look at", 2, MAX_PICK
            ):
                return None
            number = pick.value if pick is not None else None
            return ir.Steal(queue.text, number, span) if _known(queue, env) else None
        case tree.Keep(at_most=at_most, when=when, span=span):
            count = in_bounds(
                lower_quantity(at_most, types.COUNT, "3", env), "a count", 1, MAX_COUNT, "", env
            )
            condition = lower_condition(when, env)
            if count is None or condition is None:
                return None
            return ir.Keep(count, condition, span)


def _known(queue: tree.Name, env: Environment) -> bool:
    return queue.text in env.symbols.queues


def _take(line: tree.Take, env: Environment) -> ir.Take | None:
    after, limit = None, None
    good = _known(line.queue, env)
    if line.after is not None:
        after = lower_quantity(line.after, types.TIME, "200ms", env)
        after = in_bounds(after, "a threshold", MIN_PERIOD_NS, MAX_AFTER_NS, "time", env)
        good &= after is not None
    if line.at_most is not None:
        limit = _limit(line.at_most, line.every, env)
        good &= limit is not None
    return ir.Take(line.queue.text, after, limit, line.span) if good else None


def _limit(
    at_most: tree.Number | tree.Ref, every: tree.Number | tree.Ref | None, env: Environment
) -> ir.CountLimit | ir.Budget | None:
    """`at most 3` is a count, `at most 50% every 40ms` a budget."""
    if every is None:
        return _count_limit(at_most, env)
    percent = lower_quantity(at_most, types.RATIO, "50%", env)
    percent = in_bounds(percent, "a share of time", 1, 99, "%", env)
    period = lower_quantity(every, types.TIME, "40ms", env)
    period = in_bounds(period, "a period", MIN_PERIOD_NS, MAX_PERIOD_NS, "time", env)
    if percent is None or period is None:
        return None
    return ir.Budget(percent, period)


def _count_limit(at_most: tree.Number | tree.Ref, env: Environment) -> ir.CountLimit | None:
    value = lower_number(at_most) if isinstance(at_most, tree.Number) else None
    if isinstance(at_most, tree.Ref) and at_most.scope == "tune":
        value = lower_ref(at_most, env)  # type: ignore[assignment]
    if value is not None and value.type.kind in (Kind.TIME, Kind.RATIO):
        written = at_most.text if isinstance(at_most, tree.Number) else "50%"
        hint = f"say of how long: `at most {written} every 40ms`"
        if value.type.kind is Kind.TIME:
            hint = "bound served time by a share: `at most 50% every 40ms`"
        not_of_type(env.report, value, "a count of tasks", hint)
        return None
    count = lower_quantity(at_most, types.COUNT, "3", env)
    count = in_bounds(count, "a count", 1, MAX_COUNT, "", env)
    return ir.CountLimit(count) if count is not None else None
