"""`--set tune=value`: what a user writes, against the tunables of a policy.

Values are written as in the language (`2ms`, `30%`, `7`, `true`). Output: numbers in the units of
the typed policy (nanoseconds, percent). What doesn't fit is a usage error that says what would.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import click

from schedc.cli.suggest import did_you_mean
from schedc.diagnostics.render.visible import visible
from schedc.ir.literal import literal_of, parse
from schedc.ir.nodes import Kind, Policy, Tune


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
    return parse(Kind.TIME, text)


def show_range(tune: Tune, low: int, high: int) -> str:
    """`4ms..20ms`, or one value."""
    ends = [literal_of(tune.type.kind, end) for end in (low, high)]
    return ends[0] if low == high else "..".join(ends)


def _value(tune: Tune, item: str, text: str) -> int:
    number = parse(tune.type.kind, text)
    low, high = literal_of(tune.type.kind, tune.low), literal_of(tune.type.kind, tune.high)
    if number is None:
        raise _wrong(item, f"`{visible(text)}` is no {tune.type.kind.value}; "
                           f"write a value in {low}..{high}")
    if not tune.low <= number <= tune.high:
        raise _wrong(item, f"`{visible(text)}` is outside the range {low}..{high}")
    return number


def _wrong(item: str, why: str) -> click.UsageError:
    return click.UsageError(f"--set {visible(item)}: {why}", click.get_current_context(silent=True))
