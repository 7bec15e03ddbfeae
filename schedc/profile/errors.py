"""The one exception of profiling, and its codes.

Input: whatever went wrong (no such process, no rights, a damaged file). Output: a `ProfileError`
with all that a diagnostic shows. Invariant: every failure that a user can meet is one of these.
"""

from __future__ import annotations

NO_TARGET = "E1220"
NO_RIGHTS = "E1222"
NO_KERNEL_SUPPORT = "E1223"
DAMAGED = "E1224"
COLLECTOR_FAILED = "E1225"
NO_COMMAND = "E1226"
NOTHING_RAN = "E1227"
NO_BCC = "E1228"


class ProfileError(Exception):
    """A failure that is ready to be shown as a diagnostic."""

    def __init__(
        self, code: str, message: str, *, notes: tuple[str, ...] = (), help: str | None = None
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
