"""Numbers for people."""

from __future__ import annotations


def time(ns: float) -> str:
    """A time in the unit that fits."""
    for size, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "us")):
        if ns >= 0.9995 * size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns:.0f} ns"


def rate(value: float) -> str:
    """A number a second."""
    if value < 0:
        return "unknown"
    return f"{value:.0f}/s" if value >= 9.95 else f"{value:.1f}/s"
