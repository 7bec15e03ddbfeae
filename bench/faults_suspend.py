"""Suspends a guest to idle, and has it wake again.

What wakes a guest of QEMU's is hard to find: its clock's alarm raises no ACPI event while the
machine runs (which it does, suspended to idle), its power button has no driver in Debian's cloud
kernel, nobody types. But ACPI's timer overflows every 2.3 s, and can be let interrupt: by a bit in
a register that is written here directly. The kernel has no handler for that, says so when it wakes,
and takes the bit back.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HALF = 1 << 23
"""The timer interrupts when its highest bit, of 24, changes."""
HZ = 3_579_545
SOONEST_S = 1.5
"""Suspending takes some tenths of a second: woken before it sleeps, it would never wake."""
TIMER_ENABLED = 1
# mov edx, edi; in eax, dx; ret. With 66: of 16 bits.
_IN_LONG, _IN_SHORT = bytes.fromhex("89faedc3"), bytes.fromhex("31c089fa66edc3")
# mov edx, edi; mov eax, esi; out dx, ax; ret
_OUT_SHORT = bytes.fromhex("89fa89f066efc3")


def suspend_to_idle() -> None:
    """Returns when the machine is awake again, some two seconds later. OSError if it was refused;
    RuntimeError if it never slept."""
    count = Path("/sys/power/suspend_stats/success")
    before = int(count.read_text())
    event, timer = _ports("PM1a_EVT_BLK"), _ports("PM_TMR")
    enable = event.start + len(event) // 2
    libc = ctypes.CDLL(None, use_errno=True)
    for one in (event, timer):
        if libc.ioperm(one.start, len(one), 1):
            raise OSError(ctypes.get_errno(), "the machine's ports can't be reached")
    read_long = _function(_IN_LONG, ctypes.c_uint32, ctypes.c_uint16)
    read, write = (_function(_IN_SHORT, ctypes.c_uint16, ctypes.c_uint16),
                   _function(_OUT_SHORT, None, ctypes.c_uint16, ctypes.c_uint16))  # fmt: skip
    while (HALF - read_long(timer.start) % HALF) / HZ < SOONEST_S:
        time.sleep(0.05)
    write(event.start, TIMER_ENABLED)  # what overflowed before is over
    write(enable, read(enable) | TIMER_ENABLED)
    state = os.open("/sys/power/state", os.O_WRONLY)
    try:
        os.write(state, b"freeze")
    finally:
        os.close(state)
    if int(count.read_text()) == before:
        raise RuntimeError("the machine did not suspend")


def _ports(name: str) -> range:
    """The ports that the kernel lists as ACPI's of this name."""
    found = re.search(rf"([0-9a-f]+)-([0-9a-f]+) : ACPI {name}$",
                      Path("/proc/ioports").read_text(), re.MULTILINE)  # fmt: skip
    if found is None:
        raise RuntimeError(f"this machine has no ACPI {name}")
    return range(int(found[1], 16), int(found[2], 16) + 1)


def _function(code: bytes, *types: Any) -> Callable[..., int]:
    """Machine code as a function: its result's type, its arguments'."""
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    made: Callable[..., int] = ctypes.CFUNCTYPE(*types)(
        ctypes.addressof(ctypes.c_char.from_buffer(page))
    )
    _kept.append(page)
    return made


_kept: list[mmap.mmap] = []
"""Pages that functions stand in."""
