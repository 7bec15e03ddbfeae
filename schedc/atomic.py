"""Replacing a file as a whole.

Invariant: a file is either the old one or the whole new one, whatever happens in between (a full
disk, a signal, a crash): it is written beside its place and renamed.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path


def write_atomically(path: Path, data: bytes, mode: int | None = None) -> None:
    """Replace `path` by `data` as a whole; without a `mode` that of an existing file is kept."""
    if path.exists() and not path.is_file():
        # A device or a pipe: there is nothing to rename over, and nothing to keep.
        with open(path, "wb") as file:
            file.write(data)
        return
    target = path.resolve()  # a link stays a link, and what it points to is replaced
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name[:40]}.", dir=target.parent)
    try:
        with open(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), _mode(target) if mode is None else mode)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _mode(path: Path) -> int:
    """The mode of the file that stands there, else what the umask leaves of rw-rw-rw-."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        umask = os.umask(0)
        os.umask(umask)
        return 0o666 & ~umask
