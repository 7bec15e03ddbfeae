"""Where a key of a TOML file stands in its text.

Input: a source and a path such as `("groups", 1, "phases", 0, "do")`. Output: a span to point at.
`tomllib` keeps no positions; this scans lines, which is exact for the layout that our files use
(one key a line, one inline table a line in an array). For anything else it falls back to the
nearest enclosing key that it saw. Invariant: it never fails and never changes what was parsed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from schedc.source import Source, Span

Path = Sequence[str | int]

_HEADER = re.compile(r"\s*(\[\[?)\s*([A-Za-z0-9_.\-]+)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"\s*([A-Za-z0-9_\-]+)\s*=")
_INLINE_KEY = re.compile(r"([A-Za-z0-9_\-]+)\s*=")


def scan(source: Source) -> dict[tuple[str | int, ...], Span]:
    """Every path that the lines of the text show, with the span of its key or table."""
    found: dict[tuple[str | int, ...], Span] = {}
    table: tuple[str | int, ...] = ()
    counts: dict[tuple[str, ...], int] = {}
    array: tuple[str | int, ...] | None = None
    item = 0
    for number in range(1, source.line_count + 1):
        line, start = source.line_text(number), source.offset(number)
        if header := _HEADER.match(line):
            names = tuple(header[2].split("."))
            if header[1] == "[[":
                counts[names] = counts.get(names, -1) + 1
                table = (*names, counts[names])
            else:
                table = names
            array = None
            found.setdefault(table, _span(start, line, header.start(1), header.end(2)))
        elif array is None and (key := _KEY.match(line)):
            path = (*table, key[1])
            found.setdefault(path, _span(start, line, key.start(1), len(line.rstrip())))
            rest = line[key.end() :].strip()
            _inline(found, path, start, line, key.end())
            if rest.startswith("[") and "]" not in rest.rpartition("}")[2]:
                array, item = path, 0
        elif array is not None:
            text = line.strip()
            if text.startswith("{"):
                at = line.index("{")
                found.setdefault((*array, item), _span(start, line, at, len(line.rstrip())))
                _inline(found, (*array, item), start, line, at)
                item += 1
            elif text.startswith("]"):
                array = None
    return found


def _inline(
    found: dict[tuple[str | int, ...], Span],
    path: tuple[str | int, ...],
    start: int,
    line: str,
    at: int,
) -> None:
    """The keys of inline tables on one line, under the path of the line."""
    for key in _INLINE_KEY.finditer(line, at):
        found.setdefault((*path, key[1]), _span(start, line, key.start(), key.end(1)))


def _span(start: int, line: str, begin: int, end: int) -> Span:
    # A comment after the value isn't part of it; quotes before the # mean that it may be text.
    cut = line.find(" #", begin, end)
    if cut != -1 and line.count('"', begin, cut) % 2 == 0:
        end = len(line[:cut].rstrip())
    return Span(start + begin, start + max(begin, end))


def locate(found: dict[tuple[str | int, ...], Span], path: Path) -> Span | None:
    """The span of a path, or of the nearest enclosing one that is known."""
    for length in range(len(path), 0, -1):
        if (span := found.get(tuple(path[:length]))) is not None:
            return span
    return None
