"""Small pieces of text for people: times, lists. Pure."""

from __future__ import annotations

from collections.abc import Iterable

_UNITS = ((3_600_000_000_000, "h"), (1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us"))


def duration(ns: int) -> str:
    """A time in a unit that leaves one to four digits: `24 ms`, `1.56 s`, `3 h`."""
    sign = "-" if ns < 0 else ""
    for size, unit in _UNITS:
        if abs(ns) >= size:
            return f"{sign}{abs(ns) / size:.4g} {unit}"
    return f"{sign}{abs(ns)} ns" if ns else "0"


def milliseconds(ns: int) -> str:
    """A time in ms, for a column: `24`, `0.01`, `30024`."""
    return f"{ns / 1e6:.6g}"


def offset(ns: int) -> str:
    """A signed time."""
    return f"+{duration(ns)}" if ns > 0 else duration(ns)


def listed(names: Iterable[str], most: int = 4) -> str:
    """`a`, `a and b`, `a, b and 7 more`."""
    several = [f"`{name}`" for name in dict.fromkeys(name.rstrip("'") for name in names)]
    if len(several) > most:
        several = [*several[: most - 1], f"{len(several) - most + 1} more"]
    if len(several) < 2:
        return "".join(several)
    return f"{', '.join(several[:-1])} and {several[-1]}"


def plural(count: int, word: str) -> str:
    """`1 task`, `3 tasks`."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
