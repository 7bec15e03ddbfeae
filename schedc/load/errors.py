"""What can go wrong while loading, and its codes.

Input: whatever the kernel, libbpf, a plan or a request did. Output: a `LoadError` with all that a
diagnostic shows. Invariant: every failure that a person can meet is one of these; it goes through
the socket as JSON and comes out as the same error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

REFUSED = "E0801"
CANNOT_LOAD = "E0802"
NO_LOADER = "E0830"
NO_KERNEL = "E0831"
NO_RIGHTS = "E0832"
OTHER_SCHEDULER = "E0833"
NO_LIBBPF = "E0834"
BAD_PLAN = "E0835"
BAD_CERTIFICATE = "E0836"
UNPROVEN = "E0837"
EXPIRED = "E0838"
OTHER_KERNEL = "E0839"
STALE = "E0840"
QUARANTINED = "E0841"
BAD_SETTING = "E0842"
NOT_ENABLED = "E0843"
BAD_REQUEST = "E0844"
NOT_ALLOWED = "E0845"
TWO_LOADERS = "E0846"
NO_STATE = "E0847"
NOT_NOW = "E0848"
LOADER_FAILED = "E0849"

_MAX_TEXT = 2000


class LoadError(Exception):
    """A failure, ready to be shown as a diagnostic."""

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

    def as_json(self) -> dict[str, Any]:
        """The reply that says so."""
        return {
            "ok": False, "code": self.code, "message": self.message, "help": self.help,
            "notes": list(self.notes),
        }  # fmt: skip


def error_of(reply: Mapping[str, Any]) -> LoadError:
    """The error in a reply; a reply of another form is an error too."""
    code, message = reply.get("code"), reply.get("message")
    notes, help_ = reply.get("notes", []), reply.get("help")
    if not isinstance(code, str) or not isinstance(message, str) or not isinstance(notes, list):
        return LoadError(LOADER_FAILED, "the loader's answer can't be read")
    return LoadError(
        code[:8], message[:_MAX_TEXT], notes=tuple(str(n)[:_MAX_TEXT] for n in notes[:32]),
        help=help_[:_MAX_TEXT] if isinstance(help_, str) else None,
    )  # fmt: skip
