"""Numbers for people."""

from __future__ import annotations

from schedc.workload.quantity import show_time as time

__all__ = ["rate", "time"]


def rate(value: float) -> str:
    """A number a second; negative: unknown."""
    if value < 0:
        return "unknown"
    return f"{value:.0f}/s" if value >= 9.95 else f"{value:.1f}/s"
