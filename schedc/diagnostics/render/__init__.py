"""Diagnostics to text, in the four formats. The modules of the formats are imported when used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any

from schedc.diagnostics.model import Diagnostic, Severity, sort_key
from schedc.diagnostics.render.located import Sources
from schedc.source import Source


class Format(Enum):
    """What `--format` takes."""

    full = "full"
    concise = "concise"
    json = "json"
    sarif = "sarif"

    @property
    def is_document(self) -> bool:
        """Whether it is one document for all files, which programs read."""
        return self in (Format.json, Format.sarif)


Findings = tuple[Iterable[Diagnostic], Source | Sources | None]
"""Diagnostics of one file, and the text that their spans belong to."""


def render_all(
    findings: Sequence[Findings],
    format: Format,
    *,
    color: bool = False,
    width: int = 100,
    more: Mapping[str, Any] | None = None,
) -> str:
    """Render the diagnostics of several files; within a file they are sorted by position. `more`:
    further keys of a JSON document."""
    rows = [(_sorted(found), _sources(source)) for found, source in findings]
    match format:
        case Format.full:
            from schedc.diagnostics.render.full import render_full

            return "".join(render_full(*row, color=color, width=width) for row in rows)
        case Format.concise:
            from schedc.diagnostics.render.concise import render_concise

            return "".join(render_concise(*row) for row in rows)
        case Format.json:
            from schedc.diagnostics.render.json import render_json

            return render_json(rows, more)
        case Format.sarif:
            from schedc.diagnostics.render.sarif import render_sarif

            return render_sarif(rows)


def render(
    diagnostics: Iterable[Diagnostic],
    source: Source | Sources | None,
    format: Format = Format.full,
    *,
    color: bool = False,
    width: int = 100,
) -> str:
    """Render the diagnostics of one file."""
    return render_all([(diagnostics, source)], format, color=color, width=width)


def summary(diagnostics: Iterable[Diagnostic]) -> str:
    """`2 errors and 1 warning`, or an empty text if there is nothing to count."""
    found = list(diagnostics)
    counts = [
        (sum(one.severity is severity for one in found), severity.value)
        for severity in (Severity.error, Severity.warning)
    ]
    return " and ".join(f"{n} {word}{'s' if n != 1 else ''}" for n, word in counts if n)


def _sorted(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    return tuple(sorted(dict.fromkeys(diagnostics), key=sort_key))


def _sources(source: Source | Sources | None) -> Sources:
    return source if isinstance(source, Sources) else Sources(source)
