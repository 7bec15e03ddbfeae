"""Limits: how much of each thing a policy may have.

Input: the symbols. Output: E0406 and E0312, and whether the later passes may go on. Invariant: what
passes here is small enough for every later pass to be fast and for Python's stack to hold: 16
classes, expressions of bounded depth, lists that fit the tables of the generated code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from schedc.diagnostics.model import Label
from schedc.passes import walk
from schedc.passes.report import Report
from schedc.passes.symbols import Symbols, key_span
from schedc.source import Span
from schedc.syntax import tree

MAX_DEPTH = 120  # a little above the parser's own limit, which has the better message
MAX_ASSIGNS = 64
MAX_RUNGS = 16
MAX_LINES = 32
MAX_ROWS = 16
MAX_PATHS = 16
MAX_COMMS = 32

Strings = dict[str, dict[bytes, Span]]
"""Distinct patterns by kind, with the place of the first."""

_DECLARATIONS = (
    ("tunes", "tunables", 32),
    ("lets", "named expressions", 32),
    ("cpus", "cpu sets", 8),
    ("queues", "queues", 16),
    ("states", "states", 64),
    ("classes", "classes", 16),
)


def check_limits(symbols: Symbols, report: Report) -> bool:
    """Whether the policy is within the limits; what isn't is reported."""
    good = True
    for table, what, limit in _DECLARATIONS:
        declared: Mapping[Any, object] = getattr(symbols, table)
        spans = [key_span(item) for item in declared.values()]
        good &= _fits(spans, what, limit, report)
    strings: Strings = {"comm": {}, "exe": {}, "cgroup": {}}
    for item in symbols.policy.items:
        good &= _fits(_lines(item), *_LINE_LIMITS.get(type(item), ("", 1 << 30)), report)
        for expr, _ in walk.expressions(item):
            good &= _check_expr(expr, strings, report)
    for kind, limit in (("comm", MAX_COMMS), ("exe", MAX_PATHS), ("cgroup", MAX_PATHS)):
        good &= _fits(list(strings[kind].values()), f"`{kind}` patterns", limit, report)
    return good


_LINE_LIMITS = {
    tree.Event: ("assignments in one event", MAX_ASSIGNS),
    tree.Place: ("rungs in one `place`", MAX_RUNGS),
    tree.Dispatch: ("lines in `dispatch`", MAX_LINES),
}


def _lines(item: tree.Item) -> list[Span]:
    match item:
        case tree.Event(body=lines) | tree.Place(rungs=lines) | tree.Dispatch(lines=lines):
            return [line.span for line in lines]
    return []


def _check_expr(expr: tree.Expr, strings: Strings, report: Report) -> bool:
    """Depth first: the walks below it are iterative, those of later passes are not."""
    if walk.depth(expr) > MAX_DEPTH:
        report.add(
            "E0312", "this expression is too large", _start(expr),
            f"more than {MAX_DEPTH} operators deep", help="name parts of it: `let part = …`",
        )  # fmt: skip
        return False
    good = True
    for one in walk.subexpressions(expr):
        match one:
            case tree.Match(kind=kind, patterns=patterns):
                for pattern in patterns:
                    strings[kind].setdefault(pattern.value, pattern.span)
            case tree.Table(rows=rows):
                good &= _fits([row.span for row in rows], "rows in one table", MAX_ROWS, report)
    return good


def _start(expr: tree.Expr) -> Span:
    """Where a huge expression begins: underlining all of it would show nothing."""
    span = expr.span
    return Span(span.start, min(span.end, span.start + 1), span.file)


def _fits(spans: Sequence[Span], what: str, limit: int, report: Report) -> bool:
    if len(spans) <= limit:
        return True
    report.add(
        "E0406", f"too many {what}: {len(spans)}", spans[limit], f"the limit is {limit}",
        secondary=[Label(spans[0], "the first is here")],
        help=f"keep {limit} of them at most",
    )  # fmt: skip
    return False
