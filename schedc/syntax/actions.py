"""What each rule of the grammar builds.

Input: the parts of a rule, keywords and punctuation included, and the span from the first to the
last of them. Output: a node of `tree`, or a piece of one. Invariant: an action for every rule of
the tables (a test compares the two), and none raises on parts that the grammar lets through; what
the grammar is too wide for is reported through `Builder.complain`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from schedc.diagnostics.model import Diagnostic, error
from schedc.source import Span
from schedc.syntax import tree as t
from schedc.syntax.lex import TIME, Token

Parts = list[Any]
Action = Callable[["Builder", Parts, Span], Any]

MAX_TIME_NS = 366 * 24 * 3600 * 10**9
"""Longest time that can be written: the longest uptime that the proofs assume."""

_UNIT_NS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}


class Builder:
    """Builds nodes, and collects what the grammar could not refuse."""

    def __init__(self) -> None:
        self.problems: list[Diagnostic] = []

    def complain(self, code: str, message: str, span: Span, help: str) -> None:
        self.problems.append(error(code, message, span, help=help))

    def number(self, token: Token) -> t.Number:
        """A TIME, INT or PERCENT token."""
        text = token.text
        if token.kind != TIME:
            if text.endswith("%"):
                return t.Number("percent", int(text[:-1]), text, token.span)
            return t.Number("int", int(text), text, token.span)
        unit = text.lstrip("0123456789")
        value = int(text[: -len(unit)]) * _UNIT_NS[unit]
        if value > MAX_TIME_NS:
            self.complain("E0108", f"`{text}` is longer than any time", token.span,
                          "the longest time is 366 days, `31622400s`")
            value = MAX_TIME_NS
        return t.Number("time", value, text, token.span)


# --- parts ----------------------------------------------------------------------------------------


def _name(token: Token) -> t.Name:
    return t.Name(token.text, token.span)


def _terminals(parts: Parts, terminal: str) -> list[Token]:
    return [part for part in parts if type(part) is Token and part.terminal == terminal]


def _names(parts: Parts) -> tuple[t.Name, ...]:
    return tuple(_name(token) for token in _terminals(parts, "NAME"))


def _has(parts: Parts, terminal: str) -> bool:
    return bool(_terminals(parts, terminal))


def _after(parts: Parts, terminal: str) -> Any:
    """The part behind a keyword, or None if the keyword isn't there."""
    for at, part in enumerate(parts):
        if type(part) is Token and part.terminal == terminal:
            return parts[at + 1]
    return None


def _of(parts: Parts, kind: Any) -> Any:
    """The first part of a type, or None."""
    return next((part for part in parts if isinstance(part, kind)), None)


def _all(parts: Parts, kind: Any) -> tuple[Any, ...]:
    return tuple(part for part in parts if isinstance(part, kind))


def string(token: Token) -> t.String:
    """The bytes that a string literal stands for."""
    inside = token.text[1:-1]
    if "\\" not in inside:
        return t.String(inside.encode("utf-8", "surrogatepass"), token.span)
    value = bytearray()
    at = 0
    while at < len(inside):
        char = inside[at]
        if char != "\\":
            value += char.encode("utf-8", "surrogatepass")
            at += 1
        elif inside[at + 1] == "x":
            value.append(int(inside[at + 2 : at + 4], 16))
            at += 4
        else:
            value += {"n": b"\n", "t": b"\t"}.get(inside[at + 1], inside[at + 1].encode())
            at += 2
    return t.String(bytes(value), token.span)


def _string_of(parts: Parts) -> t.String | None:
    found = _terminals(parts, "STRING")
    return string(found[0]) if found else None


# --- quantities -----------------------------------------------------------------------------------


def _number(b: Builder, parts: Parts, span: Span) -> t.Number:
    return b.number(parts[0])


def _bool(b: Builder, parts: Parts, span: Span) -> t.Bool:
    return t.Bool(parts[0].text == "true", span)


def _ref(b: Builder, parts: Parts, span: Span) -> t.Ref:
    scope, _, name = parts[0].text.partition(".")
    return t.Ref(scope, name, span)


def _literal(b: Builder, parts: Parts, span: Span) -> t.Number | t.Bool | t.Ref:
    """`[MINUS] number`, a reference, or true and false."""
    if len(parts) > 1:
        return _signed(b, parts, span)
    value: t.Number | t.Bool | t.Ref = parts[0]
    return value


def _signed(b: Builder, parts: Parts, span: Span) -> t.Number:
    """`[MINUS] number`: the sign belongs to the number, `-40ms`."""
    value: t.Number = parts[-1]
    if len(parts) == 1:
        return value
    return t.Number(value.kind, -value.value, "-" + value.text, span)


def _range(b: Builder, parts: Parts, span: Span) -> t.Range:
    return t.Range(parts[0], parts[2], span)


# --- expressions ----------------------------------------------------------------------------------


def _binary(b: Builder, parts: Parts, span: Span) -> t.Binary:
    left, op, right = parts
    return t.Binary(op.text, left, right, span)


