"""Text to tokens.

Input: the text of a source. Output: tokens, ending in one END, and what was wrong with characters,
numbers and strings. Invariant: tokens are in order and don't overlap; what can't be read becomes
either the token that was probably meant or a JUNK token, which no statement accepts, and a
diagnostic stands for each.

Lark's contextual lexer would read `idleinllc` as `idle in llc`; here words and numbers end where
letters and digits end, and so every token is known without the parser. That is the only
difference: a text without run-together words has the same tokens in both (tests/syntax).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from schedc.diagnostics.model import Diagnostic
from schedc.source import Source, Span

if TYPE_CHECKING:
    from schedc.syntax.slips import Slips

WORD, REF, MODULE, VERSION = "WORD", "REF", "MODULE", "VERSION"
TIME, PERCENT, INT, STRING = "TIME", "PERCENT", "INT", "STRING"
OPERATOR, JUNK, END = "OPERATOR", "JUNK", "$END"

SCOPES = ("task", "cpu", "llc", "node", "class", "cgroup", "comm", "global", "tune", "let")
MAX_SLIPS = 2000
"""A text with more slips than this is no policy, and not read to its end."""

NAME_SHAPE = re.compile(r"[a-z][a-z0-9_]{0,31}")

_SCOPE_SHAPE = "|".join(SCOPES)
_REF_SHAPE = re.compile(rf"(?:{_SCOPE_SHAPE})\.[a-z][a-z0-9_]{{0,31}}")
_NUMBER_SHAPES = (
    (INT, re.compile(r"[0-9]{1,12}")),
    (TIME, re.compile(r"[0-9]{1,12}(?:ns|us|ms|s)")),
    (PERCENT, re.compile(r"[0-9]{1,12}%")),
    (VERSION, re.compile(r"[0-9]{1,5}\.[0-9]{1,5}\.[0-9]{1,5}")),
)

_TOKEN = re.compile(
    r"""[ \t\r]*(?:
      (?P<newline>\n)
    | (?P<comment>\#[^\n]*)
    | (?P<MODULE>[a-z][a-z0-9_]{0,31}/[a-z][a-z0-9_]{0,31}@[0-9]{1,4}(?![0-9A-Za-z_]))
    | (?P<number>(?:v(?=[0-9]+\.[0-9]))?[0-9][0-9A-Za-z_µμ]*(?:\.[0-9][0-9A-Za-z_µμ]*)*%?)
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)
    | (?P<STRING>"(?:[^"\\\x00-\x1f\x7f]|\\["\\nt]|\\x[0-9a-f]{2})*")
    | (?P<slip>&&|\|\||//|/\*|=>|=<|<>|:=|\*\*|\+\+|!(?!=)|[;?'"])
    | (?P<OPERATOR>\.\.|<=|>=|==|!=|\+=|-=|[-<>=+*/(){},:|])
    | (?P<other>[^ \t\r\n])
    )""",
    re.VERBOSE,
)


@dataclass(slots=True)
class Token:
    """`fresh` is set on the first token of a line; `terminal` is set when the parser takes it."""

    kind: str
    text: str
    start: int
    end: int
    fresh: bool = False
    terminal: str = ""

    @property
    def span(self) -> Span:
        return Span(self.start, self.end)


@dataclass(frozen=True, slots=True)
class Comment:
    """`# …`, with its offset; `own_line` if nothing else stands on its line before it."""

    text: str
    start: int
    end: int
    own_line: bool


@dataclass(slots=True)
class Lexed:
    tokens: list[Token]
    comments: list[Comment]
    problems: list[Diagnostic]


def lex(source: Source) -> Lexed:
    """All tokens of a source."""
    text = source.text
    tokens: list[Token] = []
    comments: list[Comment] = []
    slips: Slips | None = None
    fresh = True
    at = 0
    match = _TOKEN.match
    while hit := match(text, at):
        group = hit.lastgroup or ""
        start, at = hit.span(group)
        if group == "newline":
            fresh = True
            continue
        if group == "comment":
            comments.append(Comment(text[start:at], start, at, fresh))
            continue
        kind = _kind(group, text[start:at])
        if kind in (JUNK, "slip", "other"):
            slips = slips or _slips(source, tokens)
            made, at = slips.read(start, at, group)
            if slips.count > MAX_SLIPS:
                break
            for token in made:
                token.fresh, fresh = fresh, False
                tokens.append(token)
            continue
        tokens.append(Token(kind, text[start:at], start, at, fresh))
        fresh = False
    tokens.append(Token(END, "", len(text), len(text), True))
    return Lexed(tokens, comments, slips.diagnostics() if slips else [])


def _slips(source: Source, tokens: list[Token]) -> Slips:
    from schedc.syntax.slips import Slips

    return Slips(source, tokens)


def _kind(group: str, text: str) -> str:
    """The kind of a token that the group of the pattern matched."""
    if group == "word":
        return REF if "." in text and _REF_SHAPE.fullmatch(text) else WORD
    return number_kind(text) if group == "number" else group


def number_kind(text: str) -> str:
    """Which number a text is, or JUNK."""
    for kind, shape in _NUMBER_SHAPES:
        if shape.fullmatch(text):
            return kind
    return JUNK
