"""Changes of a policy's structure."""

from __future__ import annotations

from collections.abc import Iterator

from schedc.synth.goal import Goal


def moves(text: str, goal: Goal) -> Iterator[tuple[str, str]]:
    """Changed texts, each with what was done."""
    yield from ()