def _token(b: Builder, parts: Parts, span: Span) -> Token:
    token: Token = parts[0]
    return token


def _match(b: Builder, parts: Parts, span: Span) -> t.Match:
    return t.Match(parts[0].text, parts[1], span)


def _arguments(parts: Parts) -> tuple[Any, ...]:
    """What stands between the parentheses and commas of a call."""
    return tuple(part for part in parts[1:] if type(part) is not Token)


def _call(b: Builder, parts: Parts, span: Span) -> t.Call:
    return t.Call(parts[0].text, _arguments(parts), span)


def _ewma(b: Builder, parts: Parts, span: Span) -> t.Ewma:
    numerator, denominator = (b.number(token) for token in _terminals(parts, "INT"))
    return t.Ewma(parts[2], parts[4], numerator, denominator, span)


def _table(b: Builder, parts: Parts, span: Span) -> t.Table:
    return t.Table(parts[2], _all(parts, t.Row), parts[-2], span)


# --- declarations ---------------------------------------------------------------------------------


def _header(b: Builder, parts: Parts, span: Span) -> t.Header:
    return t.Header(_name(parts[1]), parts[2].text, _string_of(parts), span)


def _extends(b: Builder, parts: Parts, span: Span) -> t.Extends:
    module, _, major = parts[1].text.partition("@")
    return t.Extends(module, int(major), span)


def _goal(b: Builder, parts: Parts, span: Span) -> t.Goal:
    return t.Goal(_all(parts, t.Name), span)


def _promise(b: Builder, parts: Parts, span: Span) -> t.Promise:
    names = _names(parts)
    return t.Promise(names[0] if names else None, b.number(parts[-1]), span)


def _tune(b: Builder, parts: Parts, span: Span) -> t.Tune:
    return t.Tune(_name(parts[1]), parts[3], parts[5], _string_of(parts), span)


def _cpus(b: Builder, parts: Parts, span: Span) -> t.Cpus:
    kind, value = parts[3]
    return t.Cpus(_name(parts[1]), kind, value, span)


def _by_vtime(b: Builder, parts: Parts, span: Span) -> tuple[Any, ...]:
    drift = None
    if _has(parts, "drift"):
        numerator, denominator = (b.number(token) for token in _terminals(parts, "INT"))
        drift = t.Drift(numerator, denominator)
    clock = _after(parts, "clock")
    return "vtime", _of(parts, t.Range), drift, _name(clock) if clock else None


def _queue(b: Builder, parts: Parts, span: Span) -> t.Queue:
    order, window, drift, clock = parts[2]
    domain = _after(parts, "per")
    return t.Queue(_name(parts[1]), order, window, drift, clock,
                   domain.text if domain else "machine", span)


def _state(b: Builder, parts: Parts, span: Span) -> t.State:
    ref = _ref(b, [parts[1]], parts[1].span)
    return t.State(ref, parts[3], _of(parts, t.Range), _after(parts, "="), span)


def _class(b: Builder, parts: Parts, span: Span) -> t.Class:
    affinity, cpus = parts[-1] if isinstance(parts[-1], tuple) else (None, None)
    return t.Class(_name(parts[1]), _after(parts, "when"), affinity, cpus, span)


def _affinity(b: Builder, parts: Parts, span: Span) -> tuple[str, t.Name]:
    return parts[0].text, _name(parts[1])


def _cap(b: Builder, parts: Parts, span: Span) -> t.Cap:
    return t.Cap(_name(parts[1]), b.number(parts[3]), b.number(parts[5]), span)


# --- blocks ---------------------------------------------------------------------------------------


def _event(b: Builder, parts: Parts, span: Span) -> t.Event:
    return t.Event(parts[1], _all(parts, t.Assign), span)


def _assign(b: Builder, parts: Parts, span: Span) -> t.Assign:
    target = _ref(b, [parts[0]], parts[0].span)
    return t.Assign(target, parts[1].text, parts[2], _after(parts, "when"), span)


def _place(b: Builder, parts: Parts, span: Span) -> t.Place:
    names = _names(parts)
    return t.Place(names[0] if names else None, _all(parts, t.Rung), span)


def _rung(b: Builder, parts: Parts, span: Span) -> t.Rung:
    where: Any = next(part for part in parts if type(part) is str)
    return t.Rung(_has(parts, "fast"), _has(parts, "core"), where, _after(parts, "when"), span)


def _where(where: str) -> Action:
    return lambda b, parts, span: where


def _enqueue(b: Builder, parts: Parts, span: Span) -> t.Enqueue:
    cls, queue = _names(parts)
    key = next((part[1] for part in parts if type(part) is tuple), None)
    return t.Enqueue(cls, queue, key, _of(parts, (t.Slice, t.SliceUnlimited)),
                     _of(parts, t.Preempt), _of(parts, t.Perf), span)


def _perf(b: Builder, parts: Parts, span: Span) -> t.Perf:
    level = parts[1]
    return t.Perf(b.number(level) if level.terminal == "INT" else level.text, span)


