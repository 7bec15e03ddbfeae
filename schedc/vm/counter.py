"""How fast this host's time stamp counter runs; an emulated guest's clock is made of it.

A guest finds that out by itself when it boots, against an emulated timer, and on a busy host it can
be wrong by far: 230 MHz instead of 2445 was seen, and its clock went ten times too fast, in the
saved machine for good. So it is told.

Input: a store. Output: MHz. Invariant: one answer for each boot of the host, as saved machines
depend on it.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

from schedc.vm.store import Store

# rdtsc; shl $32, %rdx; or %rdx, %rax; ret
_READ = b"\x0f\x31\x48\xc1\xe2\x20\x48\x09\xd0\xc3"
_SPANS = 5
_SPAN_S = 0.01


def counter_mhz(store: Store) -> int | None:
    """Rounded to 5 MHz (the guest's kernel makes it exact); None where it can't be read."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        known = store.root / "probes" / f"counter-{boot}"
        if known.is_file():
            return int(known.read_text())
        found = _measured()
        if found is not None:
            store.directory("probes")
            temporary = known.with_suffix(f".{os.getpid()}")
            temporary.write_text(str(found))
            temporary.replace(known)
        return found
    except (OSError, ValueError):
        return None


def _measured() -> int | None:
    """The fastest of some spans: between the clock and the counter time may only be lost."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return None
    rights = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=rights)
    page.write(_READ)
    place = ctypes.addressof(ctypes.c_char.from_buffer(page))
    read = ctypes.CFUNCTYPE(ctypes.c_uint64)(place)
    mhz = 5 * round(max(_rate(read) for _ in range(_SPANS)) / 5)
    return mhz if 100 < mhz < 20_000 else None


def _rate(read: Callable[[], int]) -> float:
    """Ticks a microsecond, over one span."""
    begin, first = time.perf_counter_ns(), read()
    time.sleep(_SPAN_S)
    last, end = read(), time.perf_counter_ns()
    return (last - first) * 1000 / (end - begin)
