"""What this machine says of itself to anybody: pressure, context switches, cpus.

Input: files of /proc. Output: values, or None where a file isn't there or isn't of the known form.
Invariant: only reads; needs no rights.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

PSI = Path("/proc/pressure/cpu")
STAT = Path("/proc/stat")

_SOME = re.compile(r"^some avg10=(\d{1,3}\.\d{1,2}) ", re.MULTILINE)
_CTXT = re.compile(r"^ctxt (\d{1,20})$", re.MULTILINE)


def psi_some(path: Path | None = None) -> float | None:
    """Percent of the last 10 s in which some task waited for a cpu."""
    found = _SOME.search(_text(path or PSI))
    return float(found[1]) if found else None


def switches(path: Path | None = None) -> int | None:
    """Context switches of all cpus since the machine started."""
    found = _CTXT.search(_text(path or STAT))
    return int(found[1]) if found else None


def cpus() -> int:
    """Cpus that are online."""
    return os.sysconf("SC_NPROCESSORS_ONLN")


def _text(path: Path) -> str:
    """Empty if it can't be read: a kernel with PSI off has the file, and reading it fails."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
