"""An exception that is ready to be shown: the shape that the simulator's and the machine's share.

Input: what went wrong, with its code. Output: an exception that carries all that a diagnostic
shows. Invariant: no code of its own: each part of schedc that fails in its own way has a class of
its own, with its codes beside it.
"""

from __future__ import annotations


class ShownError(Exception):
    """`code`: E…, registered. `notes`: what was seen; `help`: a way out, as a command if it can."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        notes: tuple[str, ...] = (),
        help: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.notes = notes
        self.help = help

    def __str__(self) -> str:
        parts = [f"{self.code}: {self.message}", *self.notes]
        if self.help:
            parts.append(f"help: {self.help}")
        return "\n".join(parts)
