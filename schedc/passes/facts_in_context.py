"""Where a fact has a value.

Input: an expression and the context that it stands in. Output: E0205 where the system has nothing
to say: who wakes a task when none does, how long it ran before it ever ran. Invariant: what passes
here has a meaning that the back end can supply in that callback.
"""

from __future__ import annotations

from schedc.passes.report import Report
from schedc.syntax import tree

_AT_WAKE = frozenset({"wake", "enqueue", "class", "place", "rule"})
"""Contexts in which a task may just be waking: a flag and a waker are at hand."""

_HISTORY = frozenset({"ran", "burst", "slept", "waited", "wakes", "wakings"})
"""Facts about a task's past: a new task has none."""

_WHERE = {
    "class": "a class's condition",
    "place": "`place`",
    "rule": "an `enqueue` line",
    "keep": "`keep`",
}


def check_context(expr: tree.Expr, context: str, report: Report) -> None:
    """Report an expression whose value is unknown in the context."""
    where = _WHERE.get(context, f"`on {context}`")
    match expr:
        case tree.Fact(name="sync") if context not in _AT_WAKE:
            _no_value(
                report, expr, "`sync`", where, "known only while the task is being woken",
                "keep it in a `bool` state: `on wake { task.was_sync = sync }`",
            )  # fmt: skip
        case tree.IsClass(who="waker") if context not in _AT_WAKE:
            _no_value(
                report, expr, "the waker", where, "known only while the task is being woken",
                "keep it in a `bool` state, assigned in `on wake`",
            )  # fmt: skip
        case tree.Fact(name=name) if context == "enable" and name in _HISTORY:
            _no_value(
                report, expr, f"`{name}`", where, "a new task has no history",
                "give the state an initial value instead: `state task.x : time = 4ms`",
            )  # fmt: skip
        case tree.IsClass(who="class") if context == "enable":
            _no_value(
                report, expr, "`class`", where, "the class is chosen when the task is queued",
                "assign it in `on enqueue`",
            )  # fmt: skip
        case tree.Ref(scope="class", name=name) if context in ("enable", "class"):
            _no_value(
                report, expr, f"`class.{name}`", where, "the task's class isn't chosen yet",
                "use a `task` or `global` state here",
            )  # fmt: skip


def _no_value(report: Report, expr: tree.Expr, what: str, where: str, why: str, hint: str) -> None:
    report.add("E0205", f"{what} has no value in {where}", expr.span, why, help=hint)
