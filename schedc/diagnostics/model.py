"""The one model of what schedc tells its user.

Input: a stage finds something. Output: a `Diagnostic`, a value that each renderer shows in its
own format. Invariant: every code is in `codes.CODES` and its letter agrees with the severity, so
that a page, a registry entry and a golden exist for each; anything else is a bug in schedc and
raises.

Messages are lower case without a full stop; `help` is an edit that the reader can make.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from schedc.diagnostics.codes import CODES
from schedc.records import dataclass
from schedc.source import Span


class Severity(Enum):
    """How grave a diagnostic is: only an `error` makes the exit code 1."""

    error = "error"
    warning = "warning"
    note = "note"


_LETTER = {"E": Severity.error, "W": Severity.warning, "N": Severity.note}


@dataclass(frozen=True, slots=True)
class Label:
    """A place that explains the primary one, such as where a name was first declared."""

    span: Span
    message: str


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace the text of `span`; an empty span inserts."""

    span: Span
    replacement: str


@dataclass(frozen=True, slots=True)
class Fix:
    """Edits that together make the diagnostic go away; they don't overlap."""

    edits: tuple[Edit, ...]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding, with a primary place (none if it concerns the whole file or no file)."""

    code: str
    severity: Severity
    message: str
    span: Span | None
    label: str = ""
    secondary: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    help: str | None = None
    fix: Fix | None = None

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise UnregisteredCode(self.code)
        if CODES[self.code].severity != self.severity.value:
            raise UnregisteredCode(f"{self.code} as {self.severity.value}")

    @property
    def is_error(self) -> bool:
        return self.severity is Severity.error


class UnregisteredCode(Exception):
    """A stage used a code that `codes.py` doesn't list: a bug in schedc (exit code 101)."""


def diagnostic(
    code: str,
    message: str,
    span: Span | None,
    *,
    label: str = "",
    help: str | None = None,
    notes: Iterable[str] = (),
    secondary: Iterable[Label] = (),
    fix: Fix | None = None,
) -> Diagnostic:
    """A diagnostic whose severity is the one that its code has in the registry."""
    if code not in CODES:
        raise UnregisteredCode(code)
    severity = Severity(CODES[code].severity)
    return Diagnostic(
        code, severity, message, span, label, tuple(secondary), tuple(notes), help, fix
    )


def error(
    code: str,
    message: str,
    span: Span | None,
    *,
    label: str = "",
    help: str | None = None,
    notes: Iterable[str] = (),
    secondary: Iterable[Label] = (),
    fix: Fix | None = None,
) -> Diagnostic:
    """An error: the policy is refused."""
    return Diagnostic(
        code, Severity.error, message, span, label, tuple(secondary), tuple(notes), help, fix
    )


def warning(
    code: str,
    message: str,
    span: Span | None,
    *,
    label: str = "",
    help: str | None = None,
    notes: Iterable[str] = (),
    secondary: Iterable[Label] = (),
    fix: Fix | None = None,
) -> Diagnostic:
    """A warning: the policy compiles, and probably doesn't do what its author means."""
    return Diagnostic(
        code, Severity.warning, message, span, label, tuple(secondary), tuple(notes), help, fix
    )


def sort_key(found: Diagnostic) -> tuple[str, int, int, str, str]:
    """Order by position, then code: the order in which a reader meets the mistakes."""
    if found.span is None:
        return ("", -1, -1, found.code, found.message)
    return (found.span.file, found.span.start, found.span.end, found.code, found.message)
