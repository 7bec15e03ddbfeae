"""Which shared libraries a program needs.

Input: an ELF file's bytes. Output: the names in its dynamic section, and its interpreter.
Invariant: reads headers only; what isn't a 64-bit little-endian ELF needs nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

PT_LOAD, PT_DYNAMIC = 1, 2
DT_NEEDED, DT_STRTAB = 1, 5


def needed(data: bytes) -> tuple[str, ...]:
    """The DT_NEEDED names of an ELF file."""
    if data[:6] != b"\x7fELF\x02\x01":
        return ()
    (offset,) = struct.unpack_from("<Q", data, 0x20)
    size, count = struct.unpack_from("<HH", data, 0x36)
    headers = [struct.unpack_from("<IIQQQQQQ", data, offset + i * size) for i in range(count)]
    loads = [(h[3], h[2], h[5]) for h in headers if h[0] == PT_LOAD]
    entries: list[tuple[int, int]] = []
    for kind, _, start, _, _, length, _, _ in headers:
        if kind == PT_DYNAMIC:
            entries += struct.iter_unpack("<qQ", data[start : start + length - length % 16])
    strings = next((_offset(loads, value) for tag, value in entries if tag == DT_STRTAB), None)
    if strings is None:
        return ()
    starts = [strings + value for tag, value in entries if tag == DT_NEEDED]
    return tuple(data[start:].split(b"\0", 1)[0].decode() for start in starts)


def _offset(loads: list[tuple[int, int, int]], address: int) -> int | None:
    for start, offset, size in loads:
        if start <= address < start + size:
            return address - start + offset
    return None


def libraries(programs: Iterable[Path], folder: Path) -> dict[str, Path]:
    """All libraries that the programs need, directly or not, as they lie in `folder`.

    A name that isn't there is left out: the guest's dynamic linker will say so.
    """
    found: dict[str, Path] = {}
    waiting = [name for path in programs for name in needed(path.read_bytes())]
    while waiting:
        name = waiting.pop()
        path = folder / name
        if name in found or not path.exists():
            continue
        found[name] = path
        waiting += needed(path.read_bytes())
    return found
