"""Slips with one likely meaning: the statement is kept as it was probably meant.

Input: a `Place`. Output: a `Repair`, the tokens to read instead and a diagnostic with a fix; or
None. Invariant: the first new token fits where the old one did not, so that reading gets on; the
same edit is offered to the user, so that what later passes see is what the fixed source says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from schedc.diagnostics.model import Diagnostic, Edit, Fix, Label, error
from schedc.source import Span
from schedc.syntax import words
from schedc.syntax.lex import (
    END, INT, NAME_SHAPE, OPERATOR, PERCENT, REF, SCOPES, STRING, TIME, WORD, Token,
)  # fmt: skip
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


def find(place: Place) -> Repair | None:
    """The first repair that fits."""
    for attempt in _SURE:
        repair = attempt(place)
        if repair is not None and (repair.pop or _gets_on(place, repair)):
            return repair
    for attempt in _GUESSES:
        repair = attempt(place)
        if repair is not None and _gets_on(place, repair):
            return replace(repair, guess=True)
    return None


def _gets_on(place: Place, repair: Repair) -> bool:
    if repair.tokens:
        return place.machine.fits(repair.tokens[0])
    after = place.tokens[repair.last]
    return after.fresh or place.machine.fits(after)


def _replace(place: Place, text: str, kind: str, found: Diagnostic) -> Repair:
    """Read `text` instead of the token at the place."""
    token = place.token
    new = Token(kind, text, token.start, token.end, token.fresh)
    return Repair(place.at, place.at + 1, (new,), found)


def _insert(place: Place, texts: tuple[str, ...], found: Diagnostic) -> Repair:
    at = place.end_of_previous.start
    new = tuple(Token(WORD if text.isalpha() else OPERATOR, text, at, at) for text in texts)
    return Repair(place.at, place.at, new, found)


def _swap(span: Span, text: str) -> Fix:
    return Fix((Edit(span, text),))


# --- braces ---------------------------------------------------------------------------------------


def missing_close(place: Place) -> Repair | None:
    """The next item, or the end, where a `}` has to come first."""
    token = place.token
    if not place.block or not place.complete:
        return None
    if token.kind != END and not (token.fresh and token.text in words.ITEM_VERBS):
        return None
    brace = place.machine.stack[place.machine.open_brace or 0]
    found = error(
        "E0107", f"the block of `{place.block}` is never closed", Span(brace.start, brace.end),
        label="this `{` has no `}`",
        secondary=(Label(place.end_of_previous, "a `}` is missing here, or before"),),
        help="put a `}` on a line of its own behind the block", fix=_swap(place.end_of_previous, "\n}"),
    )  # fmt: skip
    return _insert(place, ("}",), found)


def missing_open(place: Place) -> Repair | None:
    """`place idle prev`, `on stop task.x = 1`, `dispatch:`."""
    if "{" not in place.expected:
        return None
    if place.token.text in (":", "(", "["):
        found = error("E0107", f"a block stands in braces, found `{place.token.text}`",
                      place.token.span, help="write `{`", fix=_swap(place.token.span, "{"))
        return _replace(place, "{", OPERATOR, found)
    found = error(
        "E0107", f"the block of `{place.verb}` has no `{{`", place.end_of_previous,
        label="expected `{` here", help="blocks stand in `{` and `}`",
        fix=_swap(place.end_of_previous, " {"),
    )  # fmt: skip
    previous = place.previous
    if place.verb == "place" and previous is not None and previous.text == "idle":
        brace = Token(OPERATOR, "{", previous.start, previous.start)
        end = place.tokens[place.at - 2].end
        found = error("E0107", "the block of `place` has no `{`", Span(end, end),
                      label="expected `{` here", help="blocks stand in `{` and `}`",
                      fix=_swap(Span(end, end), " {"))
        return Repair(place.at - 1, place.at - 1, (brace,), found, pop=1)
    if not place.machine.fits("{", place.token):
        return None
    return _insert(place, ("{",), found)


# --- words ----------------------------------------------------------------------------------------


def _chain(place: Place, first: int) -> tuple[str, int]:
    """`My-queue` as one name, from the token `first` on, and the index behind it."""
    tokens = place.tokens
    name, last = tokens[first].text, first + 1
    while tokens[last].text == "-" and tokens[last + 1].kind in (WORD, INT) and (
        tokens[last - 1].end == tokens[last].start
        and tokens[last].end == tokens[last + 1].start
    ):
        name += "_" + tokens[last + 1].text
        last += 2
    return name, last


def hyphen(place: Place) -> Repair | None:
    """`my-queue` where a name stands: the `-` and what follows belong to the name."""
    before = place.previous
    if place.token.text != "-" or before is None or before.terminal not in ("NAME", REF):
        return None
    if place.machine.stack[-1].value is not before:
        return None
    name, last = _chain(place, place.at - 1)
    scope, dot, bare = name.rpartition(".")
    name = scope + dot + words.snake(bare)
    if last == place.at:
        return None
    span = Span(before.start, place.tokens[last - 1].end)
    found = error("E0109", "a name can't contain `-`", span, help=f"write `{name}`",
                  fix=_swap(span, name))
    new = Token(before.kind, name, span.start, span.end, before.fresh)
    return Repair(place.at - 1, last, (new,), found, pop=1)


def spelling(place: Place) -> Repair | None:
    """Upper case, a name that is too long, or one that begins with `_`."""
    token = place.token
    if token.kind != WORD or NAME_SHAPE.fullmatch(token.text):
        return None
    lower = token.text.lower()
    if "NAME" not in place.expected and "." not in token.text:
        if not place.machine.fits(Token(WORD, lower, 0, 0)):
            return None
        found = error("E0105", f"`{_short(token.text)}` is written in lower case", token.span,
                      help=f"write `{lower}`", fix=_swap(token.span, lower))
        return _replace(place, lower, WORD, found)
    scope, dot, _ = token.text.rpartition(".")
    if dot and (scope.lower() not in SCOPES or REF not in place.expected):
        return None
    # In an expression a `-` takes a difference.
    whole, last = (token.text, place.at + 1) if dot else _chain(place, place.at)
    name = whole.rpartition(".")[2]
    meant = scope.lower() + dot + words.snake(name)
    span = Span(token.start, place.tokens[last - 1].end)
    if len(name) > 32:
        message = f"a name of {len(name)} characters; the most is 32"
        help = "choose a shorter name"
    elif name.startswith("_"):
        message, help = f"the name `{name}` begins with `_`", f"write `{meant}`"
    else:
        message = f"`{place.source.slice(span)}` is not a name: names are written in lower case"
        help = f"write `{meant}`"
    found = error("E0109", message, span, help=help, fix=_swap(span, meant))
    new = Token(REF if dot else WORD, meant, span.start, span.end, token.fresh)
    return Repair(place.at, last, (new,), found)


def near_keyword(place: Place) -> Repair | None:
    """A keyword with a slip in it: `qeueu`, `enqeue`, `slcie`."""
    token = place.token
    if token.kind != WORD or len(token.text) > 40 or place.wants_value:
        return None
    keywords = {text for text in place.expected if text[0].isalpha() and text.islower()}
    if not token.fresh:
        # On the same line a statement goes on; another one hardly begins.
        keywords -= set(words.ITEM_VERBS) | set(words.BLOCK_OF) if place.verb else set()
    if place.block and token.fresh and place.complete:
        keywords |= set(words.ITEM_VERBS)
    meant = words.near(token.text, keywords)
    if meant is None:
        return None
    begins = token.fresh and (place.complete or not place.verb)
    message = f"no statement begins with `{token.text}`" if begins else (
        f"`{token.text}` does not fit here")
    found = error("E0104" if begins else "E0105", message, token.span,
                  help=f"did you mean `{meant}`?", fix=_swap(token.span, meant))
    if place.block and meant in words.ITEM_VERBS:
        return None
    return _replace(place, meant, WORD, found)


def loose_scope(place: Place) -> Repair | None:
    """`task used`: the dot is missing."""
    token, name = place.token, place.following
    if REF not in place.expected or token.text not in SCOPES or token.kind != WORD:
        return None
    if token.fresh and token.text in words.ITEM_VERBS:
        return None
    if name.kind != WORD or name.fresh or not NAME_SHAPE.fullmatch(name.text):
        return None
    span = Span(token.start, name.end)
    meant = f"{token.text}.{name.text}"
    found = error("E0105", f"`{token.text}` and `{name.text}` are not joined", span,
                  help=f"write `{meant}`", fix=_swap(span, meant))
    new = Token(REF, meant, token.start, name.end, token.fresh)
    return Repair(place.at, place.at + 2, (new,), found)


def unknown_word(place: Place) -> Repair | None:
    """A bare word in an expression, with a likely meaning; `advice` speaks of the others."""
    token = place.token
    if not place.wants_value or token.kind != WORD or token.text in place.machine.tables.fixed:
        return None
    meant = meaning(place)
    if meant is None:
        return None
    kind = REF if "." in meant else WORD
    called = place.following.text == "(" and "." not in token.text
    what = "function" if called else "fact"
    message = f"there is no {what} `{_short(token.text)}`"
    if "." in token.text:
        scope = token.text.partition(".")[0]
        message = f"there is no scope `{_short(scope)}`"
    found = error("E0114", message, token.span, help=f"did you mean `{meant}`?",
                  fix=_swap(token.span, meant))
    return _replace(place, meant, kind, found)


def meaning(place: Place) -> str | None:
    """What a word that is no fact was probably meant to be."""
    word = place.token.text
    declared = place.declared()
    if "." in word:
        scope, _, name = word.rpartition(".")
        near_scope = words.near(scope, SCOPES)
        return f"{near_scope}.{name}" if near_scope and NAME_SHAPE.fullmatch(name) else None
    if place.following.text == "(":
        meant = words.near(word, words.FUNCTIONS) or words.SYNONYMS.get(word)
        return meant if meant in words.FUNCTIONS else None
    for scope in ("tune", "let"):
        if word in declared[scope]:
            return f"{scope}.{word}"
    states = {ref.partition(".")[2]: ref for ref in sorted(declared["state"], reverse=True)}
    if word in states:
        return states[word]
    if word in declared["class"]:
        return None
    facts = {text for text in place.expected if text[0].isalpha() and text.islower()}
    facts -= set(words.FUNCTIONS) | {"not"}
    meant = words.near(word, facts) or words.SYNONYMS.get(word)
    if meant in facts:
        return meant
    dotted = {ref: f"{scope}.{ref}" for scope in ("tune", "let") for ref in declared[scope]}
    close = words.near(word, (dotted | states).keys())
    return (dotted | states)[close] if close else None


# --- signs ----------------------------------------------------------------------------------------


def scope_missing(place: Place) -> Repair | None:
    """`state used : time`: whose state it is has to be said."""
    token = place.token
    if place.before != "state" or token.kind != WORD or not NAME_SHAPE.fullmatch(token.text):
        return None
    meant = f"task.{token.text}"
    found = error("E0109", f"the state `{token.text}` has no scope", token.span,
                  help=f"write `{meant}`, or instead of `task` another of "
                  f"{words.either([f'`{scope}`' for scope in SCOPES[1:-2]], 99)}",
                  fix=_swap(token.span, meant))
    return _replace(place, meant, REF, found)


def equals(place: Place) -> Repair | None:
    """`=` where values are compared, `==` where one is set."""
    token = place.token
    if token.text == "=" and "==" in place.expected:
        if place.before in ("comm", "exe", "cgroup", "class", "waker"):
            return None
        found = error("E0113", "`=` sets a value, it compares nothing", token.span,
                      help="write `==`", fix=_swap(token.span, "=="))
        return _replace(place, "==", OPERATOR, found)
    if token.text in ("==", ":") and "=" in place.expected:
        found = error("E0113", f"`{token.text}` sets no value", token.span, help="write `=`",
                      fix=_swap(token.span, "="))
        return _replace(place, "=", OPERATOR, found)
    return None


def pattern_sign(place: Place) -> Repair | None:
    """`comm == "nginx"`, `class == batch`."""
    if place.token.text not in ("=", "==", "is", "in"):
        return None
    if place.before in ("comm", "exe", "cgroup") and place.following.kind == "STRING":
        shown = f"{place.before} {_short(place.following.text)}"
        gap = Span(place.token.start, place.following.start)
        found = error("E0113", f"`{place.before}` needs no operator", place.token.span,
                      help=f"write `{shown}`", fix=_swap(gap, ""))
        return Repair(place.at, place.at + 1, (), found)
    if place.before in ("class", "waker") and "is" in place.expected:
        found = error("E0113", f"a class is not compared with `{place.token.text}`",
                      place.token.span, help=f"write `{place.before} is {place.following.text}`",
                      fix=_swap(place.token.span, "is"))
        return _replace(place, "is", WORD, found)
    return None


def unit(place: Place) -> Repair | None:
    """`10 ms`, `30 percent`, `at most 3 tasks`, and a share without its `%`."""
    token, before = place.token, place.previous
    if token.kind == INT and PERCENT in place.expected and not {INT, TIME} & place.expected:
        found = error("E0108", "a share without `%`", token.span, help=f"write `{token.text}%`",
                      fix=_swap(token.span, token.text + "%"))
        return _replace(place, token.text + "%", PERCENT, found)
    if token.kind != WORD or before is None or before.kind != INT or token.fresh:
        return None
    gap = Span(before.end, token.end)
    if token.text in ("ns", "us", "ms", "s", "percent"):
        sign = "%" if token.text == "percent" else token.text
        meant = before.text + sign
        kind = PERCENT if sign == "%" else TIME
        found = error("E0108", f"`{meant}` is one word", Span(before.start, token.end),
                      help=f"write `{meant}`", fix=_swap(gap, sign))
        entry = place.machine.stack[-1]
        new = Token(kind, meant, before.start, token.end, before.fresh)
        return Repair(place.at - 1, place.at + 1, (new,), found, pop=1) if entry.symbol == INT else None
    if token.text in ("tasks", "task", "times", "stints", "time"):
        found = error("E0108", "a count has no unit", token.span, help=f"write `{before.text}`",
                      fix=_swap(gap, ""))
        return Repair(place.at, place.at + 1, (), found)
    return None


def bare_list(place: Place) -> Repair | None:
    """`cpus big = 0-3,8`: a list of cpus is a string."""
    if place.verb != "cpus" or place.before != "=" or place.token.kind != INT:
        return None
    last = place.at
    while place.tokens[last].kind == INT or place.tokens[last].text in ("-", ",", ".."):
        if place.tokens[last].fresh:
            break
        last += 1
    span = Span(place.token.start, place.tokens[last - 1].end)
    inside = "".join(token.text for token in place.tokens[place.at : last]).replace("..", "-")
    found = error("E0116", "a list of cpus without quotes", span, help=f'write `"{_short(inside)}"`',
                  fix=_swap(span, f'"{inside}"'))
    new = Token(STRING, f'"{inside}"', span.start, span.end)
    return Repair(place.at, last, (new,), found)


# --- one token too many, too few or wrong ---------------------------------------------------------


def extra(place: Place) -> Repair | None:
    """A comma or a filler word after which the line goes on well."""
    token, after = place.token, place.following
    if token.text not in (",", ":", "then", "do", "the", "a", "an", "with", "using", "="):
        return None
    if place.wants_value or after.fresh or not place.machine.fits(after):
        return None
    found = error("E0105", f"`{token.text}` does not belong here", token.span, help="delete it",
                  fix=_swap(token.span, ""))
    return Repair(place.at, place.at + 1, (), found)


def unmatched(place: Place) -> Repair | None:
    """A `}` or `)` that closes nothing."""
    token = place.token
    if token.text == "}" and not place.block and place.complete:
        found = error("E0105", "a `}` that closes nothing", token.span, help="delete it",
                      fix=_swap(token.span, ""))
        return Repair(place.at, place.at + 1, (), found)
    if token.text == ")" and place.wants_operator and (
        place.following.fresh or place.machine.fits(place.following)
    ):
        found = error("E0105", "a `)` that closes nothing", token.span, help="delete it",
                      fix=_swap(token.span, ""))
        return Repair(place.at, place.at + 1, (), found)
    return None


def missing(place: Place) -> Repair | None:
    """One or two words left out: `take soon 60%`, `queue q vtime within …`, `goal a b`."""
    if place.token.kind == END or place.token.fresh:
        return None
    found: list[tuple[str, ...]] = []
    after = () if place.following.fresh else (place.following,)
    fixed = sorted(place.expected & place.machine.tables.fixed)
    for text in fixed:
        if text not in words.ITEM_VERBS and place.machine.fits(text, place.token, *after):
            found.append((text,))
    for pair in (("at", "most"), ("when", "ran")):
        if not found and place.machine.fits(*pair, place.token, *after):
            found.append(pair)
    if len(found) != 1:
        return None
    shown = " ".join(found[0])
    if shown == "-":
        return None
    lead = "" if shown in (")", ",") else " "
    problem = error("E0105", f"`{shown}` is missing before `{_short(place.token.text)}`",
                    place.token.span, help=f"write `{shown} {_short(place.token.text)}`"
                    if lead else f"put a `{shown}` behind `{_short(place.before)}`",
                    fix=_swap(place.end_of_previous, lead + shown))
    return _insert(place, found[0], problem)


def wrong(place: Place) -> Repair | None:
    """One word or sign instead of another: `fifo by cpu`, `preempt a, b`."""
    token, after = place.token, place.following
    if token.kind not in (WORD, OPERATOR) or token.fresh or after.kind == END:
        return None
    if token.text in ("{", "}", "(", ")", "if", "else"):
        return None
    found = [
        text for text in sorted(place.expected & place.machine.tables.fixed)
        if text not in words.ITEM_VERBS and text not in ("{", "}") and not after.fresh
        and place.machine.fits(text, after)
    ]  # fmt: skip
    if len(found) != 1:
        return None
    kind = WORD if found[0].isalpha() else OPERATOR
    problem = error("E0105", f"expected `{found[0]}`, found `{_short(token.text)}`", token.span,
                    help=f"write `{found[0]}`", fix=_swap(token.span, found[0]))
    return _replace(place, found[0], kind, problem)


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "…"


_SURE: tuple[Callable[[Place], Repair | None], ...] = (
    missing_close, missing_open, hyphen, spelling, loose_scope, scope_missing, equals, pattern_sign,
    unit, bare_list,
)  # fmt: skip
_GUESSES: tuple[Callable[[Place], Repair | None], ...] = (
    unknown_word, near_keyword, extra, unmatched, missing, wrong,
)  # fmt: skip
