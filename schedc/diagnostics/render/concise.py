"""One line a diagnostic, for editors, `grep` and quickfix lists: `file:line:col: E0301 message`."""

from __future__ import annotations

from schedc.diagnostics.model import Diagnostic
from schedc.diagnostics.render.located import Sources, locate
from schedc.diagnostics.render.visible import visible


def render_concise(diagnostics: tuple[Diagnostic, ...], sources: Sources) -> str:
    """Each diagnostic on a line of its own; one without a place has only the file."""
    return "".join(_line(found, sources) + "\n" for found in diagnostics)


def _line(found: Diagnostic, sources: Sources) -> str:
    text = f"{found.code} {visible(found.message)}"
    place = locate(found.span, sources)
    if place is None:
        name = visible(sources.default.name) if sources.default else ""
        return f"{name}: {text}" if name else text
    return f"{visible(place.file)}:{place.line}:{place.column}: {text}"
