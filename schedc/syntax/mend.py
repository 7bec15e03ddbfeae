"""A repair, and the ways to make one.

Input: a `Place` and what was meant. Output: a `Repair`. Invariant: the tokens that are read instead
cover the same text, and the diagnostic's fix makes the source say the same.
"""

from __future__ import annotations

from schedc.diagnostics.model import Diagnostic, Edit, Fix
from schedc.records import dataclass
from schedc.source import Span
from schedc.syntax.lex import OPERATOR, WORD, Token
from schedc.syntax.place import Place


@dataclass(frozen=True, slots=True)
class Repair:
    """Read `tokens` instead of those from `first` up to `last`; `pop` entries leave the stack.

    A `guess` may be wrong, and what is found later in its statement with it.
    """

    first: int
    last: int
    tokens: tuple[Token, ...]
    found: Diagnostic
    pop: int = 0
    guess: bool = False


def replaced(place: Place, text: str, kind: str, found: Diagnostic) -> Repair:
    """Read `text` instead of the token at the place."""
    token = place.token
    new = Token(kind, text, token.start, token.end, token.fresh)
    return Repair(place.at, place.at + 1, (new,), found)


def inserted(place: Place, texts: tuple[str, ...], found: Diagnostic) -> Repair:
    at = place.end_of_previous.start
    new = tuple(Token(WORD if text.isalpha() else OPERATOR, text, at, at) for text in texts)
    return Repair(place.at, place.at, new, found)


def swap(span: Span, text: str) -> Fix:
    return Fix((Edit(span, text),))


def short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "…"
