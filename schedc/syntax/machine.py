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
from schedc.syntax.lex import NAME_SHAPE, WORD, Token
from schedc.syntax.tables import END, Tables

MAX_HEIGHT = 100
"""Highest tree of an expression: later stages recurse over it."""


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

    def terminal(self, token: Token) -> str:
        """What the token is here: a word is a keyword where one fits, else a name."""
        if token.kind != WORD and token.kind != "OPERATOR":
            return token.kind
        actions = self.actions
        if token.text in actions or token.kind != WORD:
            return token.text
        return "NAME" if "NAME" in actions and NAME_SHAPE.fullmatch(token.text) else token.text

    def accepts(self, *terminals: str) -> bool:
        """Whether these terminals could come next, one after the other."""
        states = [entry.state for entry in self.stack[-1:]]
        # `depth` entries of the real stack lie below those in `states`.
        depth = len(self.stack) - 1
        for terminal in terminals:
            while True:
                action = self.tables.actions[states[-1]].get(terminal)
                if terminal == END and states[-1] == self.tables.end:
                    return True
                if action is None:
                    return False
                if action >= 0:
                    states.append(action)
                    break
                rule = self.tables.rules[-action - 1]
                while len(states) <= rule.length:
                    depth -= 1
                    states.insert(0, self.stack[depth].state)
                del states[len(states) - rule.length :]
                states.append(self.tables.gotos[states[-1]][rule.head])
        return True

    def expected(self) -> set[str]:
        """The terminals that really could come next (the tables list more: lookaheads merge)."""
        return {terminal for terminal in self.actions if self.accepts(terminal)}

    # --- running ----------------------------------------------------------------------------------

    def offer(self, token: Token) -> bool:
        """Take the token if it fits; False, with the stack as it was, if not."""
        terminal = self.terminal(token)
        action = self.actions.get(terminal)
        at_end = terminal == END
        if action is None and not (at_end and self._finished()):
            return False
        if action is not None and action < 0 and not self.accepts(terminal):
            # A merged lookahead would reduce first and fail then; keep the stack for recovery.
            return False
        while action is not None and action < 0:
            self._reduce(-action - 1)
            if at_end and self._finished():
                break
            action = self.actions.get(terminal)
        if at_end:
            self.result = self.stack[-1].value
            return True
        assert action is not None
        token.terminal = terminal
        self.stack.append(Entry(action, terminal, token, token.start, token.end, 0))
        return True

    def _finished(self) -> bool:
        return self.stack[-1].state == self.tables.end

    def _reduce(self, number: int) -> None:
        rule = self.tables.rules[number]
        stack = self.stack
        first = len(stack) - rule.length
        if rule.length == 1:
            only = stack.pop()
            value, height = only.value, only.height
            start, end = only.start, only.end
            if rule.action:
                value = self._build(rule.action, [value], start, end)
        else:
            entries = stack[first:]
            del stack[first:]
            start, end = entries[0].start, entries[-1].end
            height = max(entry.height for entry in entries)
            if rule.head.startswith("__"):
                value = self._append(entries)
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
        if self.too_high is not None and self.too_high.start == start:
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
