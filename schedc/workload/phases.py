"""Phases and distributions of a workload file.

Input: an inline table such as `{ do = "run", time = "1ms" }`. Output: the phase, or None after a
diagnostic. Invariant: names in it are still unchecked; `check` looks them up when all are known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from schedc.workload.model import (
    Barrier,
    Count,
    Distribution,
    Empirical,
    Exit,
    Exponential,
    Fixed,
    Fork,
    Join,
    Lock,
    LogNormal,
    Mark,
    Number,
    Phase,
    Ref,
    Run,
    Sleep,
    Stamp,
    Uniform,
    Unlock,
    Wait,
    Wake,
    Yield,
)
from schedc.workload.table import Table, constant, near

_DISTRIBUTIONS = ("fixed", "uniform", "exponential", "lognormal", "empirical")


def number(table: Table, key: str, default: int | None) -> Number:
    """A constant, or `"$name"` for a parameter."""
    value = table.raw(key)
    if value is None:
        if default is None:
            table.missing(key, f'{key} = "1ms", or the name of a parameter: {key} = "$name"')
        return default or 0
    return _number(table, key, value)


def _number(table: Table, key: str, value: Any) -> Number:
    if isinstance(value, str) and value.startswith("$"):
        return Ref(value[1:])
    result = constant(value)
    if result is None:
        table.wrong(key, 'a number, a time such as "1500us", or "$name" for a parameter')
        return 0
    return result


def distribution(table: Table, key: str) -> Distribution:
    """A plain number, or an inline table with `dist` and its parameters."""
    value = table.raw(key)
    if not isinstance(value, dict):
        return Fixed(number(table, key, None))
    inner = Table(value, table.at(key), table.findings)
    kind = inner.choice("dist", _DISTRIBUTIONS, "fixed")
    result: Distribution
    match kind:
        case "uniform":
            result = Uniform(number(inner, "mean", None), number(inner, "spread", None))
        case "exponential":
            result = Exponential(number(inner, "mean", None))
        case "lognormal":
            result = LogNormal(number(inner, "median", None), number(inner, "sigma", None))
        case "empirical":
            result = _empirical(inner)
        case _:
            result = Fixed(number(inner, "value", None))
    inner.done()
    return result


def _empirical(table: Table) -> Empirical:
    values, weights = table.raw("values"), table.raw("weights")
    if not isinstance(values, list) or not values:
        table.wrong("values", "a list of numbers or times")
        return Empirical((0,), (1,))
    numbers = tuple(_number(table, "values", value) for value in values)
    if weights is None:
        return Empirical(numbers, (1,) * len(numbers))
    good = isinstance(weights, list) and len(weights) == len(numbers) and all(
        isinstance(one, int) and not isinstance(one, bool) and 0 < one <= 10**9 for one in weights
    )
    if not good:
        table.wrong("weights", "as many whole numbers above 0 as there are values")
        return Empirical(numbers, (1,) * len(numbers))
    return Empirical(numbers, tuple(weights))


def _wake(table: Table) -> Phase:
    stamp = table.choice("stamp", ("now", "schedule", "taken"), "now")
    everyone = table.raw("count") == "all"
    return Wake(
        table.text("on", example='"work"'),
        "all" if everyone else number(table, "count", 1),
        "schedule" if stamp == "schedule" else "taken" if stamp == "taken" else "now",
    )


PHASES: dict[str, Callable[[Table], Phase]] = {
    "run": lambda t: Run(distribution(t, "time")),
    "sleep": lambda t: Sleep(
        distribution(t, "time"), t.boolean("schedule", False), t.text("measure", ""),
        t.boolean("anew", False),
    ),
    "wait": lambda t: Wait(
        t.text("on", example='"work"'), number(t, "count", 1), t.text("measure", ""),
        t.text("lock", ""),
    ),
    "wake": _wake,
    "fork": lambda t: Fork(t.text("group", example='"child"'), number(t, "count", 1)),
    "join": lambda t: Join(),
    "exit": lambda t: Exit(),
    "barrier": lambda t: Barrier(t.text("name", example='"start"')),
    "lock": lambda t: Lock(t.text("name", example='"heap"')),
    "unlock": lambda t: Unlock(t.text("name", example='"heap"')),
    "mark": lambda t: Mark(t.text("measure", example='"request"'), number(t, "deadline", 0)),
    "count": lambda t: Count(t.text("what", "throughput")),
    "stamp": lambda t: Stamp(),
    "yield": lambda t: Yield(),
}


def read_phase(table: Table) -> Phase | None:
    """One phase; None if `do` says nothing known."""
    kind = table.text("do", example='do = "run"')
    make = PHASES.get(kind)
    if make is None:
        if table.has("do"):
            table.fail("E1204", f'no phase does "{kind[:40]}"', "do", help=near(kind, PHASES))
        return None
    phase = make(table)
    table.done()
    return phase
