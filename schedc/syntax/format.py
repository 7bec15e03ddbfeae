"""Source to canonical text.

Input: a source that parses, and its tree. Output: the same policy in the one layout. Invariant: the
tokens and the comments are those of the source, in their order, so that meaning and remarks are
kept; formatting the result again changes nothing.

The layout: one statement a line; a block with one line in it stands on one line; lines of a
kind that follow each other directly have their columns aligned; at most one empty line between
statements, where there was one; long statements go on in the next line, indented.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from schedc.diagnostics.model import Diagnostic
from schedc.source import Source
from schedc.syntax import tree as t
from schedc.syntax.layout import INDENT, Line, render
from schedc.syntax.lex import END, Comment, Token, lex
from schedc.syntax.parse import parse
from schedc.syntax.spacing import CONTINUED, WIDTH, cells, text_of, wrapped

Block = t.Event | t.Place | t.Dispatch


def format_source(source: Source) -> tuple[str | None, tuple[Diagnostic, ...]]:
    """The canonical text, or None and the reason why the source has none."""
    tree, problems = parse(source)
    if any(found.is_error for found in problems):
        return None, problems
    return format(source, tree), problems


def format(source: Source, tree: t.PolicyTree) -> str:
    """The canonical text of a source whose tree is whole."""
    if tree.header is None or tree.broken:
        raise ValueError("only a source without syntax errors can be formatted")
    return render(list(_Formatter(source, tree).lines()))


@dataclass(frozen=True, slots=True)
class _Unit:
    """What stands on lines of its own: a statement, a block, or the description."""

    start: int
    end: int
    node: t.Item | t.Line | t.Assign | t.Rung | None


class _Formatter:
    def __init__(self, source: Source, tree: t.PolicyTree) -> None:
        lexed = lex(source)
        self.source = source
        self.tree = tree
        self.tokens = [token for token in lexed.tokens if token.kind != END]
        self.starts = [token.start for token in self.tokens]
        self.comments = lexed.comments
        self.next_comment = 0
        self.last_line = 0
        """The line of the source on which the last thing that was written ended."""

    def lines(self) -> Iterator[Line]:
        header = self.tree.header
        assert header is not None
        units = [_Unit(header.span.start, header.span.end, None)]
        if header.description is not None:
            # The description has a line of its own.
            at = header.description.span.start
            last = self._inside(header.span.start, at)[-1]
            units = [_Unit(header.span.start, last.end, None), _Unit(at, header.span.end, None)]
        units += [_Unit(item.span.start, item.span.end, item) for item in self.tree.items]
        yield from self._units(units, "", len(self.source.text))

    def _units(self, units: list[_Unit], indent: str, end: int) -> Iterator[Line]:
        """Statements and the comments around them, up to `end`."""
        for unit in units:
            yield from self._own_lines(unit.start, indent)
            if isinstance(unit.node, Block):
                yield from self._block(unit, unit.node, indent)
            else:
                yield from self._statement(unit, indent)
        yield from self._own_lines(end, indent)

    # --- comments ---------------------------------------------------------------------------------

    def _own_lines(self, before: int, indent: str) -> Iterator[Line]:
        """The comments before an offset, each on a line of its own."""
        while (comment := self._comment(before)) is not None:
            yield Line(indent, [comment.text.rstrip()], "",
                       blank=self._blank(comment.start))
            self._wrote(comment.start)

    def _comment(self, before: int) -> Comment | None:
        """Take the next comment if it stands before an offset."""
        if self.next_comment == len(self.comments):
            return None
        comment = self.comments[self.next_comment]
        if comment.start >= before:
            return None
        self.next_comment += 1
        return comment

    def _comment_before(self, offset: int) -> bool:
        at = self.next_comment
        return at < len(self.comments) and self.comments[at].start < offset

    def _trailing(self, end: int) -> str:
        """Take the comment that stands on the line on which something ends at `end`."""
        if self.next_comment < len(self.comments):
            comment = self.comments[self.next_comment]
            between = self.source.text[end : comment.start]
            if comment.start >= end and not between.strip() and "\n" not in between:
                self.next_comment += 1
                return comment.text.rstrip()
        return ""

    # --- statements -------------------------------------------------------------------------------

    def _statement(self, unit: _Unit, indent: str) -> Iterator[Line]:
        tokens = self._inside(unit.start, unit.end)
        blank = self._blank(unit.start)
        if self._comment_before(unit.end):
            yield from self._commented(tokens, unit, indent, blank)
            return
        kind, columns = cells(tokens)
        lines = [Line(indent, columns, kind)]
        too_long = len(indent) + len(" ".join(columns)) > WIDTH
        if too_long and len(rows := wrapped(tokens, indent)) > 1:
            lines = [Line(indent, [rows[0]], "")]
            lines += [Line(indent + CONTINUED, [row], "") for row in rows[1:]]
        lines[0].blank = blank
        lines[-1].comment = self._trailing(unit.end)
        self._wrote(unit.end)
        yield from lines

    def _commented(
        self, tokens: list[Token], unit: _Unit, indent: str, blank: bool
    ) -> Iterator[Line]:
        """A statement with comments inside: its lines end where the comments are."""
        margin = indent
        at = 0
        while (comment := self._comment(unit.end)) is not None:
            cut = at
            while cut < len(tokens) and tokens[cut].start < comment.start:
                cut += 1
            if cut == at:
                yield Line(margin, [comment.text.rstrip()], "", blank=blank)
            else:
                text = text_of(tokens, at, cut)
                own = "\n" in self.source.text[tokens[cut - 1].end : comment.start]
                yield Line(margin, [text], "", "" if own else comment.text.rstrip(), blank)
                if own:
                    yield Line(indent + CONTINUED, [comment.text.rstrip()], "")
            at, blank, margin = cut, False, indent + CONTINUED
        last = Line(margin, [text_of(tokens, at, len(tokens))], "", self._trailing(unit.end), blank)
        self._wrote(unit.end)
        yield last

    # --- blocks -----------------------------------------------------------------------------------

    def _block(self, unit: _Unit, node: Block, indent: str) -> Iterator[Line]:
        tokens = self._inside(unit.start, unit.end)
        brace = next(at for at, token in enumerate(tokens) if token.text == "{")
        head = text_of(tokens, 0, brace)
        inner = _lines_of(node)
        blank = self._blank(unit.start)
        if len(inner) <= 1 and not self._comment_before(unit.end):
            body = text_of(tokens, brace + 1, len(tokens) - 1)
            short = "{ " + body + " }" if body else "{ }"
            if len(indent) + len(head) + 1 + len(short) <= WIDTH:
                kind = "on" if isinstance(node, t.Event) else ""
                yield Line(indent, [head, short], kind, self._trailing(unit.end), blank)
                self._wrote(unit.end)
                return
        opened = Line(indent, [head + " {"], "", "", blank)
        # A comment between `on stop` and its brace moves behind the brace.
        early = self._comment(tokens[brace].start)
        opened.comment = early.text.rstrip() if early else self._trailing(tokens[brace].end)
        yield opened
        self.last_line = -1
        units = [_Unit(line.span.start, line.span.end, line) for line in inner]
        yield from self._units(units, indent + INDENT, unit.end)
        yield Line(indent, ["}"], "", self._trailing(unit.end))
        self._wrote(unit.end)

    # --- places -----------------------------------------------------------------------------------

    def _inside(self, start: int, end: int) -> list[Token]:
        return self.tokens[bisect_left(self.starts, start) : bisect_left(self.starts, end)]

    def _blank(self, start: int) -> bool:
        """Whether an empty line stood before; -1 is the beginning of a block, which has none."""
        line = self.source.position(start)[0]
        return self.last_line > 0 and line - self.last_line > 1

    def _wrote(self, end: int) -> None:
        self.last_line = self.source.position(end)[0]


def _lines_of(node: Block) -> tuple[t.Line | t.Assign | t.Rung, ...]:
    match node:
        case t.Event():
            return node.body
        case t.Place():
            return node.rungs
        case t.Dispatch():
            return node.lines
