"""What to say when operands don't fit: E0301 and E0302 with a help line that can be followed.

Input: lowered operands and what was wanted. Output: one diagnostic. Invariant: the help names an
edit; where the usual slip is known (a number without a unit, a sum of moments) it names that one.
"""

from __future__ import annotations

from schedc.diagnostics.model import Label
from schedc.ir import nodes as ir
from schedc.ir.nodes import Kind
from schedc.passes import types
from schedc.passes.report import Report
from schedc.source import Span


def not_of_type(
    report: Report, found: ir.Expr, wanted: str, hint: str, *, span: Span | None = None
) -> None:
    """E0302: a value of another type stands where `wanted` is needed."""
    report.add(
        "E0302", f"expected {wanted}, found {types.noun(found.type)}", span or found.span,
        f"this is {types.noun(found.type)}", help=hint,
    )  # fmt: skip


def mismatched(report: Report, verb: str, span: Span, left: ir.Expr, right: ir.Expr) -> None:
    """E0301 (E0310 for clocks): `verb` takes no such pair of operands."""
    one, other = types.noun(left.type), types.noun(right.type)
    code = "E0301"
    if left.type.kind is right.type.kind is Kind.VTIME and left.type != right.type:
        code = "E0310"
    report.add(
        code, f"can't {_PHRASES.get(verb, verb + ' {} and {}').format(one, other)}", span,
        help=_advice(verb, left, right),
        secondary=[Label(left.span, f"this is {one}"), Label(right.span, f"this is {other}")],
    )  # fmt: skip


_PHRASES = {
    "subtract": "subtract {1} from {0}",
    "multiply": "multiply {} by {}",
    "divide": "divide {} by {}",
    "compare": "compare {} with {}",
}


def _advice(verb: str, left: ir.Expr, right: ir.Expr) -> str:
    """The edit that most likely says what was meant."""
    kinds = {left.type.kind, right.type.kind}
    for one, other in ((left, right), (right, left)):
        timed = other.type.kind in (Kind.TIME, Kind.LAG, Kind.MOMENT, Kind.VTIME)
        if isinstance(one, ir.Const) and one.type.kind is Kind.COUNT and timed:
            return f"give the number a unit: `{one.value}ms`"
    if kinds == {Kind.MOMENT, Kind.TIME} or kinds == {Kind.MOMENT, Kind.LAG}:
        return "a moment is an instant: take the time since, `now - …`"
    if kinds == {Kind.VTIME, Kind.TIME} or kinds == {Kind.VTIME, Kind.LAG}:
        return "compare with the queue's clock: `task.v - clock(Q)` is a lag"
    if kinds == {Kind.MOMENT}:
        return "the difference of two moments is a lag: `a - b`"
    if kinds == {Kind.VTIME}:
        if left.type != right.type:
            return "vtimes of different clocks can't meet: let the queues share `clock NAME`"
        return "the difference of two vtimes is a lag: `a - b`"
    if kinds == {Kind.MOMENT, Kind.VTIME}:
        return "a vtime runs at its queue's pace, not in real time: use `clock(Q)` for `now`"
    if Kind.BOOL in kinds:
        return "write a condition apart: `… when CONDITION`"
    if kinds == {Kind.TIME} and verb == "multiply":
        return "multiply by a number, or divide first: `a / 1ms * b`"
    if Kind.RATIO in kinds:
        return "a share of a value is a product: `30% * x`"
    if kinds & {Kind.TIME, Kind.LAG}:
        return "turn the time into a number by dividing it: `… / 1ms`"
    return "use values of one kind"
