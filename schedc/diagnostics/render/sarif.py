"""SARIF 2.1.0, which code hosts and editors read (OASIS standard, section numbers below).

One run, one rule for each code that occurs (3.19.23), columns in code points (3.14.17). File
names become percent-encoded relative URIs, so that no byte of a name breaks the document.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from schedc import __version__
from schedc.diagnostics.codes import CODES
from schedc.diagnostics.model import Diagnostic, Severity
from schedc.diagnostics.render.located import Place, Sources, locate
from schedc.source import Span

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVEL = {Severity.error: "error", Severity.warning: "warning", Severity.note: "note"}


def render_sarif(findings: Iterable[tuple[tuple[Diagnostic, ...], Sources]]) -> str:
    """One SARIF log for all files that were looked at."""
    rows = [(found, sources) for found_here, sources in findings for found in found_here]
    used = sorted({found.code for found, _ in rows})
    index = {code: at for at, code in enumerate(used)}
    log = {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "schedc",
                        "version": __version__,
                        "semanticVersion": __version__,
                        "rules": [_rule(code) for code in used],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(found, sources, index) for found, sources in rows],
            }
        ],
    }
    return json.dumps(log, indent=2) + "\n"


def _rule(code: str) -> dict[str, Any]:
    info = CODES[code]
    return {
        "id": code,
        "shortDescription": {"text": info.title},
        "help": {"text": f"run: schedc explain {code}"},
        "defaultConfiguration": {"level": info.severity},
    }


def _result(found: Diagnostic, sources: Sources, index: dict[str, int]) -> dict[str, Any]:
    parts = [found.message, *([found.label] if found.label else []), *found.notes]
    if found.help:
        parts.append(f"help: {found.help}")
    result: dict[str, Any] = {
        "ruleId": found.code,
        "ruleIndex": index[found.code],
        "level": _LEVEL[found.severity],
        "message": {"text": "\n".join(parts)},
        "locations": [_location(found.span, sources)] if _named(found.span, sources) else [],
    }
    if found.secondary:
        result["relatedLocations"] = [
            {"id": at, "message": {"text": label.message}, **_location(label.span, sources)}
            for at, label in enumerate(found.secondary, 1)
        ]
    if found.fix is not None:
        result["fixes"] = [_fix(found, sources)]
    return result


def _fix(found: Diagnostic, sources: Sources) -> dict[str, Any]:
    assert found.fix is not None
    changes: dict[str, list[dict[str, Any]]] = {}
    for edit in found.fix.edits:
        place = locate(edit.span, sources)
        if place is not None:
            changes.setdefault(place.file, []).append(
                {
                    "deletedRegion": _region(place),
                    "insertedContent": {"text": edit.replacement},
                }
            )
    return {
        "description": {"text": found.help or found.message},
        "artifactChanges": [
            {"artifactLocation": {"uri": _uri(file)}, "replacements": edits}
            for file, edits in changes.items()
        ],
    }


def _named(span: Span | None, sources: Sources) -> bool:
    return locate(span, sources) is not None or sources.default is not None


def _location(span: Span | None, sources: Sources) -> dict[str, Any]:
    place = locate(span, sources)
    if place is None:
        name = sources.default.name if sources.default else ""
        return {"physicalLocation": {"artifactLocation": {"uri": _uri(name)}}}
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": _uri(place.file)},
            "region": _region(place),
        }
    }


def _region(place: Place) -> dict[str, int]:
    return {
        "startLine": place.line,
        "startColumn": place.column,
        "endLine": place.end_line,
        "endColumn": place.end_column,
    }


def _uri(name: str) -> str:
    path = PurePath(name)
    prefix = "file://" if path.is_absolute() else ""
    try:
        data = os.fsencode(path.as_posix())
    except UnicodeEncodeError:
        # A lone surrogate that no file name on disk can yield, but `--stdin-filename` may.
        data = path.as_posix().encode("utf-8", "replace")
    return prefix + quote(data, safe="/")
