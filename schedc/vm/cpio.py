"""Archives in the kernel's initramfs format (cpio `newc`).

Input: a mapping of paths to entries. Output: bytes.
Invariant: the same entries give the same bytes: sorted paths, no times, no owners, no host inode
numbers. Every archive is padded to 512 bytes, so archives can be concatenated.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from schedc.records import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """A file (`data`), a directory, a symbolic link (`data` is its target) or a device."""

    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def file(data: bytes, *, executable: bool = False) -> Entry:
    return Entry(stat.S_IFREG | (0o755 if executable else 0o644), data)


def directory() -> Entry:
    return Entry(stat.S_IFDIR | 0o755)


def link(target: str) -> Entry:
    return Entry(stat.S_IFLNK | 0o777, target.encode())


def character_device(major: int, minor: int) -> Entry:
    return Entry(stat.S_IFCHR | 0o600, b"", (major, minor))


def folders(root: Path, parts: Iterable[str]) -> dict[str, Entry]:
    """What is below `root` at each of these paths, named from `root`; a path that isn't there adds
    nothing. Links stay links; what is no file, link or directory is left out."""
    found: dict[str, Entry] = {}
    for top in parts:
        waiting = [root / top] if os.path.lexists(root / top) else []
        while waiting:
            path = waiting.pop()
            name = str(path.relative_to(root))
            if path.is_symlink():
                found[name] = link(str(path.readlink()))
            elif path.is_dir():
                found[name] = directory()
                waiting += path.iterdir()
            elif path.is_file():
                found[name] = file(path.read_bytes(), executable=bool(path.stat().st_mode & 0o111))
    return found


def archive(entries: Mapping[str, Entry]) -> bytes:
    """The archive of these entries; the directories above them are added."""
    everything = dict(entries)
    for path in entries:
        if path.startswith("/") or ".." in path.split("/") or not path:
            raise ValueError(f"not a path below the root: {path!r}")
        parts = path.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            everything.setdefault("/".join(parts[:depth]), directory())
    out = bytearray()
    # Sorting puts every directory before what is in it, which the kernel's unpacker needs.
    for inode, path in enumerate(sorted(everything), 1):
        _append(out, inode, path, everything[path])
    _append(out, 0, "TRAILER!!!", Entry(0))
    out += bytes(-len(out) % 512)
    return bytes(out)


def _append(out: bytearray, inode: int, path: str, entry: Entry) -> None:
    name = path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    # magic, inode, mode, uid, gid, links, mtime, size, device, special device, name size, checksum
    fields = (inode, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, *entry.device, len(name), 0)
    out += b"070701" + b"".join(b"%08X" % field for field in fields)
    out += name
    out += bytes(-len(out) % 4)
    out += entry.data
    out += bytes(-len(out) % 4)
