"""Lowering the lines of events and of `place`.

Input: assignments and rungs of the tree. Output: `ir.Assign` and `ir.Rung`, or None. Invariant:
`+=` and `-=` are expanded; the target's type can hold the value.
"""

from __future__ import annotations

from schedc.diagnostics.model import Label
from schedc.ir import nodes as ir
from schedc.ir.nodes import Kind, Op
from schedc.passes import types
from schedc.passes.arithmetic import adapt, combine
from schedc.passes.environment import Environment
from schedc.passes.lower_expr import lower_condition, lower_expr, lower_ref
from schedc.syntax import tree


def lower_assign(assign: tree.Assign, env: Environment) -> ir.Assign | None:
    """`task.x = E [when C]`, `+=` and `-=` expanded."""
    target = None
    if assign.target.scope not in ("tune", "let"):
        target = lower_ref(assign.target, env)
    value = lower_expr(assign.value, env)
    when = lower_condition(assign.when, env) if assign.when is not None else None
    if not isinstance(target, ir.StateRef) or value is None:
        return None
    _check_stops_at_0(target, value, env)
    if assign.op != "=":
        value = combine(assign.op[0], target, value, assign.value.span, env)
        if value is None:
            return None
    else:
        value, _ = adapt(value, target)
    if (when is None) != (assign.when is None) or not _fits(target, value, assign, env):
        return None
    return ir.Assign(target, value, when, False, False, assign.span)


def _check_stops_at_0(target: ir.StateRef, value: ir.Expr, env: Environment) -> None:
    """W0317: who keeps a lag means a difference that may be negative; that of times may not."""
    stops = isinstance(value, ir.Apply) and value.op is Op.SUB_SAT and value.type.kind is Kind.TIME
    if target.type.kind is Kind.LAG and stops:
        env.report.add(
            "W0317", "a difference of times stops at 0, and this state may be negative", value.span,
            "never negative", help="begin with the part to take away: `-b + a` is a lag",
        )  # fmt: skip


def _fits(target: ir.StateRef, value: ir.Expr, assign: tree.Assign, env: Environment) -> bool:
    if types.assignable(target.type, value.type):
        return True
    name = f"`{target.scope}.{target.name}`"
    declared = env.symbols.states[(target.scope, target.name)]
    clocks = target.type.kind is value.type.kind is Kind.VTIME
    env.report.add(
        "E0310" if clocks else "E0302",
        f"{name} holds {types.noun(target.type)}, not {types.noun(value.type)}",
        assign.value.span, f"this is {types.noun(value.type)}",
        secondary=[Label(declared.ref.span, "declared here")],
        help=_advice(target, value, env),
    )  # fmt: skip
    return False


def _advice(target: ir.StateRef, value: ir.Expr, env: Environment) -> str:
    match target.type.kind, value.type.kind:
        case Kind.TIME, Kind.LAG:
            return "a lag may be negative: write `max(…, 0ms)`, or declare the state as `lag`"
        case Kind.TIME | Kind.LAG, Kind.COUNT:
            if isinstance(value, ir.Const):
                return f"give the number a unit: `{value.value}ms`"
            return "multiply it by a time: `… * 1ms`"
        case Kind.COUNT | Kind.RATE | Kind.WEIGHT, Kind.TIME:
            return "divide it by a time: `… / 1ms`"
        case Kind.VTIME, Kind.TIME:
            return f"advance it by a charge: `{target.scope}.{target.name} += charge(ran)`"
        case Kind.VTIME, Kind.VTIME:
            return "let the two queues share a `clock NAME`"
        case Kind.MOMENT, Kind.TIME:
            return "write `now`, or `now + …`"
        case Kind.BOOL, _:
            return "compare it: `… > 0`"
        case _, Kind.BOOL:
            return "write the condition as a guard: `… when CONDITION`"
        case Kind.RATIO, Kind.COUNT if isinstance(value, ir.Const):
            return f"write `{value.value}%`"
    return f"declare the state as `{value.type.kind.value}`"


def lower_rung(rung: tree.Rung, env: Environment) -> ir.Rung | None:
    """`idle [fast] [core] WHERE [when COND]`."""
    when = lower_condition(rung.when, env) if rung.when is not None else None
    if (when is None) != (rung.when is None):
        return None
    return ir.Rung(rung.fast, rung.core, rung.where, when, rung.span)
