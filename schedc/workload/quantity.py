"""Times and numbers as people write them.

Input: text such as `1500us`. Output: whole nanoseconds. Invariant: the spelling is that of the
policy language: an integer with a unit, never a decimal.
"""

from __future__ import annotations

import re

UNITS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
MAX_TIME = 3600 * UNITS["s"]

_TIME = re.compile(r"([0-9]{1,18})(ns|us|ms|s)")
_PERCENT = re.compile(r"([0-9]{1,9})%")


def parse_time(text: str) -> int | None:
    """Nanoseconds, or None if the text isn't a time."""
    match = _TIME.fullmatch(text)
    return int(match[1]) * UNITS[match[2]] if match else None


def parse_percent(text: str) -> int | None:
    """The number before the per cent sign, or None."""
    match = _PERCENT.fullmatch(text)
    return int(match[1]) if match else None


def show_time(ns: float) -> str:
    """For people: three significant digits and the largest fitting unit."""
    for unit in ("s", "ms", "us"):
        if abs(ns) >= UNITS[unit]:
            return f"{ns / UNITS[unit]:.3g} {unit}" if abs(ns) < 999 * UNITS[unit] else (
                f"{ns / UNITS[unit]:.0f} {unit}"
            )
    return f"{ns:.0f} ns"


def write_time(ns: int) -> str:
    """As in a workload file: the largest unit that divides it."""
    for unit in ("s", "ms", "us"):
        if ns and ns % UNITS[unit] == 0:
            return f"{ns // UNITS[unit]}{unit}"
    return f"{ns}ns"
