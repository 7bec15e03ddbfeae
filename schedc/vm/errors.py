"""The one exception of the virtual machine's code, and its codes.

Input: whatever went wrong outside a policy (no network, no QEMU, a full disk, a guest that died).
Output: a `VmError`, which carries everything that a diagnostic shows: code, message, notes, help.
Invariant: every failure that a user can meet is raised as a VmError that says a way out; any other
exception that leaves `schedc.vm` is a bug.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schedc.shown import ShownError

CANNOT_LOAD = "E0802"
STALLED = "E0803"
EJECTED = "E0804"
NOT_RESTORED = "E0805"
NO_QEMU = "E0810"
NO_SUCH_KERNEL = "E0811"
FETCH_FAILED = "E0812"
DISK = "E0813"
NO_SCHED_EXT = "E0814"
NO_APT = "E0815"
NO_GUEST_COMPILER = "E0816"
BOOT_FAILED = "E0820"
TIMED_OUT = "E0821"
BAD_RESULT = "E0822"
GUEST_DIED = "E0823"
EMULATION_FAILED = "E0824"


class VmError(ShownError):
    """A failure of the machine or of what it is made from, ready to be shown as a diagnostic."""


@contextmanager
def disk_errors(where: Path) -> Iterator[None]:
    """Turn what a file system refuses (full, read-only, no rights) into one diagnostic."""
    try:
        yield
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            raise VmError(
                DISK,
                f"no space left while writing under {where}",
                help="free some space, or point XDG_CACHE_HOME at a larger disk",
            ) from e
        if e.errno in (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST):
            raise VmError(
                DISK,
                f"cannot write under {where}: {e.strerror}",
                help="make it writable, or point XDG_CACHE_HOME at a directory of yours",
            ) from e
        raise
