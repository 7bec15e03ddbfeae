"""Where parsing stopped: the one value that repairs and messages look at.

Input: the automaton, the tokens and the index of the token that doesn't fit. Invariant: looking
changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from schedc.source import Source, Span
from schedc.syntax.lex import END, REF, WORD, Token
from schedc.syntax.machine import Machine


@dataclass
class Place:
    """The token `tokens[at]` fits nowhere in the state of `machine`."""

    source: Source
    machine: Machine
    tokens: list[Token]
    at: int
    ends_block: bool = True
    """Whether an item may begin here, as far as the indentation says."""

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    @property
    def following(self) -> Token:
        return self.tokens[min(self.at + 1, len(self.tokens) - 1)]

    @property
    def previous(self) -> Token | None:
        return self.tokens[self.at - 1] if self.at else None

    @property
    def before(self) -> str:
        """The text of the token before, "" at the beginning."""
        return self.tokens[self.at - 1].text if self.at else ""

    @cached_property
    def expected(self) -> set[str]:
        return self.machine.expected()

    @cached_property
    def block(self) -> str:
        """The verb of the block that is open here: on, place, dispatch or ""."""
        brace = self.machine.open_brace
        if brace is None:
            return ""
        for entry in reversed(self.machine.stack[:brace]):
            if entry.symbol in ("on", "place", "dispatch"):
                return entry.symbol
        return ""

    @cached_property
    def verb(self) -> str:
        """The first word of the statement that is being read, "" between statements."""
        stack = self.machine.stack
        above = stack[self.machine.base + 1 :]
        if not above:
            return ""
        first = above[0]
        if type(first.value) is Token:
            return first.value.text
        return (self.source.text[first.start : first.end].split() or [""])[0]

    @cached_property
    def start(self) -> int:
        """Where the statement that is being read begins."""
        above = self.machine.stack[self.machine.base + 1 :]
        return above[0].start if above else self.token.start

    @cached_property
    def complete(self) -> bool:
        """Whether the statement could end before this token."""
        return self.machine.fits(self.machine.separator)

    @cached_property
    def wants_value(self) -> bool:
        """Whether an expression could begin here."""
        return "burst" in self.expected and "(" in self.expected

    @cached_property
    def wants_operator(self) -> bool:
        """Whether an operand of an expression has just ended."""
        return "or" in self.expected or "==" in self.expected

    @property
    def end_of_previous(self) -> Span:
        """The empty span behind the last thing that was read."""
        end = self.previous.end if self.previous else 0
        return Span(end, end)

    @property
    def ends_too_soon(self) -> bool:
        """Whether the statement stops in the middle: the next one, or nothing, follows."""
        token = self.token
        return not self.complete and (token.kind == END or (token.fresh and bool(self.verb)))

    def adjacent(self, left: Token, right: Token) -> bool:
        return left.end == right.start

    def declared(self) -> dict[str, set[str]]:
        """Names that the source seems to declare: tune, let, queue, class, and whole state refs."""
        verbs = ("tune", "let", "queue", "class", "state")
        names: dict[str, set[str]] = {verb: set() for verb in verbs}
        for left, right in pairwise(self.tokens):
            if left.kind == WORD and left.text in names and right.kind == (
                REF if left.text == "state" else WORD
            ):
                names[left.text].add(right.text)
        return names
