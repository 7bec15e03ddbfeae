"""What an image with systemd has beyond one with Python: systemd, and targets to start.

Input: the unpacked tree of systemd's packages. Output: an archive's entries.
Invariant: none of Debian's own services: those of schedc are what a test starts. systemd is not the
guest's first process; a test runs it as that of a namespace (tests/vm/test_units.py).
"""

from __future__ import annotations

from pathlib import Path

from schedc.vm import cpio
from schedc.vm.elf import libraries
from schedc.vm.python_image import LIBRARIES

FORMAT = 1
OWN = f"{LIBRARIES}/systemd"
UNITS = "usr/lib/systemd/system"
PROGRAMS = (
    "usr/lib/systemd/systemd", "usr/lib/systemd/systemd-executor", "usr/bin/systemctl",
    "usr/bin/systemd-sysusers",
)  # fmt: skip


def contents(tree: Path) -> dict[str, cpio.Entry]:
    """Entries, without the directories above them that any image has."""
    programs = [tree / name for name in PROGRAMS]
    own = sorted((tree / OWN).glob("*.so"))
    entries = {"usr/lib/systemd": cpio.directory(), UNITS: cpio.directory(),
               OWN.rpartition("/")[0]: cpio.directory(), OWN: cpio.directory()}  # fmt: skip
    for path in (*programs, *own):
        entries[str(path.relative_to(tree))] = cpio.file(path.read_bytes(), executable=True)
    for kind in ("*.target", "*.slice"):
        for path in sorted((tree / UNITS).glob(kind)):
            name = str(path.relative_to(tree))
            entries[name] = (
                cpio.link(str(path.readlink())) if path.is_symlink()
                else cpio.file(path.read_bytes())
            )  # fmt: skip
    for name, path in libraries([*programs, *own], tree / LIBRARIES).items():
        entries[f"lib/x86_64-linux-gnu/{name}"] = cpio.file(path.read_bytes(), executable=True)
    return entries
