"""Lowering states: their types, ranges and initial values.

Input: a state of the tree and the environment. Output: an `ir.State`, whose range is the declared
one or, until `passes.ranges` infers it, the widest of its kind. Invariant: an initial value is
inside a declared range; only a vtime has none.
"""

from __future__ import annotations

from schedc.ir import nodes as ir
from schedc.ir.facts import RANGES
from schedc.ir.nodes import Kind
from schedc.passes import types
from schedc.passes.declarations import lower_range, show
from schedc.passes.environment import Environment
from schedc.passes.lower_expr import lower_number, lower_ref
from schedc.passes.mismatch import not_of_type
from schedc.syntax import tree

_VTIME_SCOPES = ("task", "cgroup")
_DEFAULTS = {Kind.WEIGHT: 100}


def lower_state(state: tree.State, env: Environment) -> ir.State | None:
    """`state SCOPE.NAME : TYPE [in LO..HI] [= V]`."""
    type = env.states[(state.ref.scope, state.ref.name)]
    if state.type.queue is not None and type is None:
        _not_a_vtime_queue(state, env)
    if type is None:
        return None
    if type.kind is Kind.VTIME:
        return _vtime(state, type, env)
    limits = RANGES[type.kind]
    if state.range is not None:
        found = _range(state, type, env)
        if found is None:
            return None
        limits = found
    initial = _initial(state, type, limits, env)
    if initial is None:
        return None
    return ir.State(
        state.ref.scope, state.ref.name, type, limits.low, limits.high,  # type: ignore[arg-type]
        state.range is not None, initial, state.span,
    )  # fmt: skip


def _not_a_vtime_queue(state: tree.State, env: Environment) -> None:
    queue = env.symbols.queues.get(state.type.queue.text) if state.type.queue else None
    if queue is None or state.type.queue is None:
        return  # undeclared: said before
    order = "a fifo" if queue.order == "fifo" else "ordered by moments"
    env.report.add(
        "E0316", f"the queue `{queue.name.text}` has no vtime", state.type.queue.span,
        f"it is {order}",
        help=f"declare it `queue {queue.name.text} by vtime within -20ms..100ms`",
    )  # fmt: skip


def _vtime(state: tree.State, type: ir.Type, env: Environment) -> ir.State | None:
    name = f"`{state.ref.scope}.{state.ref.name}`"
    if state.ref.scope not in _VTIME_SCOPES:
        env.report.add(
            "E0418", f"a vtime belongs to a task or a cgroup, not to a `{state.ref.scope}`",
            state.ref.span, f"{name} can't advance at a queue's pace",
            help=f"declare `state task.{state.ref.name} : vtime of {state.type.queue.text}`",  # type: ignore[union-attr]
        )  # fmt: skip
        return None
    if state.ref.scope == "cgroup" and not _spans_cpus(state, env):
        env.report.add(
            "E0418", f"a cgroup's vtime of the queue `{type.clock}`, which has many clocks",
            state.ref.span, "the cgroup's tasks are on all of them at once",
            help="let the queue name a `clock`, which is one for the machine",
        )  # fmt: skip
        return None
    extra = state.range or state.initial
    if extra is not None:
        env.report.add(
            "E0418", "a vtime has no range and no initial value of its own", extra.span,
            "the queue's window bounds it, and it starts at the queue's clock",
            help="delete this part",
        )  # fmt: skip
        return None
    limits = RANGES[Kind.VTIME]
    return ir.State(
        state.ref.scope, state.ref.name, type, limits.low, limits.high,  # type: ignore[arg-type]
        False, None, state.span,
    )  # fmt: skip


def _spans_cpus(state: tree.State, env: Environment) -> bool:
    """Whether the clock is one for all cpus that a cgroup's tasks may be on."""
    queue = env.symbols.queues.get(state.type.queue.text) if state.type.queue else None
    return queue is None or queue.clock is not None or queue.domain in ("machine", "cgroup")


def _range(state: tree.State, type: ir.Type, env: Environment) -> ir.Interval | None:
    assert state.range is not None
    if type.kind in (Kind.BOOL, Kind.MOMENT):
        env.report.add(
            "E0302", f"{types.noun(type)} has no range" if type.kind is Kind.MOMENT
            else "a bool has no range", state.range.span, "not needed here",
            help="delete the range",
        )  # fmt: skip
        return None
    what = f"`{state.ref.scope}.{state.ref.name}`"
    return lower_range(state.range, type.kind, what, env.report)


def _initial(
    state: tree.State, type: ir.Type, limits: ir.Interval, env: Environment
) -> ir.Expr | None:
    """The value that the state starts with: if not written the nearest to 0, a weight's to 100."""
    if state.initial is None:
        if type.kind is Kind.MOMENT and state.ref.scope == "task":
            # Since 0 is the boot, `now - task.x` of a new task would be the uptime.
            return ir.FactRef("now", type, state.ref.span)
        value = min(max(_DEFAULTS.get(type.kind, 0), limits.low), limits.high)
        return ir.Const(value, type, state.ref.span)
    lowered = _written(state.initial, env)
    if lowered is None:
        return None
    plain = isinstance(lowered, ir.Const) and lowered.type.kind is Kind.COUNT
    number = plain and type.kind in types.NUMBERS
    if not number and not types.assignable(type, lowered.type):
        hint = "write `true` or `false`" if type.kind is Kind.BOOL else "write a value of that kind"
        if type.kind is Kind.MOMENT:
            hint = "delete the initial value, and assign `now` in `on enable`"
        elif type.kind in (Kind.TIME, Kind.LAG):
            hint = "write a time, such as `4ms`"
        elif type.kind is Kind.RATIO:
            hint = "write a share, such as `30%`"
        not_of_type(env.report, lowered, types.noun(type), hint)
        return None
    return _in_range(lowered, type, limits, env)


def _written(initial: tree.Number | tree.Bool | tree.Ref, env: Environment) -> ir.Expr | None:
    match initial:
        case tree.Number():
            return lower_number(initial)
        case tree.Bool(value=value, span=span):
            return ir.Const(int(value), types.BOOL, span)
        case tree.Ref(scope="tune"):
            return lower_ref(initial, env)
    if initial.scope != "let" and (initial.scope, initial.name) not in env.symbols.states:
        return None  # undeclared: said before
    env.report.add(
        "E0302", "an initial value is a number or a tunable", initial.span, "not known at load",
        help="assign it in `on enable`",
    )  # fmt: skip
    return None


def _in_range(
    lowered: ir.Expr, type: ir.Type, limits: ir.Interval, env: Environment
) -> ir.Expr | None:
    low = high = 0
    match lowered:
        case ir.Const(value=value):
            low = high = value
        case ir.TuneRef(name=name):
            tune = env.tunes[name]
            assert tune is not None
            low, high = tune.low, tune.high
    if limits.low <= low and high <= limits.high:
        # A plain number is of the state's kind from here on.
        return ir.Const(low, type, lowered.span) if isinstance(lowered, ir.Const) else lowered
    unit = "time" if type.kind in (Kind.TIME, Kind.LAG) else "%" if type.kind is Kind.RATIO else ""
    shown = f"{show(limits.low, unit)}..{show(limits.high, unit)}"
    env.report.add(
        "E0304", "the initial value is outside the state's range", lowered.span,
        f"not in {shown}", help=f"write a value in {shown}, or widen the range",
    )  # fmt: skip
    return None
