"""Lowering `+ - * /` and comparisons.

Input: a binary expression of the tree and its lowered operands. Output: an `ir` expression or None.
Invariant: as for `lower_expr`; a plain number takes the kind of what it is compared with.
"""

from __future__ import annotations

from dataclasses import replace

from schedc.ir import nodes as ir
from schedc.ir.nodes import Kind, Op
from schedc.passes import types
from schedc.passes.environment import Environment
from schedc.passes.mismatch import mismatched
from schedc.source import Span
from schedc.syntax import tree

_COMPARISONS = {"<": Op.LT, "<=": Op.LE, ">": Op.GT, ">=": Op.GE, "==": Op.EQ, "!=": Op.NE}
_RULES = {"+": types.add, "-": types.subtract, "*": types.multiply, "/": types.divide}
_VERBS = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide"}


def lower_binary(
    expr: tree.Binary, left: ir.Expr | None, right: ir.Expr | None, env: Environment
) -> ir.Expr | None:
    """Arithmetic or a comparison of two lowered operands."""
    if left is None or right is None:
        return None
    if expr.op in _COMPARISONS:
        return _compare(expr, left, right, env)
    return combine(expr.op, left, right, expr.span, env)


def combine(op: str, left: ir.Expr, right: ir.Expr, span: Span, env: Environment) -> ir.Expr | None:
    """`left op right` for one of `+ - * /`."""
    if op == "*" and Kind.RATIO in (left.type.kind, right.type.kind):
        part = _part(left, right, span)
        if part is not None:
            return part
    found = _RULES[op](left.type, right.type)
    if found is None:
        mismatched(env.report, _VERBS[op], span, left, right)
        return None
    type = found[1]
    if op == "*" and type.kind is Kind.TIME and (_is_negative(left) or _is_negative(right)):
        type = types.LAG  # `-2 * ran`
    return ir.Apply(found[0], (left, right), type, span)


def _is_negative(expr: ir.Expr) -> bool:
    return isinstance(expr, ir.Const) and expr.value < 0


def _part(left: ir.Expr, right: ir.Expr, span: Span) -> ir.Expr | None:
    """`30% * x` and `x * 30%`: x * 30 / 100."""
    ratio, whole = (left, right) if left.type.kind is Kind.RATIO else (right, left)
    type = types.part_of(whole.type)
    if type is None:
        return None
    return hundredth(ir.Apply(Op.MUL, (whole, ratio), type, span))


def hundredth(product: ir.Apply) -> ir.Apply:
    """A product by a percentage or weight, divided by 100."""
    hundred = ir.Const(100, types.COUNT, product.span)
    op = Op.SDIV if product.type.kind is Kind.LAG else Op.DIV
    return ir.Apply(op, (product, hundred), product.type, product.span)


def _compare(expr: tree.Binary, left: ir.Expr, right: ir.Expr, env: Environment) -> ir.Expr | None:
    left, right = adapt(left, right)
    op = _COMPARISONS[expr.op]
    if not types.comparable(left.type, right.type, equality=op in (Op.EQ, Op.NE)):
        mismatched(env.report, "compare", expr.span, left, right)
        return None
    return ir.Apply(op, (left, right), types.BOOL, expr.span)


def adapt(left: ir.Expr, right: ir.Expr) -> tuple[ir.Expr, ir.Expr]:
    """Give a plain number beside a rate, weight or ratio that kind: `busy > 80`, `wakes < 100`."""
    return _adapted(left, right.type), _adapted(right, left.type)


def _adapted(expr: ir.Expr, type: ir.Type) -> ir.Expr:
    if not isinstance(expr, ir.Const) or expr.type.kind is not Kind.COUNT:
        return expr
    if type.kind in (Kind.RATE, Kind.WEIGHT, Kind.RATIO):
        return replace(expr, type=type)
    return expr
