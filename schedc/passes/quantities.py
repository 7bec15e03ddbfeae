"""Lowering quantities: limits, periods and thresholds, which are numbers or tunables.

Input: a number or reference of the tree. Output: an `ir` constant or tunable, or None. Invariant:
it has the type that was asked for, and lies within the bounds over its whole range.
"""

from __future__ import annotations

from schedc.ir import nodes as ir
from schedc.passes import types
from schedc.passes.declarations import show
from schedc.passes.environment import Environment
from schedc.passes.lower_expr import lower_number, lower_ref
from schedc.passes.mismatch import not_of_type
from schedc.syntax import tree


def lower_quantity(
    quantity: tree.Number | tree.Ref, type: ir.Type, example: str, env: Environment
) -> ir.Expr | None:
    """A number or a tunable of one type: limits, periods, thresholds."""
    if isinstance(quantity, tree.Number):
        value: ir.Expr | None = lower_number(quantity)
    elif quantity.scope != "tune":
        known = quantity.scope == "let" and quantity.name in env.symbols.lets
        if known or (quantity.scope, quantity.name) in env.symbols.states:
            env.report.add(
                "E0302",
                f"expected a number or a tunable, found `{quantity.scope}.{quantity.name}`",
                quantity.span, "not constant", help=f"write `{example}`, or declare a `tune`",
            )  # fmt: skip
        return None
    else:
        value = lower_ref(quantity, env)
    if value is None or value.type == type:
        return value
    not_of_type(env.report, value, types.noun(type), f"write `{example}`")
    return None


def in_bounds(
    value: ir.Expr | None, what: str, low: int, high: int, unit: str, env: Environment
) -> ir.Expr | None:
    """E0313 unless the value, over its whole range if it is a tunable, is within bounds."""
    least = most = 0
    match value:
        case None:
            return None
        case ir.Const(value=number):
            least = most = number
        case ir.TuneRef(name=name):
            tune = env.tunes[name]
            assert tune is not None
            least, most = tune.low, tune.high
    if low <= least and most <= high:
        return value
    bounds = f"{show(low, unit)} to {show(high, unit)}"
    hint = f"write `{show(min(max(most, low), high), unit)}`"
    if isinstance(value, ir.TuneRef):
        hint = f"declare the tunable `in {bounds.replace(' to ', '..')}`, or narrower"
    env.report.add("E0313", f"{what} is out of range", value.span, f"must be {bounds}", help=hint)
    return None
