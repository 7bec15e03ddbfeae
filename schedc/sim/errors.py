"""The one exception of the simulator's Python, and its codes.

Input: whatever went wrong outside a policy's decisions (no compiler, a full disk, a machine file
with a mistake) or in a run that gave no result. Output: a `SimError`, which carries everything
that a diagnostic shows. Invariant: every failure that a user can meet is raised as a SimError
that says a way out; any other exception that leaves `schedc.sim` is a bug.
"""

from __future__ import annotations

NO_COMPILER = "E0901"
BUILD_FAILED = "E0902"
REFUSED_C = "E0903"
STALLED = "E0904"
THROWN_OUT = "E0905"
CRASHED = "E0906"
ENDLESS = "E0907"
BAD_MACHINE = "E0908"
NO_RESULT = "E0909"


class SimError(Exception):
    """A failure that is ready to be shown as a diagnostic."""

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
