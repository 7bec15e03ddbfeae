"""Several mistakes in one run: what happens after a token that fits nowhere.

Input: the automaton at the token. Output: where reading goes on. Invariant: every call gets on, by
a token or by a repair that is counted; each broken statement gives one diagnostic and a `Broken`;
the statements before and after it stay.

First a repair is tried (`repair`): the statement stays, as it was probably meant. Else the
statement is dropped, and reading goes on at the next line that can begin one, since there is one
statement a line; newlines mean nothing to the grammar, so this is the only place where they count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from schedc.diagnostics.model import Diagnostic, error
from schedc.source import Source, Span
from schedc.syntax.lex import END, JUNK, OPERATOR, REF, VERSION, WORD, Token
from schedc.syntax.machine import MAX_STACK, Machine
from schedc.syntax.tree import Broken
from schedc.syntax.words import BLOCK_OF, BLOCK_VERBS, ITEM_VERBS

if TYPE_CHECKING:
    from schedc.syntax.mend import Repair

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
        self.skipped: list[Span] = []
        """Text that is no policy: one diagnostic stands for all of it."""
        self.header_missing = False
        self._opened_here = False
        self._guessed = -1
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
        at = self._verb_taken(at)
        token = self.tokens[at]
        if self.quiet:
            # Enough for one run: whatever the rest says, it was not read.
            at = self._skip(len(self.tokens) - 1, None)
            self.broken.append(Broken("*", "", token.span))
            return at
        if token.kind == JUNK:
            return self._skip(at, None)
        # 15 ms of imports that a source without mistakes doesn't need.
        from schedc.syntax import advice, repair
        from schedc.syntax.place import Place

        place = Place(self.source, self.machine, self.tokens, at, self._ends_block(token))
        found = repair.find(place)
        # A guess may have led here: then what is wrong was said already.
        said = self._guessed == place.start and not (token.fresh and place.complete)
        if found is not None:
            if found.guess:
                self._guessed = place.start
            return self._apply(found, said)
        return self._skip(at, None if said else advice.describe(place))

    def _verb_taken(self, at: int) -> int:
        """Where the statement begins whose verb was taken for something else.

        Behind `take` or `to` any word is a name, and `class` and `cpus` can begin a value. Where
        such a word begins a line and what follows doesn't fit, it is the verb of the next
        statement: the line before it ended too soon.
        """
        before = self.tokens[at - 1] if at else None
        stack = self.machine.stack
        if before is None or not before.fresh or stack[-1].value is not before:
            return at
        verb = before.text in _VERBS and before.terminal == "NAME"
        if not verb and before.text not in ("class", "cpus"):
            return at
        if self.machine.base + 2 >= len(stack):
            return at
        stack.pop()
        return at - 1

    def _apply(self, found: Repair, said: bool) -> int:
        texts = [token.text for token in found.tokens]
        if not said and not (texts == ["}"] and self._opened_here):
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
        machine, token = self.machine, self.tokens[at]
        start = self._first_token(at)
        # What is whole stays: the statement before a line that begins with no verb, and the
        # statement before superfluous words.
        in_value = not token.fresh and machine.fits("or")
        if not in_value and machine.settle():
            start = at if token.fresh else start
        else:
            machine.drop()
        if len(machine.stack) == 1:
            later = self._later_header(at)
            if later is not None:
                self.skipped.append(Span(token.start, self.tokens[later - 1].end))
                return later
            self._pretend_header()
            if start == at and machine.fits(self.tokens[at]):
                return at
        # Behind a line without a verb comes more of its kind; a broken statement ends with what
        # is indented below it.
        column = self._column(self.tokens[start]) if start < at else 0
        misplaced = start == at and token.text in _ITEM_BEGINNINGS and not self._ends_block(token)
        after = self._next(at + misplaced, column)
        self._open = sum(entry.symbol in _OPENING for entry in machine.stack)
        if after == at and self.tokens[at].kind == END and machine.open_brace is not None:
            self._close()
        if start < at or after > at:
            self._note(start, after)
        return after

    def _first_token(self, at: int) -> int:
        """The index of the token with which the statement around `at` begins."""
        above = self.machine.stack[self.machine.base + 1 :]
        if above:
            while at and self.tokens[at - 1].start >= above[0].start:
                at -= 1
        return at

    def _later_header(self, at: int) -> int | None:
        """Where the header stands if something stands before it."""
        for index in range(at + 1, len(self.tokens)):
            token = self.tokens[index]
            if token.fresh and token.text == "policy" and self.tokens[index + 1].kind == WORD:
                return index
        return None

    def _pretend_header(self) -> None:
        """Go on as if there were one: the items below are worth reading."""
        self.header_missing = True
        for kind, text in ((WORD, "policy"), (WORD, "x"), (VERSION, "0.0.0")):
            self.machine.offer(Token(kind, text, 0, 0))

    def _close(self) -> None:
        self.machine.offer(Token(OPERATOR, "}", len(self.source.text), len(self.source.text)))

    def _next(self, at: int, column: int) -> int:
        """The first token from `at` on that can begin a statement here.

        That is a verb at the beginning of a line, or any word there up to `column`.
        """
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
                verb = token.text in _ITEM_BEGINNINGS and self._ends_block(token)
                if verb or (depth == 0 and (machine.fits(token) or self._column(token) <= column)):
                    return at
            at += 1
        return at

    def _ends_block(self, token: Token) -> bool:
        """Whether a verb can begin an item here: in a block only if it is not indented with it."""
        brace = self.machine.open_brace
        if brace is None:
            return True
        above = [entry for entry in self.machine.stack[:brace] if entry.symbol in BLOCK_VERBS]
        return not above or self._column(token) <= self._column_of(above[-1].start)

    def _column(self, token: Token) -> int:
        return self._column_of(token.start)

    def _column_of(self, offset: int) -> int:
        return offset - self.source.text.rfind("\n", 0, offset)

    def _note(self, start: int, end: int) -> None:
        """Remember what the dropped statement spoke of."""
        tokens = self.tokens[start:end]
        if not tokens:
            return
        verb = tokens[0].text if tokens[0].text in _VERBS else "*"
        name = next((token.text for token in tokens[1:3] if token.kind in (WORD, REF)), "")
        span = Span(tokens[0].start, tokens[-1].end)
        if verb == "*":
            self.skipped.append(span)
        self.broken.append(Broken(verb, name, span))


_OPENING = frozenset("({")
_CLOSING = frozenset(")}")
_ITEM_BEGINNINGS = frozenset(ITEM_VERBS)
_VERBS = frozenset((*ITEM_VERBS, *BLOCK_OF, "policy"))
