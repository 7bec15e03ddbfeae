"""What a server was started with: its folders, what it may do, its limits.

Values only. Invariant: a client can change none of it, and every folder that is written to is here.
"""

from __future__ import annotations

import os
from pathlib import Path

from schedc.mcp.refusal import CANT_START, refuse
from schedc.records import dataclass

CALLS = 4
"""Calls at once."""


@dataclass(frozen=True, slots=True)
class Setup:
    """`scratch`: written freely and removed at the end. `plans`: drafts. `profiles`: read only.
    `apply`: where a person puts plans that may be applied, None if none may. `most_s`: no call
    takes longer."""

    scratch: Path
    plans: Path
    profiles: Path
    apply: Path | None = None
    vm: bool = False
    calls: int = CALLS
    most_s: float = 600.0


def data_folder() -> Path:
    """The user's data folder of schedc, after the XDG specification."""
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser().absolute() / "schedc"


def prepared(setup: Setup) -> Setup:
    """The setup, if its folders can hold what they promise; raises `Refused` (E1240)."""
    folder = setup.apply
    if folder is None:
        return setup
    for own in (setup.plans, setup.scratch):
        if folder.resolve().is_relative_to(own.resolve()):
            raise refuse(
                CANT_START, "the folder of plans that may be applied is one that the server writes",
                "a draft of an agent's would then be a plan that may be applied",
                help="name a folder of its own with --allow-apply",
            )
    found = folder.stat()
    if found.st_uid not in (0, os.geteuid()) or found.st_mode & 0o022:
        raise refuse(
            CANT_START, "others than you can write to the folder of plans that may be applied",
            help="chmod go-w DIR; it must be yours or root's",
        )
    return setup
