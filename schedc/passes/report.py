"""Collecting diagnostics.

Input: findings of the passes, in any order. Output: a tuple in the order of the source.
Invariant: the same finding at the same place is kept once, however often an expression is
lowered (a `let` is looked at wherever it is used).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from schedc.diagnostics.model import Diagnostic, Fix, Label, diagnostic, sort_key
from schedc.source import Span

MAX_OF_ONE_CODE = 25
"""More of the same would hide the rest, and take long to show for a hostile source."""


class Report:
    """What the passes have found so far."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, Span | None, str], Diagnostic] = {}
        self._counts: dict[str, int] = {}
        self._unread: list[Span] = []

    def add(
        self,
        code: str,
        message: str,
        span: Span | None,
        label: str = "",
        *,
        help: str | None = None,
        notes: Sequence[str] = (),
        secondary: Sequence[Label] = (),
        fix: Fix | None = None,
    ) -> None:
        """Add a diagnostic; its severity is that of its code."""
        key = (code, span, message)
        if self.is_full(code) or key in self._found or self._is_unread(span):
            return
        self._counts[code] = self._counts.get(code, 0) + 1
        if self.is_full(code):
            notes = (*notes, f"there may be more of {code}: the first {MAX_OF_ONE_CODE} are shown")
        self._found[key] = diagnostic(
            code, message, span,
            label=label, help=help, notes=notes, secondary=secondary, fix=fix,
        )  # fmt: skip

    def is_full(self, code: str) -> bool:
        """Whether no more of a code is taken; then its help need not be worked out."""
        return self._counts.get(code, 0) >= MAX_OF_ONE_CODE

    def add_syntax(self, found: Iterable[Diagnostic]) -> None:
        """Add what the parser found. Nothing more is said of these places: what stands in the tree
        there is the parser's guess."""
        for one in found:
            self._found.setdefault((one.code, one.span, one.message), one)
            if one.is_error and one.span is not None:
                self._unread.append(one.span)

    def _is_unread(self, span: Span | None) -> bool:
        return span is not None and any(
            other.file == span.file and other.start < span.end and span.start < other.end
            for other in self._unread
        )

    @property
    def has_errors(self) -> bool:
        return any(one.is_error for one in self._found.values())

    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Everything found, in the order of the source."""
        return tuple(sorted(self._found.values(), key=sort_key))
