"""Slips that are seen in the characters alone: operators of C, decimals, quotes, stray signs.

Input: a place in the source where no token of the language begins, or a number that is none.
Output: the tokens that were probably meant, and a diagnostic. Invariant: the reading goes on behind
the slip, and one diagnostic stands for all slips of a kind that habit repeats (a `;` on each line),
with a fix for all of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from schedc.diagnostics.model import Diagnostic, Edit, Fix, error
from schedc.source import Source, Span
from schedc.syntax.lex import INT, JUNK, OPERATOR, STRING, TIME, VERSION, WORD, Token, number_kind

MAX_PROBLEMS = 20

MAX_EDITS = 500
"""A slip that is repeated more often than this has no fix: the text is no policy."""

# Digits, unit, `%`.
_NUMBER = re.compile(
    r"([0-9][0-9_]*(?:\.[0-9][0-9_]*)*)([A-Za-z_µμ][0-9A-Za-z_µμ]*)?(%?)"
)

_UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_FOREIGN_UNITS = {
    "m": 60 * 10**9, "min": 60 * 10**9, "mins": 60 * 10**9, "minutes": 60 * 10**9,
    "h": 3600 * 10**9, "hours": 3600 * 10**9, "sec": 10**9, "secs": 10**9, "seconds": 10**9,
    "msec": 10**6, "msecs": 10**6, "millis": 10**6, "usec": 10**3, "usecs": 10**3,
    "micros": 10**3, "µs": 10**3, "μs": 10**3, "nsec": 1, "nsecs": 1, "nanos": 1,
}  # fmt: skip

# slip -> what to write, message. An empty text is deleted.
_OPERATORS = {
    "&&": ("and", "`&&` is not an operator"),
    "||": ("or", "`||` is not an operator"),
    "!": ("not", "`!` is not an operator"),
    "=>": (">=", "`=>` is not an operator"),
    "=<": ("<=", "`=<` is not an operator"),
    "<>": ("!=", "`<>` is not an operator"),
    ":=": ("=", "`:=` is not an operator"),
    ";": ("", "a statement ends with its line, not with `;`"),
}
_HOPELESS = {
    "?": ("`?` is not an operator",
          "a value that depends on a condition is written "
          "`table(x | limit: value | else value)`, a conditional statement ends in `when …`"),
    "**": ("`**` is not an operator", "write a product, `x * x`"),
    "++": ("`++` is not an operator", "write `task.x += 1`"),
}  # fmt: skip
_LOOKALIKES = {
    "≤": "<=", "≥": ">=", "≠": "!=", "−": "-", "–": "-", "×": "*", "·": "*", "÷": "/", "…": "..",
    "∧": "and", "∨": "or", "¬": "not", "\u00a0": "", "\u200b": "", "\ufeff": "",
}  # fmt: skip


@dataclass(slots=True)
class _Group:
    """Slips of one kind: the first is shown, the fix mends them all."""

    first: Diagnostic
    edits: list[Edit] = field(default_factory=list)
    more: int = 0
    lines: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Slips:
    """Reads slips, and remembers what to say of them."""

    source: Source
    tokens: list[Token]
    """What was read so far."""
    count: int = 0
    _single: list[Diagnostic] = field(default_factory=list)
    _groups: dict[str, _Group] = field(default_factory=dict)

    def diagnostics(self) -> list[Diagnostic]:
        return self._single + [self._finished(group) for group in self._groups.values()]

    def read(self, start: int, end: int, group: str) -> tuple[list[Token], int]:
        """The tokens meant by the slip at `start`, and where reading goes on."""
        self.count += 1
        piece = self.source.text[start:end]
        if group == "number":
            return self._number(piece, start, end), end
        if piece in ("//", "/*"):
            return self._comment(piece, start)
        if piece in ('"', "'"):
            return self._string(piece, start)
        if piece in _OPERATORS:
            meant, message = _OPERATORS[piece]
            help = f"write `{meant}`" if meant else "delete it"
            # `!x` becomes `not x`: the words must not run together.
            gap = " " if meant.isalpha() and self.source.text[end : end + 1].isalnum() else ""
            before = self.source.text[max(0, start - 1) : start]
            lead = " " if meant.isalpha() and before.isalnum() else ""
            self._slip("E0113", piece, start, end, message, help, lead + meant + gap)
            return self._meant(meant, start, end), end
        if piece in _HOPELESS:
            message, help = _HOPELESS[piece]
            self._add(error("E0113", message, Span(start, end), help=help))
            return [Token(JUNK, piece, start, end)], end
        return self._character(start)

    # --- numbers ----------------------------------------------------------------------------------

    def _number(self, text: str, start: int, end: int) -> list[Token]:
        span = Span(start, end)
        parts = _NUMBER.fullmatch(text)
        digits, unit, percent = parts.groups("") if parts else (text, "", "")
        if (glued := self._glued(text, start)) is not None:
            return glued
        if self._after_policy() or digits.count(".") > 1 or text[0] == "v":
            return self._version(text, start, end)
        scale = _UNITS.get(unit) or _FOREIGN_UNITS.get(unit) or _UNITS.get(unit.lower())
        if not unit and not percent:
            return self._plain(text, digits, start, end)
        if percent and not unit:
            self._add(error("E0108", f"`{_short(text)}` is not a share", span,
                            label="a share is a whole number of percent",
                            help=f"write `{_rounded(digits)}%`"))
            return [Token(JUNK, text, start, end)]
        if scale is None:
            self._add(error("E0108", f"`{_short(text)}` has a unit that does not exist", span,
                            help="the units are `ns`, `us`, `ms` and `s`; "
                            "a share is written `30%`"))
            return [Token(JUNK, text, start, end)]
        meant = _time_text(digits.replace("_", ""), scale)
        if meant is None or number_kind(meant) != TIME:
            self._add(error("E0108", f"`{_short(text)}` is not a time", span,
                            help="write a whole number of at most 12 digits and a unit: `1500us`"))
            return [Token(JUNK, text, start, end)]
        why = "a time is a whole number" if "." in digits or "_" in digits else (
            "the units are `ns`, `us`, `ms` and `s`")
        self._add(error("E0108", f"`{text}` is not a time", span, label=why,
                        help=f"write `{meant}`",
                        fix=Fix((Edit(span, meant),))))
        return [Token(TIME, meant, start, end)]

    def _after_policy(self) -> bool:
        return len(self.tokens) > 1 and self.tokens[-2].text == "policy"

    def _version(self, text: str, start: int, end: int) -> list[Token]:
        """`v1.0` is 1.0.0; anything else is given up."""
        span = Span(start, end)
        digits = text.lstrip("v")
        meant = digits + ".0" * (2 - digits.count("."))
        if number_kind(meant) == VERSION:
            self._add(error("E0108", f"`{text}` is not a version", span, help=f"write `{meant}`",
                            label="a version has three numbers", fix=Fix((Edit(span, meant),))))
            return [Token(VERSION, meant, start, end)]
        self._add(error("E0108", f"`{_short(text)}` is not a version", span,
                        help="a version has three numbers of at most five digits: `1.0.0`"))
        return [Token(JUNK, text, start, end)]

    def _plain(self, text: str, digits: str, start: int, end: int) -> list[Token]:
        span = Span(start, end)
        if "." in digits:
            shown = _rounded_share(digits)
            self._add(error("E0108", f"`{_short(text)}` is a decimal, and there are none", span,
                            help=f"write a share in percent{shown}, or a smaller unit: `1500us`"))
            return [Token(JUNK, text, start, end)]
        meant = digits.replace("_", "")
        if "_" in digits and number_kind(meant) == INT:
            self._add(error("E0108", f"`{text}` has a `_` in it", span, help=f"write `{meant}`",
                            fix=Fix((Edit(span, meant),))))
            return [Token(INT, meant, start, end)]
        self._add(error("E0108", f"`{_short(text)}` is too long for a number", span,
                        help="a number has at most 12 digits"))
        return [Token(JUNK, text, start, end)]

    def _glued(self, text: str, start: int) -> list[Token] | None:
        """`4msin` is `4ms in`: both are tokens, only the space is missing."""
        parts = re.fullmatch(r"([0-9]{1,12}(?:ns|us|ms|s)?)([a-z][a-z0-9_]*)", text)
        if parts is None or parts[2] not in _AFTER_NUMBER:
            return None
        cut, end = start + len(parts[1]), start + len(text)
        self._add(error("E0108", f"`{text}` runs two words together", Span(start, end),
                        help=f"write `{parts[1]} {parts[2]}`",
                        fix=Fix((Edit(Span(cut, cut), " "),))))
        return [Token(number_kind(parts[1]), parts[1], start, cut),
                Token(WORD, parts[2], cut, end)]

    # --- strings, comments, characters ------------------------------------------------------------

    def _string(self, quote: str, start: int) -> tuple[list[Token], int]:
        text = self.source.text
        line_end = text.find("\n", start)
        line_end = len(text) if line_end < 0 else line_end
        close = _closing_quote(text, start + 1, line_end, quote)
        if close is None:
            end = start + len(text[start:line_end].rstrip())
            self._add(error("E0107", "a string that is never closed", Span(start, start + 1),
                            label="begins here", help=f"end it with `{quote}` on the same line"
                            if quote == '"' else "strings stand in double quotes: `\"nginx\"`"))
            return [Token(JUNK, text[start:end], start, end)], line_end
        span = Span(start, close + 1)
        inside = text[start + 1 : close]
        if quote == "'":
            meant = '"' + inside.replace('"', '\\"') + '"'
            self._slip("E0116", "'", start, close + 1, "a string in single quotes",
                       f"write `{meant}`" if len(meant) < 40 else "use double quotes", meant)
            return [Token(STRING, meant, start, close + 1)], close + 1
        self._bad_inside(inside, start + 1, span)
        return [Token(JUNK, text[start : close + 1], start, close + 1)], close + 1

    def _bad_inside(self, inside: str, offset: int, span: Span) -> None:
        """Say which part of a closed string is not allowed."""
        bad = re.search(r"\\(?![\"\\nt]|x[0-9a-f]{2}).?|[\x00-\x1f\x7f]",
                        re.sub(r'\\[\\"nt]', "..", inside))
        at = Span(offset + bad.start(), offset + bad.end()) if bad else span
        escape = bad is not None and bad[0][0] == "\\"
        what = "an escape that does not exist" if escape else "a control character"
        self._add(error("E0116", f"{what} in a string", at,
                        help='the escapes are `\\"`, `\\\\`, `\\n`, `\\t` and `\\x7f` '
                             "(two lower-case hexadecimal digits)"))

    def _comment(self, piece: str, start: int) -> tuple[list[Token], int]:
        text = self.source.text
        if piece == "/*":
            close = text.find("*/", start + 2)
            end = len(text) if close < 0 else close + 2
            self._slip("E0113", "/*", start, start + 2, "`/*` begins no comment",
                       "begin each line of a comment with `#`", None)
            return [], end
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        self._slip("E0113", "//", start, start + 2, "`//` begins no comment", "write `#`", "#")
        return [], end

    def _character(self, start: int) -> tuple[list[Token], int]:
        text = self.source.text
        char = text[start]
        if char in _LOOKALIKES:
            meant = _LOOKALIKES[char]
            seen = f"`{char}` (U+{ord(char):04X}) is not in the language"
            hidden = f"an invisible U+{ord(char):04X}"
            message = seen if char.isprintable() else hidden
            self._slip("E0110", char, start, start + 1, message,
                       f"write `{meant}`" if meant else "use a plain space", meant or " ")
            return self._meant(meant, start, start + 1), start + 1
        if char in "“”„‘’":
            self._slip("E0116", "quotes", start, start + 1, "a typographic quote",
                       "strings stand in plain double quotes: `\"nginx\"`", '"')
            return [Token(JUNK, char, start, start + 1)], start + 1
        # A run of characters of this kind is one mistake.
        end = start + 1
        while end < len(text) and not (text[end].isascii() and (text[end].isalnum() or text[end] in
                                       " \t\r\n\"'#_(){},:|<>=+-*/.;!&?")):
            end += 1
        if char == "." and end == start + 1:
            self._add(error("E0105", "a lone `.`", Span(start, end),
                            help="a range is written `1ms..4ms`, a reference `task.used`"))
        elif char < " " or char == "\x7f":
            self._add(error("E0102", "the source contains the control character "
                            f"U+{ord(char):04X}", Span(start, end), help="delete this character"))
        else:
            shown = char if char.isprintable() else f"U+{ord(char):04X}"
            self._add(error("E0110", f"`{shown}` is not in the language", Span(start, end),
                            help=_CHARACTER_HELP.get(char, _ONLY_ASCII)))
        return [Token(JUNK, text[start:end], start, end)], end

    # --- keeping ----------------------------------------------------------------------------------

    def _meant(self, text: str, start: int, end: int) -> list[Token]:
        if not text:
            return []
        return [Token(WORD if text.isalpha() else OPERATOR, text, start, end)]

    def _add(self, found: Diagnostic) -> None:
        if len(self._single) < MAX_PROBLEMS:
            self._single.append(found)

    def _slip(self, code: str, key: str, start: int, end: int, message: str, help: str,
              replacement: str | None) -> None:
        """One more slip of a kind; without a replacement there is no fix."""
        group = self._groups.get(key)
        if group is None:
            first = error(code, message, Span(start, end), help=help)
            group = self._groups[key] = _Group(first)
        else:
            group.more += 1
        if replacement is not None and group.more < MAX_EDITS:
            group.edits.append(Edit(Span(start, end), replacement))
        if not group.more:
            return
        if len(group.lines) < 6:
            group.lines.append(self.source.position(start)[0])

    def _finished(self, group: _Group) -> Diagnostic:
        first = group.first
        notes: tuple[str, ...] = ()
        if group.more:
            lines = list(dict.fromkeys(group.lines))
            more = ", …" if group.more > len(group.lines) else ""
            word = "line" if len(lines) == 1 else "lines"
            notes = (f"the same on {word} {', '.join(map(str, lines))}{more}",)
        return error(first.code, first.message, first.span, help=first.help, notes=notes,
                     fix=Fix(tuple(group.edits)) if 0 < len(group.edits) < MAX_EDITS else None)


_ONLY_ASCII = (
    "delete it; outside comments and strings a policy has only ASCII letters, digits and "
    "`_ . : = + - * / < > |`"
)

_CHARACTER_HELP = {
    "%": "a share is written without a space: `30%`; there is no remainder",
    "[": "there are no lists in brackets; names are set apart by commas, strings by `|`",
    "]": "there are no lists in brackets; names are set apart by commas, strings by `|`",
    "`": "delete it: a source is the policy alone, without a fence of Markdown",
    "@": "`@` stands only in `extends stdlib/fair@1`",
    "&": "write `and`",
    "^": "there are no operations on bits",
    "~": "there are no operations on bits",
    "$": "a declared value is written `tune.x`, `let.x` or `task.x`",
    "\\": "a statement may go on in the next line without `\\`",
}

# Words that follow a number in some statement.
_AFTER_NUMBER = frozenset(
    ("in", "per", "every", "at", "when", "and", "or", "slice", "preempt", "perf", "key", "to",
     "clock", "prefer", "confine", "pick", "drift")
)  # fmt: skip


def _closing_quote(text: str, at: int, end: int, quote: str) -> int | None:
    """Where the string that began before `at` ends on its line."""
    while at < end:
        if text[at] == "\\":
            at += 2
            continue
        if text[at] == quote:
            return at
        at += 1
    return None


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "…"


def _time_text(digits: str, scale: int) -> str | None:
    """`1.5` of a unit of `scale` ns in the largest unit that makes it whole."""
    from decimal import Decimal, InvalidOperation  # 4 ms, for slips only

    if len(digits) > 30:
        return None
    try:
        value = Decimal(digits) * scale
    except InvalidOperation:
        return None
    if value != value.to_integral_value() or value >= 10**21:
        return None
    ns = int(value)
    for unit, size in _UNITS.items():
        if ns % size == 0:
            return f"{ns // size}{unit}"
    return None


def _rounded(digits: str) -> str:
    whole = digits.split(".")[0].replace("_", "")
    return whole[:12] or "0"


def _rounded_share(digits: str) -> str:
    """` (`30%`)` for `0.3`; nothing if it is no whole share."""
    share = _time_text(digits.replace("_", ""), 100)
    ok = share is not None and share.endswith("ns") and 0 < int(share[:-2]) <= 100
    return f": `{share[:-2]}%`" if ok and share is not None else ""
