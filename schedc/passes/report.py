"""Collecting diagnostics.

Input: findings of the passes, in any order. Output: a tuple in the order of the source.
Invariant: the same finding at the same place is kept once, however often an expression is
lowered (a `let` is looked at wherever it is used).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from schedc.diagnostics.model import Diagnostic, Fix, Label, diagnostic, sort_key
from schedc.source import Span


class Report:
    """What the passes have found so far."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, Span | None, str], Diagnostic] = {}

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
        self.extend(
            [
                diagnostic(
                    code, message, span,
                    label=label, help=help, notes=notes, secondary=secondary, fix=fix,
                )
            ]
        )  # fmt: skip

    def extend(self, found: Iterable[Diagnostic]) -> None:
        for one in found:
            self._found.setdefault((one.code, one.span, one.message), one)

    @property
    def has_errors(self) -> bool:
        return any(one.is_error for one in self._found.values())

    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Everything found, in the order of the source."""
        return tuple(sorted(self._found.values(), key=sort_key))
