"""Lints: what compiles and is probably not what the author means.

Input: the symbols, what is used of them, and the typed policy. Output: W0206, W0305, W0309, W0421.
Invariant: only warnings, each with an edit; nothing is said about what a base policy declares,
since the child's author can't change it.
"""

from __future__ import annotations

from collections.abc import Iterator

from schedc.diagnostics.model import Edit, Fix, Label
from schedc.ir import nodes as ir
from schedc.ir.nodes import Kind, Op
from schedc.ir.walk import subexpressions
from schedc.passes.bounds import MIN_SLICE_NS
from schedc.passes.names import Names
from schedc.passes.report import Report
from schedc.passes.symbols import Symbols, key_span
from schedc.syntax import tree

TICK_NS = 4_000_000
"""A tick at HZ=250: slices end at ticks."""


def check_unused(symbols: Symbols, names: Names, report: Report) -> None:
    """W0206: declarations whose value reaches nothing. W0421: states that never change."""
    if symbols.policy.broken:
        return  # what did not parse may use anything
    unused: list[tuple[tree.Item, str]] = []
    unused += [(t, f"`tune.{n}`") for n, t in symbols.tunes.items() if n not in names.tunes]
    unused += [(t, f"`let.{n}`") for n, t in symbols.lets.items() if n not in names.lets]
    unused += [(c, f"the cpu set `{n}`") for n, c in symbols.cpus.items() if n not in names.cpus]
    unused += [(q, f"the queue `{n}`") for n, q in symbols.queues.items() if n not in names.queues]
    for item, what in unused:
        _unused(item, f"{what} is never used", "declared here and used nowhere", report)
    for key, state in symbols.states.items():
        dotted = f"`{state.ref.scope}.{state.ref.name}`"
        # A vtime is read by its queue's window and clock, whether or not a key names it.
        if key not in names.reads and state.type.queue is None:
            written = key in names.writes
            label = "assigned, and its value used nowhere" if written else "used nowhere"
            what = f"{dotted} is never read" if written else f"{dotted} is never used"
            _unused(state, what, label, report, fix=not written)
        elif key not in names.writes and not state.span.file:
            report.add(
                "W0421", f"{dotted} is never assigned", state.ref.span,
                "it keeps its initial value for ever", help=_assign_help(state),
            )  # fmt: skip


def _assign_help(state: tree.State) -> str:
    dotted = f"{state.ref.scope}.{state.ref.name}"
    if state.type.queue is not None:
        return f"advance it: `on stop {{ {dotted} += charge(ran) }}`"
    return f"assign it in an event, `on stop {{ {dotted} = … }}`, or make it a `tune`"


def _unused(item: tree.Item, message: str, label: str, report: Report, *, fix: bool = True) -> None:
    if item.span.file:
        return
    report.add(
        "W0206", message, key_span(item), label,
        help="delete this line" if fix else "delete it and its assignments, or use it",
        fix=Fix((Edit(item.span, ""),)) if fix else None,
    )  # fmt: skip


def check_lints(policy: ir.Policy, report: Report) -> None:
    """Lints that need types and ranges."""
    _short_slices(policy, report)
    _averages(policy, report)


def _short_slices(policy: ir.Policy, report: Report) -> None:
    """W0309: a slice that is over before the tick that would end it."""
    for rule in policy.rules:
        if not isinstance(rule.slice, ir.Slice):
            continue
        usual = rule.slice.high
        if isinstance(rule.slice.value, ir.TuneRef):
            usual = policy.tune(rule.slice.value.name).value
        if MIN_SLICE_NS <= usual < TICK_NS:
            report.add(
                "W0309", "a slice shorter than a tick", rule.slice.value.span,
                "slices end at ticks: at HZ=250 this runs for about 4ms",
                help="write `slice 4ms` or more, or load it on a kernel with HZ=1000",
            )  # fmt: skip


def _averages(policy: ir.Policy, report: Report) -> None:
    """W0305: an average of a new task that starts at 0 and decides its class."""
    averaged = {
        (assign.target.scope, assign.target.name)
        for body in policy.events.values()
        for assign in body
        if isinstance(assign.value, ir.Ewma)
    }
    for state in policy.states:
        starts_at_0 = isinstance(state.initial, ir.Const) and state.initial.value == 0
        key = (state.scope, state.name)
        if state.scope != "task" or key not in averaged or not starts_at_0:
            continue
        use = next(_low_tests(policy, key), None)
        if use is not None and not state.span.file:
            report.add(
                "W0305", f"the average `task.{state.name}` starts at 0", state.span,
                "so every new task looks like the shortest", help=_start_help(state),
                secondary=[Label(use.span, "and this matches it")],
            )  # fmt: skip


def _start_help(state: ir.State) -> str:
    value = {Kind.TIME: "4ms", Kind.RATIO: "50%"}.get(state.type.kind, "100")
    return f"let it start above the threshold: `= {value}` at the end of the line"


def _low_tests(policy: ir.Policy, key: tuple[str, str]) -> Iterator[ir.Expr]:
    """Comparisons in class conditions that hold when the state is small."""
    for cls in policy.classes:
        if cls.when is None:
            continue
        for expr in subexpressions(cls.when):
            if not isinstance(expr, ir.Apply) or expr.op not in _LESS | _GREATER:
                continue
            small = expr.args[0] if expr.op in _LESS else expr.args[1]
            states = {
                (e.scope, e.name) for e in subexpressions(small) if isinstance(e, ir.StateRef)
            }
            if key in states:
                yield expr


_LESS = {Op.LT, Op.LE}
_GREATER = {Op.GT, Op.GE}
