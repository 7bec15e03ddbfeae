"""`--set tune=value`: what a user writes, against the tunables of a policy.

Values are written as in the language (`2ms`, `30%`, `7`, `true`). Output: numbers in the units of
the typed policy (nanoseconds, percent). What doesn't fit is a usage error that says what would.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

import click

from schedc.cli.suggest import did_you_mean
from schedc.diagnostics.render.visible import visible
from schedc.ir.nodes import Kind, Policy, Tune

_UNITS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_TIMES = (Kind.TIME, Kind.LAG, Kind.MOMENT)


def settings(policy: Policy, items: Iterable[str]) -> dict[str, int]:
    """The value of each tunable that is set; `tune.short=2ms` is the same as `short=2ms`."""
    values: dict[str, int] = {}
    for item in items:
        name, equals, text = item.partition("=")
        name = name.strip().removeprefix("tune.")
        if not equals:
            raise _wrong(item, "write NAME=VALUE, such as slice=5ms")
        tune = next((one for one in policy.tunes if one.name == name), None)
        if tune is None:
            known = [one.name for one in policy.tunes]
            near = did_you_mean(name, known) if known else "the policy has no tunables"
            raise _wrong(item, f"no tunable `{visible(name)}`; {near}")
        values[name] = _value(tune, item, text.strip())
    return values


def apply_settings(policy: Policy, items: Iterable[str]) -> Policy:
    """The policy with other defaults for its tunables; their ranges stay."""
    values = settings(policy, items)
    tunes = tuple(replace(one, value=values.get(one.name, one.value)) for one in policy.tunes)
    return replace(policy, tunes=tunes)


def parse_time(text: str) -> int | None:
    """A time of the language, such as `4ms`, in ns; None if it is no time."""
    return _parse(Kind.TIME, text)


def show_range(tune: Tune, low: int, high: int) -> str:
    """`4ms..20ms`, or one value."""
    ends = [_show(tune.type.kind, end) for end in (low, high)]
    return ends[0] if low == high else "..".join(ends)


def _value(tune: Tune, item: str, text: str) -> int:
    number = _parse(tune.type.kind, text)
    low, high = _show(tune.type.kind, tune.low), _show(tune.type.kind, tune.high)
    if number is None:
        raise _wrong(item, f"`{visible(text)}` is no {tune.type.kind.value}; "
                           f"write a value in {low}..{high}")
    if not tune.low <= number <= tune.high:
        raise _wrong(item, f"`{visible(text)}` is outside the range {low}..{high}")
    return number


def _parse(kind: Kind, text: str) -> int | None:
    """A literal of the language as a number of the typed policy."""
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


def _show(kind: Kind, value: int) -> str:
    """A number of the typed policy as a literal, in the largest unit that is exact."""
    if kind is Kind.BOOL:
        return "true" if value else "false"
    if kind is Kind.RATIO:
        return f"{value}%"
    if kind not in _TIMES:
        return str(value)
    unit = next(unit for unit in ("s", "ms", "us", "ns") if value % _UNITS[unit] == 0)
    return "0ms" if value == 0 else f"{value // _UNITS[unit]}{unit}"


def _wrong(item: str, why: str) -> click.UsageError:
    return click.UsageError(f"--set {visible(item)}: {why}", click.get_current_context(silent=True))
