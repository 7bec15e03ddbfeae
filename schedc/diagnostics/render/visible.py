"""Text made safe and measurable for a terminal.

Input: any text, most of all hostile text from a policy, a file name or another program's output.
Output: text in which every character moves the cursor forward by a known number of cells.
Invariant: no output contains a control, format, bidirectional or unassigned character, so nothing
that is shown can move the cursor, change colours, reorder a line or hide a part of it.
"""

from __future__ import annotations

import unicodedata

from schedc.records import dataclass

TAB = 4
"""A tab goes to the next multiple of this many cells; it is shown as spaces."""

ELLIPSIS = "…"

# Control, format (with the bidirectional ones), surrogate, private, unassigned, and the two
# separators that some terminals take for a line end.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def visible_char(char: str) -> str:
    """The character itself, or `<U+202E>` if a terminal would do something with it."""
    if " " <= char <= "~":
        return char
    if unicodedata.category(char) in _UNSAFE:
        return f"<U+{ord(char):04X}>"
    return char


def visible(text: str) -> str:
    """One line of safe text: newlines and tabs are escaped like any other control character."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(visible_char(char) for char in text)


def cells(text: str) -> int:
    """How many terminal cells a safe text takes: 2 for wide characters, 0 for combining ones."""
    if text.isascii():
        return len(text)
    return sum(_cell(char) for char in text)


def _cell(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


@dataclass(frozen=True, slots=True)
class ShownLine:
    """A source line as it is shown. `columns[i]` is the cell at which code point `i` begins, with
    one more entry for the end of the line."""

    pieces: tuple[str, ...]
    columns: tuple[int, ...]

    def window(self, first: int, last: int, width: int) -> tuple[str, int]:
        """The line cut to `width` cells around the cells `first..last`, and by how many cells its
        start moved to the left (the ellipsis is counted in)."""
        if self.columns[-1] <= width:
            return "".join(self.pieces), 0
        room = max(width - 2, 8)
        middle = (first + min(last, first + room)) // 2
        begin = max(0, min(middle - room // 2, self.columns[-1] - room))
        kept, start = [], None
        for piece, at in zip(self.pieces, self.columns, strict=False):
            if at >= begin and at + cells(piece) <= begin + room:
                start = at if start is None else start
                kept.append(piece)
        start = start or 0
        left = ELLIPSIS if start > 0 else ""
        end = start + sum(cells(piece) for piece in kept)
        right = ELLIPSIS if end < self.columns[-1] else ""
        return left + "".join(kept) + right, start - len(left)


def shown_line(text: str) -> ShownLine:
    """Expand tabs and escape what isn't safe, keeping track of where each code point went."""
    pieces: list[str] = []
    columns = [0]
    for char in text:
        at = columns[-1]
        piece = " " * (TAB - at % TAB) if char == "\t" else visible_char(char)
        pieces.append(piece)
        columns.append(at + cells(piece))
    return ShownLine(tuple(pieces), tuple(columns))
