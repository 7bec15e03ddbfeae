"""Event handlers: the policy's assignments as functions.

Input: a `Context`. Output: `on_EVENT` for each event that the policy handles, and what is noted
when a task wakes, which happens in two callbacks.
"""

from __future__ import annotations

from collections.abc import Mapping

from schedc.emit.context import Context
from schedc.emit.functions import Function, function
from schedc.ir.nodes import EVENTS, Assign, EventName

_ABOUT: dict[EventName, str] = {
    "enable": "A task is new, or was there when the scheduler came.",
    "wake": "A task woke.",
    "enqueue": "A task is about to be queued, or placed.",
    "run": "A task begins a stint on its cpu.",
    "tick": "A tick during a task's stint.",
    "stop": "A task's stint is over.",
    "sleep": "A task goes to sleep, or exits.",
}


def event_handlers(ctx: Context) -> dict[str, Function]:
    """`on_stop` and the like."""
    found: dict[str, Function] = {}
    for event in EVENTS:
        assigns = ctx.policy.events.get(event, ())
        body = [line for assign in assigns for line in _assignment(ctx, event, assign)]
        if body:
            about = _ABOUT[event]
            found[event] = function(f"on_{event}", "void", body, about=about)
    return found


def _assignment(ctx: Context, event: EventName, assign: Assign) -> list[str]:
    """`target = value;` with the value kept in the state's range, where it could leave it."""
    stint = event in ("stop", "tick")
    state = ctx.policy.state(assign.target.scope, assign.target.name)
    value = ctx.print(assign.value, 0, stint)
    low, high = ctx.bound(state, state.low), ctx.bound(state, state.high)
    match assign.clamp_low, assign.clamp_high:
        case True, True:
            value = f"clamp({value}, {low}, {high})"
        case True, False:
            value = f"max({value}, {low})"
        case False, True:
            value = f"min({value}, {high})"
    statement = f"{ctx.printer.lvalue(assign.target)} = {value};"
    if assign.when is None:
        return ctx.mark(assign.span, [f"\t{statement}"])
    guard = ctx.print(assign.when, 0, stint)
    return ctx.mark(assign.span, [f"\tif ({guard})", f"\t\t{statement}"])


def wakes(ctx: Context, handlers: Mapping[str, Function]) -> Function | None:
    """`task_wakes`: what is noted at a wake-up, and the policy's own handler; None if nothing
    is."""
    needs = ctx.needs
    if not needs.wakes:
        return None
    lines = []
    if "wakings" in needs.facts or needs.waker:
        lines += [
            "\tstruct task_struct *waker = bpf_get_current_task_btf();",
            "\tstruct task_ctx *w = task_ctx(waker);",
        ]
    if "burst" in needs.facts:
        lines.append("\tt->burst_base = p->se.sum_exec_runtime;")
    if "slept" in needs.facts:
        lines.append("\tt->slept = sub_sat(now, t->slept_at);")
    if "wakes" in needs.facts:
        lines += [
            "\tt->wakes = average_rate(t->wakes, now - t->last_wake);",
            "\tt->last_wake = now;",
        ]
    if needs.waker:
        lines.append("\tt->waker = w ? w->cls : NO_CLASS;")
    if "wakings" in needs.facts:
        lines += [
            "\tif (w && waker != p) {",
            "\t\tw->wakings = average_rate(w->wakings, now - w->last_waking);",
            "\t\tw->last_waking = now;",
            "\t}",
        ]
    if "wake" in handlers:
        lines.append(f"\t{handlers['wake'].call};")
    about = "A task woke: noted once, in select_cpu or, where that is skipped, in runnable."
    return function("task_wakes", "void", lines, about=about)
