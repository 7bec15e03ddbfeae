"""Lines to text: columns of like neighbours are aligned, comments are hung on.

Input: lines with their cells. Output: the text. Invariant: alignment depends only on the kinds and
cells of neighbours, so that it is the same when it is done again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

INDENT = "  "


@dataclass(slots=True)
class Line:
    """One line: its cells, the kind of lines that it is aligned with ("" none), its comment."""

    indent: str
    cells: list[str]
    kind: str
    comment: str = ""
    blank: bool = False
    """Whether an empty line stands before it."""


def render(lines: list[Line]) -> str:
    """The text of all lines."""
    texts: list[str] = []
    for run in _runs(lines, lambda line: line.kind):
        texts += _aligned(run)
    at = 0
    out: list[str] = []
    for run in _runs(lines, lambda line: "comment" if line.comment else ""):
        column = max(len(text) for text in texts[at : at + len(run)])
        for line in run:
            text = texts[at]
            if line.comment:
                text = f"{text:<{column}}  {line.comment}"
            out.append("\n" * line.blank + text + "\n")
            at += 1
    return "".join(out)


def _runs(lines: list[Line], key: Callable[[Line], str]) -> list[list[Line]]:
    """Neighbours with the same key and indent, without an empty line between; "" stands alone."""
    runs: list[list[Line]] = []
    for line in lines:
        last = runs[-1][-1] if runs else None
        joins = last is not None and key(line) and key(line) == key(last)
        if last is not None and joins and not line.blank and line.indent == last.indent:
            runs[-1].append(line)
        else:
            runs.append([line])
    return runs


def _aligned(run: list[Line]) -> list[str]:
    """The texts of a run, each column as wide as the widest cell that another one follows."""
    most = max(len(line.cells) for line in run)
    widths = [
        max((len(line.cells[k]) for line in run if len(line.cells) > k + 1), default=0)
        for k in range(most)
    ]
    return [
        line.indent
        + " ".join(
            cell if k + 1 == len(line.cells) else f"{cell:<{widths[k]}}"
            for k, cell in enumerate(line.cells)
        )
        for line in run
    ]
