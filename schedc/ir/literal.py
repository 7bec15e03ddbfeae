"""Values of tunables between numbers of the typed policy and literals of the language.

Input: a tunable and a literal such as `5ms`, or a number (ns, percent, count). Output: the other.
Invariant: `value_of(tune, literal_of(tune, v)) == v` for every v in the tunable's range.
"""

from __future__ import annotations

import re

from schedc.ir.nodes import Kind, Tune

_UNITS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_TIMES = (Kind.TIME, Kind.LAG, Kind.MOMENT)


class BadLiteral(ValueError):
    """A text that is no value for the tunable, or one outside its range."""


def value_of(tune: Tune, text: str) -> int:
    """The number that a literal stands for."""
    number = parse(tune.type.kind, text)
    if number is None or not tune.low <= number <= tune.high:
        raise BadLiteral(f"`{text[:40]}` is no value for `{tune.name}`")
    return number


def parse(kind: Kind, text: str) -> int | None:
    """A literal as a number of the typed policy; None if it is none of that kind."""
    if kind is Kind.BOOL:
        return {"true": 1, "false": 0}.get(text)
    match = re.fullmatch(r"(-?\d{1,12})(ns|us|ms|s|%)?", text, re.ASCII)
    if match is None:
        return None
    number, unit = int(match[1]), match[2]
    if kind in _TIMES:
        return number * _UNITS[unit] if unit in _UNITS else None
    if kind is Kind.RATIO:
        return number if unit == "%" else None
    return number if unit is None else None


def literal_of(kind: Kind, value: int) -> str:
    """A number as a literal, in the largest unit that is exact."""
    if kind is Kind.BOOL:
        return "true" if value else "false"
    if kind is Kind.RATIO:
        return f"{value}%"
    if kind not in _TIMES:
        return str(value)
    unit = next(unit for unit in ("s", "ms", "us", "ns") if value % _UNITS[unit] == 0)
    return "0ms" if value == 0 else f"{value // _UNITS[unit]}{unit}"
