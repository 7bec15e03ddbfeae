"""How the tokens of one statement are set: what stands between them, columns, and breaks.

Input: the tokens of a statement. Output: its text, or its columns, or its lines if it is too long.
Invariant: only white space is added, and reading the text again gives the same tokens.
"""

from __future__ import annotations

from schedc.syntax.lex import INT, PERCENT, REF, TIME, WORD, Token
from schedc.syntax.words import FUNCTIONS

WIDTH = 100
CONTINUED = "    "

_OPERANDS = {INT, TIME, PERCENT, REF}
_TIGHT_BEFORE = {")", ",", ".."}
_TIGHT_AFTER = {"(", ".."}

# The statements whose columns are aligned: verb -> words or signs that begin a column. The first
# of each that is met, in this order.
_COLUMNS: dict[str, tuple[tuple[str, ...], ...]] = {
    "tune": (("=",), ("in",), ('"',)),
    "let": (("=",),),
    "cpus": (("=",),),
    "queue": (("fifo", "by"),),
    "state": ((":",),),
    "class": (("when", "prefer", "confine"),),
    "cap": (("at",),),
    "promise": (("<=",),),
    "enqueue": (("to",), ("key", "slice", "preempt", "perf")),
    "take": (("after", "at"),),
    "steal": (("pick",),),
    "idle": (("when",),),
    "": (("=", "+=", "-="),),
}

_BREAKS = frozenset(
    ("key", "slice", "preempt", "perf", "when", "and", "or", "|", "prefer", "confine")
)  # fmt: skip
_BEFORE_NAMES = frozenset(("to", "is", "preempt", "prefer", "confine", "clock", "length", "head"))


def text_of(tokens: list[Token], start: int, end: int) -> str:
    """The text of some of a statement's tokens, canonically spaced."""
    if start >= end:
        return ""
    gaps = _gaps(tokens)
    return tokens[start].text + "".join(
        gaps[at] + tokens[at].text for at in range(start + 1, end)
    )


def cells(tokens: list[Token]) -> tuple[str, list[str]]:
    """The kind of a statement and its columns; kind "" is aligned with nothing."""
    verb = tokens[0].text if tokens[0].kind == WORD else ""
    if verb not in _COLUMNS or tokens[0].kind not in (WORD, REF):
        return "", [text_of(tokens, 0, len(tokens))]
    cuts = [0]
    for starters in _COLUMNS[verb]:
        # A name may be spelt like a keyword: it stands second, and is never the column's word.
        first = max(cuts[-1] + 1, 2 if verb else 1)
        cut = next((at for at in range(first, len(tokens)) if _begins(tokens, at, starters)), None)
        if cut is None:
            break
        cuts.append(cut)
    kind = verb or "assign"
    ends = [*cuts[1:], len(tokens)]
    return kind, [text_of(tokens, start, end) for start, end in zip(cuts, ends, strict=True)]


def _begins(tokens: list[Token], at: int, starters: tuple[str, ...]) -> bool:
    text = tokens[at].text
    if text[0] == '"':
        return '"' in starters
    # `enqueue a to key …`: the queue's name.
    return text in starters and not (tokens[at - 1].text == "to" and at == 3)


def wrapped(tokens: list[Token], indent: str) -> list[str]:
    """A statement too long for a line, broken before clauses and operators of logic."""
    gaps = _gaps(tokens)
    rows: list[str] = []
    row = tokens[0].text
    at = 1
    while at < len(tokens):
        end = at + 1
        while end < len(tokens) and not _breakable(tokens, end):
            end += 1
        piece = tokens[at].text + "".join(gaps[k] + tokens[k].text for k in range(at + 1, end))
        margin = len(indent) + (len(CONTINUED) if rows else 0)
        if _breakable(tokens, at) and margin + len(row) + len(gaps[at]) + len(piece) > WIDTH:
            rows.append(row)
            row = piece
        else:
            row += gaps[at] + piece
        at = end
    return [*rows, row]


def _breakable(tokens: list[Token], at: int) -> bool:
    if at == 1 or tokens[at - 1].text in _BEFORE_NAMES:
        return False
    return tokens[at].text in _BREAKS or tokens[at - 1].text == ","


def _gaps(tokens: list[Token]) -> list[str]:
    """What stands before each token."""
    gaps = [""]
    calls: list[str] = []
    in_state = tokens[0].text == "state"
    for at in range(1, len(tokens)):
        before, token = tokens[at - 1], tokens[at]
        gap = " "
        if token.text in _TIGHT_BEFORE or before.text in _TIGHT_AFTER:
            gap = ""
        elif token.text in "(:":
            tight = before.text in FUNCTIONS if token.text == "(" else not in_state
            gap = "" if tight else " "
        elif before.text == "-" and not _is_operand(tokens, at - 2):
            # The sign of a number, not a difference.
            gap = ""
        elif "/" in (token.text, before.text):
            gap = "" if _is_fraction(tokens, at if token.text == "/" else at - 1, calls) else " "
        gaps.append(gap)
        if token.text == "(":
            calls.append(before.text)
        elif token.text == ")" and calls:
            calls.pop()
    return gaps


def _is_operand(tokens: list[Token], at: int) -> bool:
    """Whether a value ends with this token, so that a `-` behind it takes a difference."""
    if at < 0:
        return False
    token = tokens[at]
    return token.kind in _OPERANDS or token.text == ")" or (
        token.kind == WORD and token.text not in _BEFORE_VALUES
    )


# Words that a value follows; all other words are values themselves, or names.
_BEFORE_VALUES = frozenset(
    ("when", "key", "slice", "and", "or", "not", "else", "in", "within", "most", "every", "after",
     "contended")
)  # fmt: skip


def _is_fraction(tokens: list[Token], slash: int, calls: list[str]) -> bool:
    """`drift 1/64` and `ewma(…, 1/4)` name a fraction; elsewhere a value is divided."""
    if slash < 2 or slash + 1 >= len(tokens):
        return False
    left, right = tokens[slash - 1], tokens[slash + 1]
    if left.kind != INT or right.kind != INT:
        return False
    if tokens[slash - 2].text == "drift":
        return True
    return bool(calls) and calls[-1] == "ewma" and tokens[slash - 2].text == "," and (
        slash + 2 < len(tokens) and tokens[slash + 2].text == ")"
    )
