"""What an image with Python has beyond the others: the interpreter, its library, a few programs.

Input: unpacked trees (base, tools, Python; bcc and a kernel's headers). Output: an archive's
entries.
Invariant: programs and libraries are chosen, not whole packages: all of it lies in the guest's
memory. There is an unprivileged user, `user`, in the group `schedc`.
"""

from __future__ import annotations

from pathlib import Path

from schedc.vm import cpio
from schedc.vm.elf import libraries

FORMAT = 4
LIBRARIES = "usr/lib/x86_64-linux-gnu"
PROGRAMS = (
    "usr/bin/python3.13", "usr/bin/setpriv", "usr/bin/unshare", "usr/bin/nsenter", "usr/bin/chrt",
    "usr/sbin/bpftool", "usr/sbin/capsh", "usr/sbin/getcap", "usr/sbin/getpcaps",
    "usr/sbin/setcap",
)  # fmt: skip
# Opened by name at run time, so no program's headers tell of them.
LOADED = ("libbpf.so.1", "libbcc.so.0", "librt.so.1", "libdl.so.2", "libpthread.so.0")
USERS = b"""\
root:x:0:0:root:/root:/bin/sh
user:x:1000:1000:user:/tmp:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/bin/sh
"""
GROUPS = b"root:x:0:\nschedc:x:990:user\nuser:x:1000:\nnogroup:x:65534:\n"


def contents(trees: list[Path], release: str) -> dict[str, cpio.Entry]:
    """Entries of the trees that have some of it; later trees win."""
    entries = {"etc/passwd": cpio.file(USERS), "etc/group": cpio.file(GROUPS)}
    entries["var/lib"] = cpio.directory()
    for tree in trees:
        entries |= _programs(tree)
        entries |= cpio.folders(tree, (f"usr/lib/{p.name}" for p in _pythons(tree)))
        entries |= _headers(tree, release)
    entries |= _libraries(trees)
    return entries


def _pythons(tree: Path) -> list[Path]:
    """usr/lib/python3 and usr/lib/python3.13, as far as they are there."""
    return sorted((tree / "usr/lib").glob("python3*"))


def _programs(tree: Path) -> dict[str, cpio.Entry]:
    found: dict[str, cpio.Entry] = {}
    for name in PROGRAMS:
        if (tree / name).is_file():
            found[name] = cpio.file((tree / name).read_bytes(), executable=True)
    if "usr/bin/python3.13" in found:
        found["usr/bin/python3"] = cpio.link("python3.13")
    return found


def _libraries(trees: list[Path]) -> dict[str, cpio.Entry]:
    entries: dict[str, cpio.Entry] = {}
    for tree in trees:
        folder = tree / LIBRARIES
        wanted = [tree / name for name in PROGRAMS if (tree / name).is_file()]
        wanted += [path for top in _pythons(tree) for path in top.rglob("*.so")]
        opened = [folder / name for name in LOADED if (folder / name).exists()]
        found = libraries([*wanted, *opened], folder) | {p.name: p for p in opened}
        for name, path in found.items():
            entries[f"lib/x86_64-linux-gnu/{name}"] = cpio.file(path.read_bytes(), executable=True)
    return entries


def _headers(tree: Path, release: str) -> dict[str, cpio.Entry]:
    """Headers of the kernel where its compilers look for them."""
    own = f"usr/src/linux-headers-{release}"
    if not (tree / own).is_dir():
        return {}
    found: dict[str, cpio.Entry] = {}
    for top in sorted((tree / "usr/src").iterdir()):
        place = f"usr/src/{top.name}"
        found |= cpio.folders(tree, (f"{place}/include", f"{place}/arch/x86/include"))
        if place != own:
            found[f"lib/modules/{release}/source"] = cpio.link(f"/{place}")
    found[f"lib/modules/{release}/build"] = cpio.link(f"/{own}")
    return found
