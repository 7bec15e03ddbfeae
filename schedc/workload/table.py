"""Reading TOML tables with diagnostics instead of exceptions.

Input: a parsed table and its path. Output: typed values; every mistake becomes an E12xx diagnostic
at the key's place, and reading goes on with a stand-in, so that one run shows several mistakes.
Invariant: `done()` has been called on every table that was opened, so no key goes unread.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any

from schedc.diagnostics.model import Diagnostic, error
from schedc.records import dataclass
from schedc.source import Span
from schedc.workload import locate
from schedc.workload.quantity import MAX_TIME, parse_percent, parse_time

MAX_COUNT = 1_000_000_000


def near(name: str, known: Iterable[str]) -> str | None:
    """A help line that proposes a known name, or lists them when there are few."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, 1, 0.6)
    if close:
        return f"did you mean `{close[0]}`?"
    return "known: " + ", ".join(names) if 0 < len(names) <= 16 else None


@dataclass(slots=True)
class Findings:
    """The diagnostics of one file, and where its keys are."""

    places: dict[tuple[str | int, ...], Span]
    found: list[Diagnostic] = field(default_factory=list)

    def report(
        self,
        code: str,
        message: str,
        path: locate.Path,
        *,
        label: str = "",
        help: str | None = None,
    ) -> None:
        place = locate.locate(self.places, path)
        self.found.append(error(code, message, place, label=label, help=help))


@dataclass(slots=True)
class Table:
    """One table of the file and the keys of it that were read."""

    data: Mapping[str, Any]
    path: tuple[str | int, ...]
    findings: Findings
    _seen: set[str] = field(default_factory=set)

    def at(self, key: str) -> tuple[str | int, ...]:
        return (*self.path, key)

    def has(self, key: str) -> bool:
        return key in self.data

    def raw(self, key: str) -> Any:
        """The value as TOML has it, counted as read; None if absent."""
        self._seen.add(key)
        return self.data.get(key)

    def fail(self, code: str, message: str, key: str, *, label: str = "",
             help: str | None = None) -> None:
        self.findings.report(code, message, self.at(key), label=label, help=help)

    def missing(self, key: str, example: str) -> None:
        where = f"`{_dotted(self.path)}`" if self.path else "the workload"
        self.findings.report(
            "E1203", f"{where} has no `{key}`", self.path or (key,), help=f"write {example}"
        )

    def wrong(self, key: str, wanted: str) -> None:
        value = self.data.get(key)
        self.fail("E1204", f"`{key}` must be {wanted}", key, label=f"this is {_kind(value)}")

    def text(self, key: str, default: str | None = None, example: str = '"…"') -> str:
        value = self.raw(key)
        if value is None:
            if default is None:
                self.missing(key, f"{key} = {example}")
            return default or ""
        if not isinstance(value, str):
            self.wrong(key, "text in quotes")
            return default or ""
        return value

    def integer(self, key: str, default: int | None, low: int, high: int) -> int:
        value = self.raw(key)
        if value is None:
            if default is None:
                self.missing(key, f"{key} = {max(low, 1)}")
            return default if default is not None else low
        if not isinstance(value, int) or isinstance(value, bool):
            self.wrong(key, "a whole number")
        elif not low <= value <= high:
            self.fail("E1205", f"`{key}` is {value}, outside {low}..{high}", key)
        else:
            return value
        return default if default is not None else low

    def boolean(self, key: str, default: bool) -> bool:
        value = self.raw(key)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        self.wrong(key, "true or false")
        return default

    def choice(self, key: str, choices: tuple[str, ...], default: str) -> str:
        value = self.text(key, default)
        if value not in choices:
            self.fail("E1204", f"`{key}` can't be \"{value[:40]}\"", key,
                      help=near(value, choices))
            return default
        return value

    def strings(self, key: str) -> tuple[str, ...]:
        value = self.raw(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            self.wrong(key, "a list of texts")
            return ()
        return tuple(value)

    def table(self, key: str) -> Table:
        value = self.raw(key)
        if value is not None and not isinstance(value, dict):
            self.wrong(key, "a table")
        return Table(value if isinstance(value, dict) else {}, self.at(key), self.findings)

    def tables(self, key: str) -> list[Table]:
        value = self.raw(key)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            self.wrong(key, "a list of tables")
            return []
        return [
            Table(one, (*self.at(key), index), self.findings) for index, one in enumerate(value)
        ]

    def done(self) -> None:
        """Report every key that nothing read."""
        for key in self.data:
            if key not in self._seen:
                where = f" in `{_dotted(self.path)}`" if self.path else ""
                self.fail("E1202", f"unknown key `{key[:40]}`{where}", key,
                          help=near(key, self._seen))


def constant(value: object) -> int | None:
    """A count, a time in nanoseconds or a percentage, or None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if 0 <= value <= MAX_COUNT else None
    if isinstance(value, str):
        time = parse_time(value)
        if time is not None:
            return time if time <= MAX_TIME else None
        return parse_percent(value)
    return None


def _dotted(path: tuple[str | int, ...]) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _kind(value: object) -> str:
    match value:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case dict():
            return "a table"
        case _:
            return "a date or time of day"
