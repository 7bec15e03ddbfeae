"""Giving up every capability of this process, for good.

Input: whatever the process holds. Output: nothing; the process and all that it starts hold no
capability from here on and can't get one, not even by running a set-user-id program. Invariant:
what could not be given up is an error, not a shrug.

Called after the connection to the loader is there: who connected is decided by then.
"""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path

_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT, _CLEAR_ALL = 47, 4
_CAPSET_VERSION = 0x20080522


class StillPrivileged(Exception):
    """The kernel didn't take the capabilities away."""


def drop_privileges() -> None:
    """Become the user that called `sudo`, if one did, and hold no capability."""
    if _capabilities() == 0 and os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(_last_capability() + 1):
        # Fails for one who may not (no CAP_SETPCAP); then no-new-privileges does it.
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    libc.prctl(_PR_CAP_AMBIENT, _CLEAR_ALL, 0, 0, 0)
    _become_caller()
    header = struct.pack("=Ii", _CAPSET_VERSION, 0)
    libc.capset(header, struct.pack("=6I", 0, 0, 0, 0, 0, 0))
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or _capabilities() != 0:
        raise StillPrivileged


def _become_caller() -> None:
    """From root to the user behind `sudo`; root that logged in stays root, without capabilities."""
    uid, gid = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    if os.geteuid() != 0 or not (uid.isdecimal() and gid.isdecimal()) or int(uid) == 0:
        return
    os.setgroups([int(gid)])
    os.setresgid(int(gid), int(gid), int(gid))
    os.setresuid(int(uid), int(uid), int(uid))


def _capabilities() -> int:
    """The effective and permitted capabilities, as bits."""
    found = 0
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").split("\n"):
        if line.startswith(("CapEff:", "CapPrm:")):
            found |= int(line.split()[1], 16)
    return found


def _last_capability() -> int:
    try:
        return int(Path("/proc/sys/kernel/cap_last_cap").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 63
