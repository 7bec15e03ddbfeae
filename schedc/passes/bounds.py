"""Bounds: no overflow, no division by zero, slices in range; and what was found, filled in.

Input: a draft policy and the ranges of its states. Output: the policy with its ranges, saturation
flags and longest slices. Invariant: if nothing was reported, no expression leaves the signed 64-bit
range, every divisor is >= 1, every `DIV` has a dividend >= 0, and slices lie in what is stated.
"""

from __future__ import annotations

from dataclasses import replace

from schedc.ir import nodes as ir
from schedc.ir.interval import S64, Ranges, intermediates, interval
from schedc.ir.nodes import Interval, Kind, Op
from schedc.ir.walk import children, roots
from schedc.passes import types
from schedc.passes.declarations import show
from schedc.passes.ranges import MAX_SLICE_NS, distinct
from schedc.passes.report import Report

MIN_SLICE_NS = 100_000


def check_bounds(policy: ir.Policy, env: Ranges, report: Report) -> ir.Policy:
    """Check every expression and fill in what the ranges tell."""
    env = replace(env, memo={})
    seen: set[int] = set()
    for root in roots(policy):
        for expr in reversed(list(distinct(root, seen))):
            _check_expr(expr, env, report)
    rules = tuple(_rule(rule, env, report) for rule in policy.rules)
    longest = {queue.name: 0 for queue in policy.queues}
    for rule in rules:
        longest[rule.queue] = max(longest[rule.queue], rule.slice.high)
    return replace(
        policy,
        rules=rules,
        queues=tuple(replace(queue, slice_max_ns=longest[queue.name]) for queue in policy.queues),
        states=tuple(_state(state, env) for state in policy.states),
        events={
            name: tuple(_assign(assign, env) for assign in body)
            for name, body in policy.events.items()
        },
        slice_max_ns=max(longest.values(), default=0),
    )


def _state(state: ir.State, env: Ranges) -> ir.State:
    found = env.states[(state.scope, state.name)]
    return replace(state, low=found.low, high=found.high)


def _assign(assign: ir.Assign, env: Ranges) -> ir.Assign:
    if assign.target.type.kind is Kind.VTIME:
        # A vtime is kept near its clock at every insertion, and is compared modulo 2**64.
        return assign
    value = interval(assign.value, env)
    limits = env.states[(assign.target.scope, assign.target.name)]
    return replace(assign, clamp_low=value.low < limits.low, clamp_high=value.high > limits.high)


def _inside(value: Interval, limits: Interval) -> bool:
    return limits.low <= value.low and value.high <= limits.high


def _check_expr(expr: ir.Expr, env: Ranges, report: Report) -> None:
    """One node; its operands were checked before, so a complaint names the innermost culprit."""
    found = interval(expr, env)
    if isinstance(expr, ir.Apply):
        args = [interval(argument, env) for argument in expr.args]
        if not all(_inside(argument, S64) for argument in args):
            return  # an operand was reported
        if expr.op in (Op.DIV, Op.SDIV):
            _check_division(expr, args, report)
        elif expr.op is Op.MUL and expr.type.kind is Kind.TIME and found.low < 0:
            report.add(
                "E0315", "a time that may be negative", expr.span,
                f"it can be as low as {show(found.low, 'time')}",
                help="raise the number first: `max(…, 0) * …`",
            )  # fmt: skip
    elif isinstance(expr, ir.Charge):
        weight = interval(expr.weight, env)
        if weight.low < 1:
            _may_be_zero(expr.weight, weight, "the weight of a charge", report)
    if not all(_inside(value, S64) for value in (found, *intermediates(expr, env))):
        _overflow(expr, env, report)


def _check_division(expr: ir.Apply, args: list[Interval], report: Report) -> None:
    dividend, divisor = args
    if divisor.low < 1:
        _may_be_zero(expr.args[1], divisor, "a divisor", report)
    elif expr.op is Op.DIV and dividend.low < 0:
        report.add(
            "E0307", "a dividend may be negative", expr.args[0].span,
            f"it can be as low as {dividend.low}",
            help="raise it first: `max(…, 0) / …`",
        )  # fmt: skip


def _may_be_zero(expr: ir.Expr, found: Interval, what: str, report: Report) -> None:
    one = "1ns" if expr.type.kind is Kind.TIME else "1"
    label = "it is 0" if found.low == found.high == 0 else f"it can be as low as {found.low}"
    report.add(
        "E0307", f"{what} may be 0" if found.low >= 0 else f"{what} may be negative or 0",
        expr.span, label, help=f"keep it at least 1: `max(…, {one})`",
    )  # fmt: skip


def _overflow(expr: ir.Expr, env: Ranges, report: Report) -> None:
    """E0306, with the widest operand's range: that is what has to be clamped."""
    widest = max(children(expr), key=lambda one: interval(one, env).high - interval(one, env).low)
    found = interval(widest, env)
    limit = {Kind.TIME: "1s", Kind.LAG: "1s", Kind.RATIO: "100%"}.get(widest.type.kind, "1000")
    report.add(
        "E0306", "this may overflow 64 bits", expr.span,
        f"one operand reaches {_readable(found.high, widest.type)}",
        help=f"bound that operand first: `min(…, {limit})`",
    )  # fmt: skip


def _readable(value: int, type: ir.Type) -> str:
    """A large value in words that mean something: years rather than nanoseconds."""
    if type.kind in (Kind.TIME, Kind.LAG, Kind.MOMENT):
        days = value // (24 * 3600 * 1_000_000_000)
        if days > 1:
            return f"{days} days"
        return show(value, "time")
    return str(value)


def _rule(rule: ir.Rule, env: Ranges, report: Report) -> ir.Rule:
    if isinstance(rule.slice, ir.SliceUnlimited):
        found = interval(rule.slice.contended, env)
        _check_slice(found, rule.slice.contended, report)
        return replace(rule, slice=replace(rule.slice, high=found.high))
    found = interval(rule.slice.value, env)
    _check_slice(found, rule.slice.value, report)
    return replace(rule, slice=replace(rule.slice, low=found.low, high=found.high))


def _check_slice(found: Interval, value: ir.Expr, report: Report) -> None:
    """E0308 unless 100us <= slice <= 1s over the whole range."""
    if _inside(found, Interval(MIN_SLICE_NS, MAX_SLICE_NS)):
        return
    low, high = show(MIN_SLICE_NS, "time"), show(MAX_SLICE_NS, "time")
    over = found.high > MAX_SLICE_NS
    if isinstance(value, ir.Const):
        label = f"must be {low} to {high}"
        hint = f"write `{high if over else low}`"
    elif isinstance(value, ir.TuneRef):
        label = f"the tunable reaches {_readable(found.high if over else found.low, types.TIME)}"
        hint = f"declare the tunable in {low}..{high}, or narrower"
    else:
        label = f"it can be {_readable(found.high if over else found.low, types.TIME)}"
        hint = "bound it: `clamp(…, 1ms, 40ms)`"
    report.add(
        "E0308", f"a slice may be {'longer than ' + high if over else 'shorter than ' + low}",
        value.span, label, help=hint,
    )  # fmt: skip
