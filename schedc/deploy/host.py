"""What this machine says of itself: pressure, switches, the scheduler that runs, what is lacking.

Input: files of /proc and /sys. Output: values, or None where a file isn't there or isn't of the
known form. Invariant: only reads; needs no rights.
"""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

from schedc.records import dataclass

SCHED_EXT = Path("/sys/kernel/sched_ext")
PSI = Path("/proc/pressure/cpu")
STAT = Path("/proc/stat")
BTF = Path("/sys/kernel/btf/vmlinux")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

_SOME = re.compile(r"^some avg10=(\d{1,3}\.\d{1,2}) ", re.MULTILINE)
_CTXT = re.compile(r"^ctxt (\d{1,20})$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Running:
    """What the kernel says of its scheduler. `ops`: empty if it is the kernel's own."""

    release: str
    boot_id: str
    state: str
    ops: str
    enable_seq: int


def running() -> Running | None:
    """What runs now; None if the kernel has no sched_ext."""
    state = _text(SCHED_EXT / "state")
    if state is None:
        return None
    sequence = _text(SCHED_EXT / "enable_seq") or ""
    return Running(
        platform.release(), _text(BOOT_ID) or "", state, _text(SCHED_EXT / "root" / "ops") or "",
        int(sequence) if sequence.isdigit() else 0,
    )  # fmt: skip


def psi_some(path: Path = PSI) -> float | None:
    """Percent of the last 10 s in which some task waited for a cpu."""
    found = _SOME.search(_text(path) or "")
    return float(found[1]) if found else None


def switches(path: Path = STAT) -> int | None:
    """Context switches of all cpus since the machine started."""
    found = _CTXT.search((_text(path) or "") + "\n")
    return int(found[1]) if found else None


def cpus() -> int:
    """Cpus that are online."""
    return os.sysconf("SC_NPROCESSORS_ONLN")


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
