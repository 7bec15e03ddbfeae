"""What the kernel says of the whole machine: `/proc/stat` and `/proc/pressure/cpu`.

Input: two looks at them. Output: busy cpus, switches a second, pressure. Invariant: what can't be
read is -1, never 0.
"""

from __future__ import annotations

import os
import platform
import re
import time
from pathlib import Path

from schedc.profile.model import Histogram, Machine
from schedc.records import dataclass

PROC = Path("/proc")
_TOTAL = re.compile(r"^(some|full) .*\btotal=(\d+)", re.MULTILINE)
_IDLE = (3, 4)
"""Columns of `cpu` in /proc/stat: idle, and idle while a disk works."""
_GUEST = 8
"""From here on: time of guests, which is in `user` already."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Moments are seconds; `idle` and `all` are cpu ticks, pressure microseconds, -1 unknown."""

    at: float
    idle: int
    all: int
    switches: int
    some: int
    full: int


def moment(proc: Path = PROC) -> Moment:
    """The machine's counters now."""
    ticks, switches = [0] * 5, -1
    for line in read(proc / "stat").splitlines():
        word, *rest = line.split()
        if word == "cpu":
            ticks = [int(one) for one in rest[:_GUEST] if one.isdigit()]
        elif word == "ctxt" and rest:
            switches = int(rest[0])
    pressure = {name: int(total) for name, total in _TOTAL.findall(read(proc / "pressure/cpu"))}
    return Moment(
        time.monotonic(), sum(ticks[at] for at in _IDLE if at < len(ticks)), sum(ticks), switches,
        pressure.get("some", -1), pressure.get("full", -1),
    )  # fmt: skip


def machine(old: Moment, new: Moment, migrations_s: float, runq: Histogram) -> Machine:
    """What happened between two looks. Migrations and `runq` are the collector's."""
    seconds = max(new.at - old.at, 1e-6)
    ticks = max(new.all - old.all, 1)
    busy = cpus() * (1 - (new.idle - old.idle) / ticks)
    switches = -1.0 if old.switches < 0 else (new.switches - old.switches) / seconds
    return Machine(
        max(busy, 0.0), _share(old.some, new.some, seconds), _share(old.full, new.full, seconds),
        switches, migrations_s, runq,
    )  # fmt: skip


def _share(old: int, new: int, seconds: float) -> float:
    return -1.0 if old < 0 or new < 0 else min(max((new - old) / 1e6 / seconds, 0.0), 1.0)


def cpus() -> int:
    return os.cpu_count() or 1


def kernel() -> str:
    """The running kernel's release, as far as it is plain text."""
    return re.sub(r"[^A-Za-z0-9_.+~-]", "?", platform.release())[:64]


def read(path: Path) -> str:
    """A file's text; empty if it can't be read: tasks end while they are looked at."""
    try:
        return path.read_text(encoding="latin-1")
    except OSError:
        return ""
