"""Lowering expressions: from the tree to typed operators.

Input: an expression of the tree and an `Environment`. Output: an `ir` expression, or None (poison)
if it is mistaken, which is then reported. Invariant: every result is well typed: its operands have
the types that `passes.types` allows, and sugar (`let`, `scale`, `clamp`, `table`, ratios) is gone.
"""

from __future__ import annotations

from dataclasses import replace

from schedc.ir import nodes as ir
from schedc.ir.facts import FACTS
from schedc.ir.nodes import Kind, Op
from schedc.passes import types
from schedc.passes.arithmetic import lower_binary
from schedc.passes.calls import lower_call, lower_ewma, lower_queue_call, lower_table
from schedc.passes.environment import Environment
from schedc.passes.matches import lower_match
from schedc.passes.mismatch import not_of_type
from schedc.syntax import tree


def lower_expr(expr: tree.Expr, env: Environment) -> ir.Expr | None:
    """Type and lower an expression."""
    match expr:
        case tree.Number():
            return lower_number(expr)
        case tree.Bool(value=value, span=span):
            return ir.Const(int(value), types.BOOL, span)
        case tree.Ref():
            return lower_ref(expr, env)
        case tree.Fact(name=name, span=span):
            return ir.FactRef(name, FACTS[name].type, span)
        case tree.Negative():
            return _negative(expr, env)
        case tree.Not(operand=operand, span=span):
            lowered = lower_condition(operand, env)
            return lowered and ir.Apply(Op.NOT, (lowered,), types.BOOL, span)
        case tree.Binary(op="and" | "or" as op, left=left, right=right, span=span):
            pair = lower_condition(left, env), lower_condition(right, env)
            if pair[0] is None or pair[1] is None:
                return None
            return ir.Apply(Op(op), (pair[0], pair[1]), types.BOOL, span)
        case tree.Binary():
            return lower_binary(expr, lower_expr(expr.left, env), lower_expr(expr.right, env), env)
        case tree.Call():
            arguments = [lower_expr(argument, env) for argument in expr.arguments]
            return lower_call(expr, arguments, env)
        case tree.QueueCall():
            return lower_queue_call(expr, env)
        case tree.Ewma():
            average, sample = lower_expr(expr.average, env), lower_expr(expr.sample, env)
            return lower_ewma(expr, average, sample, env)
        case tree.Table():
            return _table(expr, env)
        case tree.Match():
            return lower_match(expr, env)
        case tree.IsClass(who=who, cls=cls, span=span):
            known = cls.text in env.symbols.classes
            return ir.IsClass(who, cls.text, types.BOOL, span) if known else None


def lower_condition(expr: tree.Expr, env: Environment) -> ir.Expr | None:
    """Lower an expression that must be true or false."""
    lowered = lower_expr(expr, env)
    if lowered is None or lowered.type.kind is Kind.BOOL:
        return lowered
    hint = "compare it: `… > 0`"
    if lowered.type.kind in (Kind.TIME, Kind.LAG):
        hint = "compare it: `… > 1ms`"
    not_of_type(env.report, lowered, "a condition", hint)
    return None


def lower_number(number: tree.Number) -> ir.Const:
    """A literal; a negative time is a lag."""
    kind = {"time": Kind.TIME, "percent": Kind.RATIO, "int": Kind.COUNT}[number.kind]
    if kind is Kind.TIME and number.value < 0:
        kind = Kind.LAG
    return ir.Const(number.value, ir.Type(kind), number.span)


def lower_ref(ref: tree.Ref, env: Environment) -> ir.Expr | None:
    """A tunable, a state, or the expression that a `let` names."""
    if ref.scope == "tune":
        tune = env.tunes.get(ref.name)
        return ir.TuneRef(ref.name, tune.type, ref.span) if tune is not None else None
    if ref.scope == "let":
        return env.lets.get(ref.name)
    type = env.states.get((ref.scope, ref.name))
    if type is None:
        return None
    return ir.StateRef(ref.scope, ref.name, type, ref.span)  # type: ignore[arg-type]


def _negative(expr: tree.Negative, env: Environment) -> ir.Expr | None:
    operand = lower_expr(expr.operand, env)
    if operand is None:
        return None
    if isinstance(operand, ir.Const) and operand.type.kind is Kind.COUNT:
        # The only negative plain numbers are literals, to compare `nice` with.
        return replace(operand, value=-operand.value, span=expr.span)
    if operand.type.kind in (Kind.TIME, Kind.LAG):
        return ir.Apply(Op.NEG, (operand,), types.LAG, expr.span)
    hint = "subtract it from something: `… - x`"
    not_of_type(env.report, operand, "a time or a lag", hint, span=expr.span)
    return None


def _table(expr: tree.Table, env: Environment) -> ir.Expr | None:
    subject = lower_expr(expr.subject, env)
    limits = [lower_expr(row.limit, env) for row in expr.rows]
    values = [lower_expr(row.value, env) for row in (*expr.rows,)]
    return lower_table(expr, subject, limits, values, lower_expr(expr.otherwise, env), env)