def _dispatch(b: Builder, parts: Parts, span: Span) -> t.Dispatch:
    return t.Dispatch(_all(parts, t.Line), span)


def _take(b: Builder, parts: Parts, span: Span) -> t.Take:
    most, every = parts[-1] if isinstance(parts[-1], tuple) else (None, None)
    return t.Take(_name(parts[1]), _after(parts, "after"), most, every, span)


def _steal(b: Builder, parts: Parts, span: Span) -> t.Steal:
    pick = _after(parts, "pick")
    return t.Steal(_name(parts[1]), b.number(pick) if pick else None, span)


ACTIONS: dict[str, Action] = {
    "start": lambda b, p, s: (p[0], tuple(p[1:])),
    "header": _header,
    "extends": _extends,
    "goal": _goal,
    "goal_name": lambda b, p, s: _name(p[0]),
    "assume_runnable": lambda b, p, s: t.AssumeRunnable(b.number(p[3]), s),
    "assume_weight": lambda b, p, s: t.AssumeWeight(b.number(p[3]), b.number(p[5]), s),
    "assume_cgroups": lambda b, p, s: t.AssumeCgroups(b.number(p[3]), s),
    "promise": _promise,
    "tune": _tune,
    "let": lambda b, p, s: t.Let(_name(p[1]), p[3], s),
    "cpus": _cpus,
    "cpus_list": lambda b, p, s: ("list", string(p[0])),
    "cpus_llc": lambda b, p, s: ("llc", b.number(p[1])),
    "cpus_fast": lambda b, p, s: ("fast", None),
    "cpus_slow": lambda b, p, s: ("slow", None),
    "queue": _queue,
    "fifo": lambda b, p, s: ("fifo", None, None, None),
    "by_vtime": _by_vtime,
    "by_moment": lambda b, p, s: ("moment", _of(p, t.Range), None, None),
    "domain": _token,
    "state": _state,
    "plain_type": lambda b, p, s: t.TypeName(p[0].text, None, s),
    "vtime_of": lambda b, p, s: t.TypeName("vtime", _name(p[2]), s),
    "class": _class,
    "prefer": _affinity,
    "confine": _affinity,
    "cap": _cap,
    "pack": lambda b, p, s: t.Pack(b.number(p[2]), s),
    "event": _event,
    "event_name": lambda b, p, s: _name(p[0]),
    "assign": _assign,
    "assign_op": _token,
    "place": _place,
    "rung": _rung,
    "where_prev": _where("prev"),
    "where_llc": _where("llc"),
    "where_node": _where("node"),
    "where_anywhere": _where("anywhere"),
    "enqueue": _enqueue,
    "key": lambda b, p, s: ("key", p[1]),
    "slice": lambda b, p, s: t.Slice(p[1], s),
    "slice_unlimited": lambda b, p, s: t.SliceUnlimited(p[3], s),
    "preempt": lambda b, p, s: t.Preempt(_names(p), p[-1], s),
    "perf_low": _perf,
    "perf_high": _perf,
    "perf_level": _perf,
    "dispatch": _dispatch,
    "take": _take,
    "at_most": lambda b, p, s: (p[2], None),
    "at_most_every": lambda b, p, s: (p[2], p[4]),
    "share": lambda b, p, s: t.Share(_all(p, t.Portion), s),
    "portion": lambda b, p, s: t.Portion(_name(p[0]), b.number(p[1]), s),
    "lowest": lambda b, p, s: t.Lowest(_names(p), s),
    "steal": _steal,
    "keep": lambda b, p, s: t.Keep(p[3], p[5], s),
    "or_": _binary,
    "and_": _binary,
    "compare": _binary,
    "binary": _binary,
    "compare_op": _token,
    "add_op": _token,
    "mul_op": _token,
    "not_": lambda b, p, s: t.Not(p[1], s),
    "negative": lambda b, p, s: t.Negative(p[1], s),
    "atom": lambda b, p, s: p[1],
    "time": _number,
    "int": _number,
    "percent": _number,
    "true": _bool,
    "false": _bool,
    "ref": _ref,
    "fact": lambda b, p, s: t.Fact(p[0].text, s),
    "match_comm": _match,
    "match_exe": _match,
    "match_cgroup": _match,
    "strings": lambda b, p, s: tuple(string(token) for token in _terminals(p, "STRING")),
    "waker_is": lambda b, p, s: t.IsClass("waker", _name(p[2]), s),
    "class_is": lambda b, p, s: t.IsClass("class", _name(p[2]), s),
    "call": _call,
    "log2": _call,
    "clamp": _call,
    "charge": _call,
    "queue_call": lambda b, p, s: t.QueueCall(p[0].text, _name(p[2]), s),
    "ewma": _ewma,
    "table": _table,
    "row": lambda b, p, s: t.Row(p[1], p[3], s),
    "function2": _token,
    "queue_function": _token,
    "literal": _literal,
    "range": _range,
    "bound": _signed,
}
