"""Slips with one likely meaning: the statement is kept as it was probably meant.

Input: a `Place`. Output: a `Repair`, the tokens to read instead and a diagnostic with a fix; or
None. Invariant: the first new token fits where the old one did not, so that reading gets on; the
same edit is offered to the user, so that what later passes see is what the fixed source says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from schedc.diagnostics.model import Label, error
from schedc.source import Span
from schedc.syntax import words
from schedc.syntax.lex import END, INT, OPERATOR, PERCENT, STRING, TIME, WORD, Token
from schedc.syntax.mend import Repair, inserted, replaced, short, swap
from schedc.syntax.place import Place
from schedc.syntax.repair_words import (
    hyphen,
    loose_scope,
    near_keyword,
    scope_missing,
    spelling,
    unknown_fact,
    unknown_function,
)


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


# --- braces ---------------------------------------------------------------------------------------


def missing_close(place: Place) -> Repair | None:
    """The next item, or the end, where a `}` has to come first."""
    token = place.token
    if not place.block or not place.complete:
        return None
    item = token.fresh and token.text in words.ITEM_VERBS and place.ends_block
    if token.kind != END and not item:
        return None
    brace = place.machine.stack[place.machine.open_brace or 0]
    found = error(
        "E0107", f"the block of `{place.block}` is never closed", Span(brace.start, brace.end),
        label="this `{` has no `}`",
        secondary=(Label(place.end_of_previous, "a `}` is missing here, or before"),),
        help="put a `}` on a line of its own behind the block",
        fix=swap(place.end_of_previous, "\n}"),
    )  # fmt: skip
    return inserted(place, ("}",), found)


def missing_open(place: Place) -> Repair | None:
    """`place idle prev`, `on stop task.x = 1`, `dispatch:`."""
    if "{" not in place.expected:
        return None
    if place.token.text in (":", "(", "["):
        found = error("E0107", f"a block stands in braces, found `{place.token.text}`",
                      place.token.span, help="write `{`", fix=swap(place.token.span, "{"))
        return replaced(place, "{", OPERATOR, found)
    found = error(
        "E0107", f"the block of `{place.verb}` has no `{{`", place.end_of_previous,
        label="expected `{` here", help="blocks stand in `{` and `}`",
        fix=swap(place.end_of_previous, " {"),
    )  # fmt: skip
    previous = place.previous
    if place.verb == "place" and previous is not None and previous.text == "idle":
        brace = Token(OPERATOR, "{", previous.start, previous.start)
        end = place.tokens[place.at - 2].end
        found = error("E0107", "the block of `place` has no `{`", Span(end, end),
                      label="expected `{` here", help="blocks stand in `{` and `}`",
                      fix=swap(Span(end, end), " {"))
        return Repair(place.at - 1, place.at - 1, (brace,), found, pop=1)
    if not place.machine.fits("{", place.token):
        return None
    return inserted(place, ("{",), found)


# --- signs ----------------------------------------------------------------------------------------


def equals(place: Place) -> Repair | None:
    """`=` where values are compared, `==` where one is set."""
    token = place.token
    if token.text == "=" and "==" in place.expected:
        if place.before in ("comm", "exe", "cgroup", "class", "waker"):
            return None
        found = error("E0113", "`=` sets a value, it compares nothing", token.span,
                      help="write `==`", fix=swap(token.span, "=="))
        return replaced(place, "==", OPERATOR, found)
    if token.text in ("==", ":") and "=" in place.expected:
        found = error("E0113", f"`{token.text}` sets no value", token.span, help="write `=`",
                      fix=swap(token.span, "="))
        return replaced(place, "=", OPERATOR, found)
    return None


def pattern_sign(place: Place) -> Repair | None:
    """`comm == "nginx"`, `class == batch`."""
    if place.token.text not in ("=", "==", "is", "in"):
        return None
    if place.before in ("comm", "exe", "cgroup") and place.following.kind == "STRING":
        shown = f"{place.before} {short(place.following.text)}"
        gap = Span(place.token.start, place.following.start)
        found = error("E0113", f"`{place.before}` needs no operator", place.token.span,
                      help=f"write `{shown}`", fix=swap(gap, ""))
        return Repair(place.at, place.at + 1, (), found)
    if place.before in ("class", "waker") and "is" in place.expected:
        found = error("E0113", f"a class is not compared with `{place.token.text}`",
                      place.token.span, help=f"write `{place.before} is {place.following.text}`",
                      fix=swap(place.token.span, "is"))
        return replaced(place, "is", WORD, found)
    return None


_UNITS = ("ns", "us", "ms", "s")


def unit(place: Place) -> Repair | None:
    """`10 ms`, `30 percent`, `at most 3 tasks`, and a share without its `%`."""
    token, before = place.token, place.previous
    sign = {"percent": "%"}.get(place.following.text, place.following.text)
    if token.kind == INT and not place.following.fresh and (
        (sign in _UNITS and TIME in place.expected) or (sign == "%" and PERCENT in place.expected)
    ):
        span = Span(token.start, place.following.end)
        meant = token.text + sign
        found = error("E0108", f"`{meant}` is one word", span, help=f"write `{meant}`",
                      fix=swap(span, meant))
        new = Token(PERCENT if sign == "%" else TIME, meant, span.start, span.end, token.fresh)
        return Repair(place.at, place.at + 2, (new,), found)
    if token.kind == INT and PERCENT in place.expected and not {INT, TIME} & place.expected:
        found = error("E0108", "a share without `%`", token.span, help=f"write `{token.text}%`",
                      fix=swap(token.span, token.text + "%"))
        return replaced(place, token.text + "%", PERCENT, found)
    if token.kind != WORD or before is None or before.kind != INT or token.fresh:
        return None
    gap = Span(before.end, token.end)
    if token.text in (*_UNITS, "percent"):
        sign = "%" if token.text == "percent" else token.text
        meant = before.text + sign
        kind = PERCENT if sign == "%" else TIME
        found = error("E0108", f"`{meant}` is one word", Span(before.start, token.end),
                      help=f"write `{meant}`", fix=swap(gap, sign))
        new = Token(kind, meant, before.start, token.end, before.fresh)
        if place.machine.stack[-1].symbol != INT:
            return None
        return Repair(place.at - 1, place.at + 1, (new,), found, pop=1)
    if token.text in ("tasks", "task", "times", "stints", "time"):
        found = error("E0108", "a count has no unit", token.span, help=f"write `{before.text}`",
                      fix=swap(gap, ""))
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
    if last == place.at:
        return None  # the list is missing, and this is another line
    span = Span(place.token.start, place.tokens[last - 1].end)
    inside = "".join(token.text for token in place.tokens[place.at : last]).replace("..", "-")
    found = error("E0116", "a list of cpus without quotes", span, help=f'write `"{short(inside)}"`',
                  fix=swap(span, f'"{inside}"'))
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
                  fix=swap(token.span, ""))
    return Repair(place.at, place.at + 1, (), found)


def unmatched(place: Place) -> Repair | None:
    """A `}` or `)` that closes nothing."""
    token = place.token
    if token.text == "}" and not place.block and place.complete:
        found = error("E0105", "a `}` that closes nothing", token.span, help="delete it",
                      fix=swap(token.span, ""))
        return Repair(place.at, place.at + 1, (), found)
    if token.text == ")" and place.wants_operator and (
        place.following.fresh or place.machine.fits(place.following)
    ):
        found = error("E0105", "a `)` that closes nothing", token.span, help="delete it",
                      fix=swap(token.span, ""))
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
    problem = error("E0105", f"`{shown}` is missing before `{short(place.token.text)}`",
                    place.token.span, help=f"write `{shown} {short(place.token.text)}`"
                    if lead else f"put a `{shown}` behind `{short(place.before)}`",
                    fix=swap(place.end_of_previous, lead + shown))
    return inserted(place, found[0], problem)


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
    problem = error("E0105", f"expected `{found[0]}`, found `{short(token.text)}`", token.span,
                    help=f"write `{found[0]}`", fix=swap(token.span, found[0]))
    return replaced(place, found[0], kind, problem)


_SURE: tuple[Callable[[Place], Repair | None], ...] = (
    missing_close, missing_open, hyphen, spelling, loose_scope, scope_missing, equals, pattern_sign,
    unit, bare_list, unknown_fact,
)  # fmt: skip
_GUESSES: tuple[Callable[[Place], Repair | None], ...] = (
    unknown_function, near_keyword, extra, unmatched, missing, wrong,
)  # fmt: skip
