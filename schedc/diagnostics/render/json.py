"""JSON for programs: one object with a list of diagnostics, stable keys, ASCII only.

Offsets count code points from 0; lines and columns count from 1, the end column is one past the
last character. `explain` is the command that prints the page of the code.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from schedc import __version__
from schedc.diagnostics.model import Diagnostic
from schedc.diagnostics.render.located import Sources, locate
from schedc.source import Span


def render_json(
    findings: Iterable[tuple[tuple[Diagnostic, ...], Sources]],
    more: Mapping[str, Any] | None = None,
) -> str:
    """One document for all files that were looked at; `more` are further keys of it."""
    rows = [
        diagnostic_object(found, sources) for found_here, sources in findings
        for found in found_here
    ]
    document = {"version": __version__, "diagnostics": rows, **(more or {})}
    return json.dumps(document, indent=2) + "\n"


def diagnostic_object(found: Diagnostic, sources: Sources) -> dict[str, Any]:
    """A diagnostic as plain data."""
    return {
        "code": found.code,
        "severity": found.severity.value,
        "message": found.message,
        **_place(found.span, sources),
        "label": found.label,
        "secondary": [
            {"message": label.message, **_place(label.span, sources)} for label in found.secondary
        ],
        "notes": list(found.notes),
        "help": found.help,
        "fix": _fix(found, sources),
        "explain": f"schedc explain {found.code}",
    }


def _fix(found: Diagnostic, sources: Sources) -> list[dict[str, Any]] | None:
    if found.fix is None:
        return None
    return [
        {"replacement": edit.replacement, **_place(edit.span, sources)} for edit in found.fix.edits
    ]


def _place(span: Span | None, sources: Sources) -> dict[str, Any]:
    name = sources.default.name if sources.default else None
    place = locate(span, sources)
    if span is None or place is None:
        return {"file": name, "span": None}
    return {
        "file": place.file,
        "span": {
            "start": {"line": place.line, "column": place.column, "offset": span.start},
            "end": {"line": place.end_line, "column": place.end_column, "offset": span.end},
        },
    }
