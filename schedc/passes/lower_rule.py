"""Lowering `enqueue` lines.

Input: a rule of the tree. Output: an `ir.Rule` or None. Invariant: a key has the type of its
queue's clock; thresholds are constants or tunables of type time. The slice's interval is filled in
by `passes.bounds`.
"""

from __future__ import annotations

from schedc.diagnostics.model import Label
from schedc.ir import nodes as ir
from schedc.ir.nodes import KEEP_SLICE_NS, Kind
from schedc.passes import types
from schedc.passes.declarations import out_of_bounds
from schedc.passes.environment import Environment
from schedc.passes.lower_expr import lower_expr
from schedc.passes.mismatch import not_of_type
from schedc.passes.quantities import in_bounds, lower_quantity
from schedc.syntax import tree

MIN_TURN_NS = 100_000
"""A victim has to get something done: less would only switch to and fro."""
MAX_TURN_NS = 1_000_000_000
PERF_LOW = 256
PERF_HIGH = 1024


def lower_rule(rule: tree.Enqueue, env: Environment) -> ir.Rule | None:
    """`enqueue CLASS to Q [key E] [slice E] [preempt …] [perf …]`."""
    queue = env.symbols.queues.get(rule.queue.text)
    key = lower_expr(rule.key, env) if rule.key is not None else None
    slice_ = _slice(rule, env)
    preempt = _preempt(rule.preempt, env) if rule.preempt is not None else None
    perf = _perf(rule.perf, env) if rule.perf is not None else None
    if queue is not None:
        _check_key(rule, queue, key, env)
    if queue is None or rule.cls.text not in env.symbols.classes or slice_ is None:
        return None
    if (key is None) != (rule.key is None) or (preempt is None) != (rule.preempt is None):
        return None
    if (perf is None) != (rule.perf is None):
        return None
    return ir.Rule(rule.cls.text, queue.name.text, key, slice_, preempt, perf, rule.span)


def _check_key(
    rule: tree.Enqueue, queue: tree.Queue, key: ir.Expr | None, env: Environment
) -> None:
    """E0311 for a key that is missing or too many, E0310 for one of another clock."""
    name = queue.name.text
    here = [Label(queue.name.span, "declared here")]
    if queue.order == "fifo":
        if rule.key is not None:
            env.report.add(
                "E0311", f"the queue `{name}` takes no key", rule.key.span, "it is a fifo",
                secondary=here,
                help=f"delete the key, or declare `queue {name} by vtime within -20ms..100ms`",
            )  # fmt: skip
        return
    clock = env.clocks[name]
    wanted = types.MOMENT if clock is None else ir.Type(Kind.VTIME, clock)
    example = "now + 20ms" if clock is None else _own_vtime(clock, name, env)
    if rule.key is None:
        env.report.add(
            "E0311", f"the queue `{name}` needs a key", rule.queue.span,
            f"it is ordered by {queue.order}", secondary=here, help=f"write `key {example}`",
        )  # fmt: skip
    elif key is not None and key.type != wanted:
        env.report.add(
            "E0310", f"the key of `{name}` is {types.noun(wanted)}", rule.key.span,
            f"this is {types.noun(key.type)}", secondary=here, help=f"write `key {example}`",
        )  # fmt: skip


def _own_vtime(clock: str, queue: str, env: Environment) -> str:
    """A task's vtime on the clock, for an example that fits this policy."""
    for (scope, name), type in env.states.items():
        if type == ir.Type(Kind.VTIME, clock) and scope == "task":
            return f"task.{name}"
    return f"clock({queue})"


def _slice(rule: tree.Enqueue, env: Environment) -> ir.Slice | ir.SliceUnlimited | None:
    match rule.slice:
        case None:
            # What the kernel itself would give: written down, so that bounds can count on it.
            default = ir.Const(KEEP_SLICE_NS, types.TIME, rule.span)
            return ir.Slice(default, KEEP_SLICE_NS, KEEP_SLICE_NS, rule.span)
        case tree.SliceUnlimited(contended=contended, span=span):
            value = lower_quantity(contended, types.TIME, "10ms", env)
            return ir.SliceUnlimited(value, 0, span) if value is not None else None
        case tree.Slice(value=written, span=span):
            value = lower_expr(written, env)
            if value is None:
                return None
            if value.type.kind is not Kind.TIME:
                hint = "write a time: `slice 4ms`"
                if isinstance(value, ir.Const) and value.type.kind is Kind.COUNT:
                    hint = f"give the number a unit: `slice {value.value}ms`"
                elif value.type.kind is Kind.LAG:
                    hint = "a lag may be negative: build the slice from times"
                not_of_type(env.report, value, "a time", hint, span=written.span)
                return None
            return ir.Slice(value, 0, 0, span)


def _preempt(preempt: tree.Preempt, env: Environment) -> ir.Preempt | None:
    ran = lower_quantity(preempt.ran, types.TIME, "1ms", env)
    ran = in_bounds(ran, "the least turn of a victim", MIN_TURN_NS, MAX_TURN_NS, "time", env)
    victims = tuple(dict.fromkeys(victim.text for victim in preempt.victims))
    if ran is None or not all(victim in env.symbols.classes for victim in victims):
        return None
    return ir.Preempt(victims, ran, preempt.span)


def _perf(perf: tree.Perf, env: Environment) -> int | None:
    match perf.level:
        case "low":
            return PERF_LOW
        case "high":
            return PERF_HIGH
        case tree.Number() as number:
            bad = out_of_bounds(env.report, number, "a performance level", 0, 1024)
            return None if bad else number.value
    raise AssertionError(perf.level)
