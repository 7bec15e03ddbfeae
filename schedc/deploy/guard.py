"""Guards: what must hold while a canary runs.

    p99 < 20ms                            waits of all classes, from the policy's own counters
    p99.9 of interactive < 5ms            waits of one class
    psi < 60%                             share of time in which some task waited for a cpu
    throughput > 90%                      context switches a second, of those before the load
    throughput:./rate --once > 90%        the number that a command prints, of that before
    cmd:./check --p99 < 50                the number that a command prints

Input: text as written. Output: a `Guard`, or a diagnostic against that text. Invariant: a guard
says what must hold; one whose sense is the wrong way round is refused, not turned.
"""

from __future__ import annotations

import re
import shlex
from difflib import get_close_matches
from enum import Enum

from schedc.diagnostics.model import Diagnostic, error
from schedc.records import dataclass
from schedc.source import Span
from schedc.workload.quantity import UNITS, show_time

MAX_TEXT = 400
BAD_GUARD = "E0910"


class Kind(Enum):
    """What a guard looks at."""

    wait = "wait"
    psi = "psi"
    switches = "switches"
    rate = "rate"
    command = "command"


@dataclass(frozen=True, slots=True)
class Guard:
    """`limit`: ns for a wait, percent for psi, switches and rate, a plain number for a command.
    `relation`: `<`, `<=`, `>` or `>=`. `quantile`: of waits, 0..1. `cls`: a class, all if empty.
    `argv`: the command."""

    text: str
    kind: Kind
    relation: str
    limit: float
    quantile: float = 0.0
    cls: str = ""
    argv: tuple[str, ...] = ()

    def holds(self, value: float) -> bool:
        """Whether a measured value (in the unit of `limit`) is within it."""
        match self.relation:
            case "<":
                return value < self.limit
            case "<=":
                return value <= self.limit
            case ">":
                return value > self.limit
            case _:
                return value >= self.limit

    def show(self, value: float) -> str:
        """A value of this guard, for people."""
        match self.kind:
            case Kind.wait:
                return show_time(value)
            case Kind.command:
                return f"{value:g}"
            case _:
                return f"{value:.4g}%"


_FORM = re.compile(r"(?P<what>.*?)\s*(?P<relation><=|>=|==|=|<|>)\s*(?P<limit>[^<>=]*)", re.DOTALL)
_COMMAND = re.compile(r"(?P<what>.*)(?P<relation><=|>=|<|>)\s*(?P<limit>[^<>=]*)", re.DOTALL)
_WAIT = re.compile(r"p(?P<rank>\d{1,2}(?:\.\d{1,3})?)(?:\s+of\s+(?P<cls>[a-z][a-z0-9_]{0,62}))?")
_TIME = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*(ns|us|ms|s)")
_PERCENT = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s*%")
_NUMBER = re.compile(r"[-+]?\d{1,18}(?:\.\d{1,9})?(?:e[-+]?\d{1,3})?", re.IGNORECASE)
_WORDS = ("p50", "p90", "p95", "p99", "p99.9", "psi", "throughput", "cmd:")
_UP = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


class BadGuard(Exception):
    """A text that is no guard; the diagnostic's places are in that text."""

    def __init__(self, found: Diagnostic) -> None:
        super().__init__(found.message)
        self.diagnostic = found


def parse_guard(text: str) -> Guard:
    """The guard that a text says; raises `BadGuard`."""
    if len(text) > MAX_TEXT:
        raise _bad("the guard is too long", 0, MAX_TEXT, f"at most {MAX_TEXT} characters")
    if "\0" in text:
        raise _bad("a guard can't hold a null character", text.index("\0"), text.index("\0") + 1)
    head, colon, _ = text.partition(":")
    command = bool(colon) and head.strip() in ("cmd", "throughput")
    match = (_COMMAND if command else _FORM).fullmatch(text)
    if match is None:
        raise _bad("the guard says no limit", 0, len(text), "write what must hold: `p99 < 20ms`")
    if match["relation"] in ("=", "=="):
        raise _bad("a guard compares with `<`, `<=`, `>` or `>=`", *match.span("relation"))
    if command:
        return _of_a_command(text, head.strip(), match)
    return _of_the_machine(text, match)


