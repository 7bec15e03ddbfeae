"""The format for people: message, place, source line with a caret, labels, notes and help.

    error[E0301]: `time` and `ratio` can't be added
      --> mixed.sched:12:30
       |
    12 | enqueue batch to bulk slice tune.slice + 1/4
       |                             ^^^^^^^^^^^^^^^^ `time` on the left, `ratio` on the right
       |
       = note: …
       = help: …

Pure: text in, text out. Lines are cut around the caret to `width` cells. Colour is asked for by
the caller, who knows whether this goes to a terminal.
"""

from __future__ import annotations

from schedc.diagnostics.model import Diagnostic, Label, Severity
from schedc.diagnostics.render.located import Place, Sources, locate
from schedc.diagnostics.render.visible import shown_line, visible
from schedc.records import dataclass

DEFAULT_WIDTH = 100

_RESET = "\x1b[0m"
_BOLD = "\x1b[1m"
_BLUE = "\x1b[1;34m"
_COLOURS = {
    Severity.error: "\x1b[1;31m",
    Severity.warning: "\x1b[1;33m",
    Severity.note: "\x1b[1;32m",
}


@dataclass(frozen=True, slots=True)
class _Mark:
    """One underlined place of a snippet."""

    place: Place
    message: str
    primary: bool


@dataclass(frozen=True, slots=True)
class _Style:
    """How much room there is, and whether escape codes are wanted."""

    color: bool
    width: int
    severity: Severity

    def paint(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_RESET}" if self.color and text else text

    def frame(self, text: str) -> str:
        return self.paint(_BLUE, text)

    def accent(self, text: str) -> str:
        return self.paint(_COLOURS[self.severity], text)


def render_full(
    diagnostics: tuple[Diagnostic, ...],
    sources: Sources,
    *,
    color: bool = False,
    width: int = DEFAULT_WIDTH,
) -> str:
    """All diagnostics, each followed by an empty line."""
    blocks = []
    for found in diagnostics:
        style = _Style(color, width, found.severity)
        blocks.append("\n".join(_block(found, sources, style)) + "\n\n")
    return "".join(blocks)


def _block(found: Diagnostic, sources: Sources, style: _Style) -> list[str]:
    head = style.accent(f"{found.severity.value}[{found.code}]")
    lines = [f"{head}{style.paint(_BOLD, ': ' + visible(found.message))}"]
    marks = _marks(found, sources)
    gutter = max((len(str(mark.place.line)) for mark in marks), default=1)
    if marks:
        lines += _snippets(marks, gutter, style)
    elif sources.default is not None and sources.default.name:
        lines.append(f" {style.frame('-->')} {visible(sources.default.name)}")
    pad = " " * (gutter + 1)
    tail = [("note", note) for note in found.notes]
    tail += [("help", found.help)] if found.help else []
    if tail and marks:
        lines.append(pad + style.frame("|"))
    for kind, text in tail:
        lines += _tail(kind, text, pad, style)
    return lines


def _tail(kind: str, text: str, pad: str, style: _Style) -> list[str]:
    """A note or a help; further lines of it are indented below the first."""
    first, *rest = [visible(line.expandtabs(4)) for line in text.split("\n")]
    bold = style.paint(_BOLD, f"{kind}:")
    lines = [f"{pad}{style.frame('=')} {bold} {first}".rstrip()]
    return lines + [f"{pad}  {' ' * (len(kind) + 1)} {line}".rstrip() for line in rest]


def _marks(found: Diagnostic, sources: Sources) -> list[_Mark]:
    """Every place of a diagnostic that can be shown, the primary one first."""
    wanted = [(found.span, found.label, True)] if found.span is not None else []
    wanted += [(label.span, label.message, False) for label in _distinct(found.secondary)]
    marks = []
    for span, message, primary in wanted:
        place = locate(span, sources)
        if place is not None:
            marks.append(_Mark(place, visible(message), primary))
    return marks


def _distinct(labels: tuple[Label, ...]) -> list[Label]:
    return list(dict.fromkeys(labels))


def _snippets(marks: list[_Mark], gutter: int, style: _Style) -> list[str]:
    """One snippet a file: the file of the primary mark first, lines in their order."""
    pad = " " * gutter
    lines: list[str] = []
    names = list(dict.fromkeys(mark.place.file for mark in marks))
    for index, name in enumerate(names):
        here = [mark for mark in marks if mark.place.file == name]
        arrow = "-->" if index == 0 else ":::"
        first = here[0].place
        where = f"{visible(name)}:{first.line}:{first.column}"
        lines.append(f"{pad}{style.frame(arrow)} {where}")
        lines.append(f"{pad} {style.frame('|')}")
        lines += _file_snippet(here, gutter, style)
    return lines


def _file_snippet(marks: list[_Mark], gutter: int, style: _Style) -> list[str]:
    bar = style.frame("|")
    lines: list[str] = []
    previous = None
    for number in sorted({mark.place.line for mark in marks}):
        if previous is not None and number > previous + 1:
            lines.append(style.frame("..."))
        previous = number
        on_line = sorted(
            (mark for mark in marks if mark.place.line == number),
            key=lambda mark: (not mark.primary, mark.place.column),
        )
        text, rows = _annotated(on_line, gutter, style)
        lines.append(f"{style.frame(str(number).rjust(gutter))} {bar} {text}".rstrip())
        lines += [f"{' ' * gutter} {bar} {row}" for row in rows]
    return lines


def _annotated(marks: list[_Mark], gutter: int, style: _Style) -> tuple[str, list[str]]:
    """A source line, cut around its first mark, and a row of carets for each mark."""
    line = shown_line(marks[0].place.source.line_text(marks[0].place.line))
    extents = [_extent(mark, line.columns) for mark in marks]
    room = max(style.width - gutter - 3, 20)
    text, moved = line.window(*extents[0], room)
    rows = []
    for mark, (first, last) in zip(marks, extents, strict=True):
        begin = max(first - moved, 0)
        end = min(max(last - moved, begin + 1), room + 1)
        if begin > room:
            # Off the right edge: the caret stands on the ellipsis.
            begin, end = room - 1, room
        end = max(end, begin + 1)
        char = "^" if mark.primary else "-"
        carets = char * (end - begin) + (f" {mark.message}" if mark.message else "")
        paint = style.accent if mark.primary else style.frame
        rows.append(" " * begin + paint(carets))
    return text, rows


def _extent(mark: _Mark, columns: tuple[int, ...]) -> tuple[int, int]:
    """The cells of a mark on its first line; a span of many lines runs to the end of it."""
    last_index = len(columns) - 1
    start = min(mark.place.column - 1, last_index)
    end = mark.place.end_column - 1 if mark.place.end_line == mark.place.line else last_index
    end = max(start, min(end, last_index))
    return columns[start], max(columns[end], columns[start] + 1)
