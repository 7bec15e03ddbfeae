"""A plan's settings and this machine's topology, written into an object before it is loaded.

Input: an opened object, settings. Output: the constants set; which groups and files weren't found.
Invariant: the same as in the virtual machine's loader (backends/vm/guest/loader/settings.c): a
group or file that isn't there leaves zeros, which match nothing, and is reported.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterable
from pathlib import Path

from schedc.load.errors import BAD_SETTING, LoadError
from schedc.load.libbpf import Constants
from schedc.load.settings import Number, Reference, Setting

CGROUPS = Path("/sys/fs/cgroup")
CPUS = Path("/sys/devices/system/cpu")
MAX_CPUS = 512
_CGROUP = struct.Struct("<QII")  # id, level
_EXE = struct.Struct("<QII")  # inode, device


def apply(constants: Constants, settings: Iterable[Setting], cpus: int) -> tuple[str, ...]:
    """Set everything; returns what was not found."""
    set_topology(constants, cpus)
    unresolved = []
    for one in settings:
        match one:
            case Number(name, value):
                constants.set(name, value)
            case Reference("cgroup", index, path):
                unresolved += _put(constants, "cgroup_refs", index, _cgroup(path), one)
            case Reference(_, index, path):
                unresolved += _put(constants, "exe_refs", index, _exe(path), one)
    return tuple(unresolved)


def _put(
    constants: Constants, table: str, index: int, data: bytes | None, one: Reference
) -> list[str]:
    size = _CGROUP.size
    if not constants.write(table, index * size, data or bytes(size)):
        raise LoadError(BAD_SETTING, f"the object has no {table}[{index}]")
    return [] if data else [f"{one.kind} {one.path}"]


def _cgroup(path: str) -> bytes | None:
    try:
        info = (CGROUPS / path.lstrip("/")).lstat()
    except OSError:
        return None
    if not stat.S_ISDIR(info.st_mode):
        return None
    level = sum(1 for part in path.split("/") if part)
    return _CGROUP.pack(info.st_ino, level, 0)  # on 64 bit a cgroup's inode number is its id


def _exe(path: str) -> bytes | None:
    try:
        info = Path(path).stat()
    except OSError:
        return None
    device = os.major(info.st_dev) << 20 | os.minor(info.st_dev)  # the kernel's own MKDEV
    return _EXE.pack(info.st_ino, device, 0)


# --- topology


def set_topology(constants: Constants, cpus: int, root: Path = CPUS) -> None:
    """Which cpus share a cache and a node, and which are the fast ones."""
    numbers = range(min(cpus, MAX_CPUS))
    llcs, nodes = _Dense(), _Dense()
    speeds = [_speed(root, cpu) for cpu in numbers]
    fastest = max(speeds, default=0)
    for cpu in numbers:
        llc, node = llcs.of(_llc(root, cpu)), nodes.of(_node(root, cpu))
        constants.write("cpu_llc", 2 * cpu, llc.to_bytes(2, "little"))
        constants.write("cpu_node", 2 * cpu, node.to_bytes(2, "little"))
        # Within a tenth of the fastest is fast: cores of one kind differ a little in turbo.
        fast = fastest <= 0 or speeds[cpu] * 10 >= fastest * 9
        constants.write("cpu_fast", cpu, bytes([fast]))
    for name, count in (("nr_llcs", len(llcs)), ("nr_nodes", len(nodes))):
        if name in constants:
            constants.set(name, count)


class _Dense:
    """Numbers arbitrary ids 0, 1, 2… in order of appearance."""

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._seen)

    def of(self, id_: int) -> int:
        return self._seen.setdefault(id_, len(self._seen))


def _llc(root: Path, cpu: int) -> int:
    """The first cpu that shares the highest level of cache; the package's id where the machine
    tells no caches. (The cache's own `id` won't do: emulated machines give each cpu its own.)"""
    found, best = -1, -1
    for index in range(8):
        folder = root / f"cpu{cpu}/cache/index{index}"
        level, first = _number(folder / "level"), _number(folder / "shared_cpu_list")
        if level > best and level >= 3 and first >= 0:
            found, best = first, level
    if found >= 0:
        return found
    return max(_number(root / f"cpu{cpu}/topology/physical_package_id"), 0)


def _node(root: Path, cpu: int) -> int:
    found = [int(path.name[4:]) for path in (root / f"cpu{cpu}").glob("node*")
             if path.name[4:].isdigit()]  # fmt: skip
    return min(found, default=0)


def _speed(root: Path, cpu: int) -> int:
    capacity = _number(root / f"cpu{cpu}/cpu_capacity")
    return capacity if capacity > 0 else _number(root / f"cpu{cpu}/cpufreq/cpuinfo_max_freq")


def _number(path: Path) -> int:
    """The number that a file begins with; -1 if it begins with none."""
    try:
        text = path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return -1
    digits = ""
    for character in text[:20]:
        if not character.isdigit():
            break
        digits += character
    return int(digits) if digits else -1
