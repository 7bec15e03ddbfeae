"""Where the loader's socket and files are.

Input: the environment. Output: two folders. Invariant: a folder that somebody else could put files
into is not used: `SCHEDC_RUN_DIR` and `SCHEDC_STATE_DIR` count only if the folder belongs to the
effective user and nobody else may write there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from schedc.records import dataclass

RUN = Path("/run/schedc")
STATE = Path("/var/lib/schedc")


@dataclass(frozen=True, slots=True)
class Places:
    """`run`: socket and lock. `state`: history, quarantine, confirmed plans."""

    run: Path
    state: Path

    @property
    def socket(self) -> Path:
        return self.run / "loader.sock"

    @property
    def lock(self) -> Path:
        return self.run / "loader.lock"

    @property
    def history(self) -> Path:
        return self.state / "history.jsonl"

    @property
    def quarantine(self) -> Path:
        return self.state / "quarantine.json"

    @property
    def confirmed(self) -> Path:
        return self.state / "confirmed"


def places(environment: Mapping[str, str] | None = None) -> Places:
    """The folders of this process's user."""
    environment = os.environ if environment is None else environment
    return Places(
        _chosen(environment.get("SCHEDC_RUN_DIR"), RUN),
        _chosen(environment.get("SCHEDC_STATE_DIR"), STATE),
    )


def _chosen(wanted: str | None, default: Path) -> Path:
    if wanted and wanted.startswith("/") and is_private(Path(wanted)):
        return Path(wanted)
    return default


def is_private(folder: Path) -> bool:
    """A folder, no link, of the effective user, in which nobody else may write."""
    try:
        info = folder.lstat()
    except OSError:
        return False
    others = stat.S_IWGRP | stat.S_IWOTH
    return stat.S_ISDIR(info.st_mode) and info.st_uid == os.geteuid() and not info.st_mode & others
