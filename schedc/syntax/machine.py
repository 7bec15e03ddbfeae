"""The LALR automaton: an explicit stack, so that no input makes Python recurse.

Input: tokens, one at a time. Output: the nodes that `actions` builds. Invariant: `offer` either
takes a token or changes nothing, so that recovery can look around and try again; spans cover
keywords and parentheses, since a reduction spans all its parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from schedc.diagnostics.model import error
from schedc.source import Span
from schedc.syntax.actions import ACTIONS, Builder
from schedc.syntax.lex import NAME_SHAPE, OPERATOR, WORD, Token
from schedc.syntax.tables import END, Tables

MAX_HEIGHT = 100
"""Highest tree of an expression: later stages recurse over it."""

MAX_STACK = 700
"""Deepest stack; 32 parentheses, each after all the operators that can wait for one, need 600."""

_EXPRESSIONS = frozenset(
    ("expr", "conjunction", "negation", "comparison", "sum", "product", "unary", "atom", "call",
     "row", "match")
)  # fmt: skip


@dataclass(slots=True)
class Entry:
    """One symbol on the stack: the state reached with it, what it is and where it stands."""

    state: int
    symbol: str
    value: Any
    start: int
    end: int
    height: int


class Machine:
    """Runs the tables over tokens; `result` is set once END is taken."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.builder = Builder()
        self.stack = [Entry(tables.start, "", None, 0, 0, 0)]
        self.result: Any = None
        self.too_high: Span | None = None

    # --- looking ----------------------------------------------------------------------------------

    @property
    def actions(self) -> dict[str, int]:
        return self.tables.actions[self.stack[-1].state]

    def terminal(self, token: Token, state: int | None = None) -> str:
        """What the token is here: a word is a keyword where one fits, else a name."""
        if token.kind != WORD:
            return token.text if token.kind == OPERATOR else token.kind
        actions = self.actions if state is None else self.tables.actions[state]
        if token.text not in actions and "NAME" in actions and NAME_SHAPE.fullmatch(token.text):
            return "NAME"
        return token.text

    def fits(self, *symbols: str | Token) -> bool:
        """Whether these terminals or tokens could come next, one after the other."""
        actions, gotos, rules = self.tables.actions, self.tables.gotos, self.tables.rules
        # The stack of states would be stack[:depth] and then `above`; nothing is copied.
        stack, depth = self.stack, len(self.stack)
        above: list[int] = []
        state = stack[-1].state
        for symbol in symbols:
            terminal = symbol if isinstance(symbol, str) else self.terminal(symbol, state)
            while True:
                if state == self.tables.end and terminal == END:
                    return True
                action = actions[state].get(terminal)
                if action is None:
                    return False
                if action >= 0:
                    state = action
                    above.append(state)
                    break
                rule = rules[-action - 1]
                left = len(above) - rule.length
                if left >= 0:
                    del above[left:]
                else:
                    depth += left
                    above.clear()
                state = gotos[above[-1] if above else stack[depth - 1].state][rule.head]
                above.append(state)
        return True

    def expected(self) -> set[str]:
        """The terminals that really could come next (the tables list more: lookaheads merge)."""
        return {terminal for terminal in self.actions if self.fits(terminal)}

    # --- statements -------------------------------------------------------------------------------

    @property
    def open_brace(self) -> int | None:
        """Where on the stack the `{` of the block stands that is being read."""
        for at in range(len(self.stack) - 1, 0, -1):
            if self.stack[at].symbol == "{":
                return at
            if self.stack[at].symbol == "}":
                return None  # closed; the next token will make a whole statement of it
        return None

    @property
    def base(self) -> int:
        """The topmost entry that belongs to whole statements; the one being read is above it."""
        brace = self.open_brace
        at = 0 if brace is None else brace
        if brace is None and len(self.stack) > 1 and self.stack[1].symbol == "header":
            at = 1
        if len(self.stack) > at + 1 and self.stack[at + 1].symbol.startswith("__"):
            # Only at these two places does a repetition begin a list of statements.
            at += 1 if brace is not None or at == 1 else 0
        return at

    @property
    def separator(self) -> str:
        """A terminal that only a complete statement can stand before."""
        return END if self.open_brace is None else "}"

    def settle(self) -> bool:
        """Finish the statement if it could end here; whether it could."""
        terminal = self.separator
        if not self.fits(terminal):
            return False
        if terminal == END:
            # END itself would finish the policy; any verb finishes the statement alike.
            terminal = "dispatch"
        while (action := self.actions[terminal]) < 0:
            self._reduce(-action - 1)
        return True

    def drop(self) -> None:
        """Forget the statement that is being read."""
        del self.stack[self.base + 1 :]

    # --- running ----------------------------------------------------------------------------------

    def offer(self, token: Token) -> bool:
        """Take the token if it fits; False, with the stack as it was, if not."""
        terminal = self.terminal(token)
        action = self.actions.get(terminal)
        if action is None or action < 0:
            # A merged lookahead would reduce first and fail then; keep the stack for recovery.
            if not self.fits(terminal):
                return False
            while action is not None and action < 0:
                self._reduce(-action - 1)
                if terminal == END and self.stack[-1].state == self.tables.end:
                    break
                action = self.actions.get(terminal)
        if terminal == END:
            self.result = self.stack[-1].value
            return True
        assert action is not None
        token.terminal = terminal
        self.stack.append(Entry(action, terminal, token, token.start, token.end, 0))
        return True

    def _reduce(self, number: int) -> None:
        rule = self.tables.rules[number]
        stack = self.stack
        if rule.length == 1:
            # Most reductions only rename what is there.
            only = stack[-1]
            if rule.action:
                only.value = self._build(rule.action, [only.value], only.start, only.end)
            only.state = self.tables.gotos[stack[-2].state][rule.head]
            only.symbol = rule.head
            return
        entries = stack[-rule.length :]
        del stack[-rule.length :]
        start, end = entries[0].start, entries[-1].end
        height = max(entry.height for entry in entries)
        if rule.head.startswith("__"):
            value = self._append(entries)
        elif rule.head not in _EXPRESSIONS:
            height = 0
            value = self._build(rule.action, _flat(entries), start, end)
        elif height >= MAX_HEIGHT:
            # Hand on the highest part: the tree stays low, and the source is refused anyway.
            self._complain_height(start, end)
            value = next(entry.value for entry in entries if entry.height == height)
        else:
            height += 1
            value = self._build(rule.action, _flat(entries), start, end)
        state = self.tables.gotos[stack[-1].state][rule.head]
        stack.append(Entry(state, rule.head, value, start, end, height))

    def _build(self, action: str, parts: list[Any], start: int, end: int) -> Any:
        if action.startswith("__"):
            return parts if type(parts[0]) is not list else parts[0]
        if type(parts[0]) is list and len(parts) == 1:
            parts = parts[0]
        return ACTIONS[action](self.builder, parts, Span(start, end))

    @staticmethod
    def _append(entries: list[Entry]) -> list[Any]:
        """A repetition: one list that grows in place, so that long ones stay linear."""
        first = entries[0].value
        if type(first) is list:
            first.extend(entry.value for entry in entries[1:])
            return first
        return [entry.value for entry in entries]

    def _complain_height(self, start: int, end: int) -> None:
        if self.too_high is not None and start <= self.too_high.end:
            return
        self.too_high = Span(start, end)
        self.builder.problems.append(
            error("E0106", f"an expression of more than {MAX_HEIGHT} levels", Span(start, end),
                  help="name parts of it: `let part = …`, then `let.part`"))


def _flat(entries: list[Entry]) -> list[Any]:
    parts: list[Any] = []
    for entry in entries:
        if type(entry.value) is list:
            parts.extend(entry.value)
        else:
            parts.append(entry.value)
    return parts