def _of_the_machine(text: str, match: re.Match[str]) -> Guard:
    what, relation = match["what"].strip(), match["relation"]
    if (wait := _WAIT.fullmatch(what)) is not None:
        _sense(match, "<", "a wait")
        limit = _time(match)
        return Guard(text, Kind.wait, relation, limit, float(wait["rank"]) / 100, wait["cls"] or "")
    if what == "psi":
        _sense(match, "<", "pressure")
        limit = _percent(match)
        if limit > 100:
            raise _bad("pressure is at most 100%", *match.span("limit"))
        return Guard(text, Kind.psi, relation, limit)
    if what == "throughput":
        _sense(match, ">", "throughput")
        return Guard(text, Kind.switches, relation, _percent(match))
    raise _unknown(what, match)


def _of_a_command(text: str, head: str, match: re.Match[str]) -> Guard:
    start = text.index(":") + 1
    line = text[start : match.end("what")]
    try:
        argv = tuple(shlex.split(line))
    except ValueError as wrong:
        raise _bad(f"the command can't be split into words: {str(wrong).lower()}", start,
                   start + len(line), "quote as in a shell; none is run") from wrong  # fmt: skip
    if not argv or not argv[0]:
        raise _bad("the guard has no command", start, max(start + len(line), start + 1),
                   "write the program and its arguments: `cmd:./p99.sh --quick < 50`")
    if head == "throughput":
        _sense(match, ">", "throughput")
        return Guard(text, Kind.rate, match["relation"], _percent(match), argv=argv)
    return Guard(text, Kind.command, match["relation"], _number(match), argv=argv)


def _sense(match: re.Match[str], good: str, what: str) -> None:
    relation = match["relation"]
    if relation[0] == good:
        return
    turned = _UP[relation]
    raise _bad(
        f"a guard says what must hold, and {what} may be too "
        f"{'long or high' if good == '<' else 'low'}, not the other way round",
        *match.span("relation"),
        f"write `{match['what'].strip()} {turned} {match['limit'].strip()}`",
    )


def _time(match: re.Match[str]) -> float:
    found = _TIME.fullmatch(match["limit"].strip())
    if found is None or float(found[1]) <= 0:
        raise _limit(match, "a time above 0 with its unit", "20ms")
    return float(found[1]) * UNITS[found[2]]


def _percent(match: re.Match[str]) -> float:
    found = _PERCENT.fullmatch(match["limit"].strip())
    if found is None:
        raise _limit(match, "a share in percent", "60%" if match["relation"][0] == "<" else "90%")
    return float(found[1])


def _number(match: re.Match[str]) -> float:
    if _NUMBER.fullmatch(match["limit"].strip()) is None:
        raise _limit(match, "a plain number, in the command's own unit", "50")
    return float(match["limit"])


def _limit(match: re.Match[str], wanted: str, example: str) -> BadGuard:
    start, end = match.span("limit")
    return _bad(f"the limit is {wanted}, such as {example}", start, max(end, start + 1))


def _unknown(what: str, match: re.Match[str]) -> BadGuard:
    word = what.split()[0] if what else ""
    near = get_close_matches(word, _WORDS, n=1, cutoff=0.55)
    if re.fullmatch(r"p\d+", word):
        help_ = f"write p{word[1:3]}.{word[3:]}" if len(word) > 3 else "write p99 of a class"
    elif near:
        help_ = f"did you mean `{near[0]}`?"
    elif "/" in word or word.endswith((".sh", ".py")):
        help_ = f"a command stands behind `cmd:`: `cmd:{what} < 50`"
    else:
        help_ = "there is p99 (p50 to p99.999, also `p99 of CLASS`), psi, throughput, cmd:COMMAND"
    return _bad("nothing that a guard can look at", 0, max(match.end("what"), 1), help_)


def _bad(message: str, start: int, end: int, help_: str | None = None) -> BadGuard:
    return BadGuard(error(BAD_GUARD, message, Span(start, end), label="here", help=help_))
