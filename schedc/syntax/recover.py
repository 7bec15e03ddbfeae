"""Several mistakes in one run: what happens after a token that fits nowhere.

Input: the automaton at the token. Output: where reading goes on. Invariant: every call gets on, by
a token or by a repair that is counted; each broken statement gives one diagnostic and a `Broken`;
the statements before and after it stay.

First a repair is tried (`repair`): the statement stays, as it was probably meant. Else the statement
is dropped, and reading goes on at the next line that can begin one, since there is one statement a
line; newlines mean nothing to the grammar, so this is the only place where they count.
"""

from __future__ import annotations

from schedc.diagnostics.model import Diagnostic, error
from schedc.source import Source, Span
from schedc.syntax import advice, repair
from schedc.syntax.lex import END, JUNK, OPERATOR, REF, VERSION, WORD, Token
from schedc.syntax.machine import MAX_STACK, Machine
from schedc.syntax.place import Place
from schedc.syntax.tree import Broken

MAX_PROBLEMS = 20
"""Diagnostics of one run; what follows is probably the same mistake again."""

MAX_NESTING = 32


class Reader:
    """Feeds tokens to the automaton and gets over those that don't fit."""

    def __init__(self, source: Source, machine: Machine, tokens: list[Token]) -> None:
        self.source = source
        self.machine = machine
        self.tokens = tokens
        self.problems: list[Diagnostic] = []
        self.broken: list[Broken] = []
        self.header_missing = False
        self._opened_here = False
        self._open = 0

    def run(self) -> None:
        """Read all tokens."""
        machine, tokens = self.machine, self.tokens
        at = 0
        while at < len(tokens):
            token = tokens[at]
            if token.text in _OPENING and self._too_deep(token):
                at = self._skip(at, None)
            elif machine.offer(token):
                if token.text in _OPENING:
                    self._open += 1
                elif token.text in _CLOSING:
                    self._open -= 1
                at += 1
            else:
                at = self._get_over(at)

    @property
    def quiet(self) -> bool:
        return len(self.problems) >= MAX_PROBLEMS

    # --- nesting ----------------------------------------------------------------------------------

    def _too_deep(self, token: Token) -> bool:
        if self._open < MAX_NESTING and len(self.machine.stack) < MAX_STACK:
            return False
        if not self.machine.fits(token):
            return False
        self._complain(error("E0106", f"nested more than {MAX_NESTING} levels deep", token.span,
                             help="name the inner part: `let part = …`, then `let.part`"))
        return True

    # --- getting over -----------------------------------------------------------------------------

    def _get_over(self, at: int) -> int:
        """Get over the token at `at`, which doesn't fit."""
        token = self.tokens[at]
        if self.quiet or token.kind == JUNK:
            return self._skip(at, None)
        place = Place(self.source, self.machine, self.tokens, at)
        found = repair.find(place)
        if found is not None:
            return self._apply(found, place)
        if token.fresh and place.verb and place.complete:
            # The statement before is whole: keep it, and look at this line by itself.
            description = advice.describe(place)
            self.machine.settle()
            return self._skip(at, description)
        return self._skip(at, advice.describe(place))

    def _apply(self, found: repair.Repair, place: Place) -> int:
        texts = [token.text for token in found.tokens]
        silent = texts == ["}"] and self._opened_here
        if not silent:
            self._complain(found.found)
        self._opened_here = texts == ["{"] or (self._opened_here and texts != ["}"])
        for _ in range(found.pop):
            self.machine.stack.pop()
        new = list(found.tokens)
        if new and found.last > found.first:
            new[0].fresh = self.tokens[found.first].fresh
        elif not new and found.last < len(self.tokens):
            after = self.tokens[found.last]
            after.fresh = after.fresh or self.tokens[found.first].fresh
        self.tokens[found.first : found.last] = new
        return found.first

    def _complain(self, found: Diagnostic) -> None:
        if not self.quiet:
            self.problems.append(found)

    # --- dropping a statement ---------------------------------------------------------------------

    def _skip(self, at: int, found: Diagnostic | None) -> int:
        """Drop the statement around `at`; the index of the token that begins the next one."""
        if found is not None:
            self._complain(found)
        machine = self.machine
        start = at
        if not (machine.settle() and not self.tokens[at].fresh):
            start = self._drop(at)
        if len(machine.stack) == 1:
            self._pretend_header()
            if start == at and self.tokens[at].fresh:
                return at
        after = self._next(at)
        self._open = sum(entry.symbol in _OPENING for entry in machine.stack)
        if after == at and self.tokens[at].kind == END and machine.open_brace is not None:
            self._close()
        if start < at or after > at:
            self._note(start, after)
        return after

    def _drop(self, at: int) -> int:
        """Take the broken statement off the stack; the index of its first token."""
        machine = self.machine
        above = machine.stack[machine.base + 1 :]
        machine.drop()
        if not above:
            return at
        begin = above[0].start
        start = at
        while start and self.tokens[start - 1].start >= begin:
            start -= 1
        return start

    def _pretend_header(self) -> None:
        """Go on as if there were one: the items below are worth reading."""
        self.header_missing = True
        for kind, text in ((WORD, "policy"), (WORD, "x"), (VERSION, "0.0.0")):
            self.machine.offer(Token(kind, text, 0, 0))

    def _close(self) -> None:
        self.machine.offer(Token(OPERATOR, "}", len(self.source.text), len(self.source.text)))

    def _next(self, at: int) -> int:
        """The first token from `at` on that can begin a statement here."""
        machine, tokens = self.machine, self.tokens
        in_block = machine.open_brace is not None
        depth = 0
        while tokens[at].kind != END:
            token = tokens[at]
            if token.text == "{":
                depth += 1
            elif token.text == "}" and token.kind == OPERATOR:
                if in_block and depth == 0:
                    return at
                depth = max(0, depth - 1)
            elif token.fresh and token.kind in (WORD, REF):
                begins = machine.fits(token) or token.text in _ITEM_BEGINNINGS
                if begins and (depth == 0 or token.text in _ITEM_BEGINNINGS):
                    return at
            at += 1
        return at

    def _note(self, start: int, end: int) -> None:
        """Remember what the dropped statement spoke of."""
        tokens = self.tokens[start:end]
        if not tokens:
            return
        verb = tokens[0].text if tokens[0].kind == WORD else ""
        name = next((token.text for token in tokens[1:3] if token.kind in (WORD, REF)), "")
        span = Span(tokens[0].start, tokens[-1].end)
        self.broken.append(Broken(verb, name, span))


_OPENING = frozenset("({")
_CLOSING = frozenset(")}")
_ITEM_BEGINNINGS = frozenset(
    ("goal", "assume", "promise", "tune", "let", "queue", "state", "on", "place", "enqueue",
     "dispatch", "extends", "cap", "pack", "class", "cpus")
)  # fmt: skip
