"""The two unpacked package trees: the guest's programs, and QEMU where the system's is too old.

Input: a store. Output: directories that look like a Debian root (usr/bin, usr/lib, …).
Invariant: a tree is complete or absent (see `Store.entry`), and none is fetched twice.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from schedc.records import dataclass
from schedc.vm.apt import Apt
from schedc.vm.store import Progress, Store, silent


@dataclass(frozen=True, slots=True)
class PackageSet:
    """Packages that are fetched together. `alone`: fetched without what they depend on."""

    name: str
    packages: tuple[str, ...]
    alone: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        text = json.dumps([self.packages, self.alone])
        return f"{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


# The loader is linked against libbpf's library; of the -dev package only the headers matter.
BASE = PackageSet("base", ("busybox-static", "libbpf1"), ("libbpf-dev", "linux-libc-dev"))
TOOLS = PackageSet("tools", ("rt-tests", "stress-ng", "sysbench"))
QEMU = PackageSet("qemu", ("qemu-system-x86",))


def tree(store: Store, wanted: PackageSet, progress: Progress = silent) -> Path:
    """The root of an unpacked set, fetched if it isn't cached."""

    def build(into: Path) -> None:
        apt = Apt(store)
        root = into / "root"
        root.mkdir()
        files = apt.unpack(wanted.packages, root, progress, label=wanted.name)
        for name in wanted.alone:
            files += apt.unpack([name], root, progress, depends=False, label=name)
        slim(root)
        (into / "packages.json").write_text(json.dumps(sorted(files), indent=1) + "\n")

    return store.entry("packages", wanted.key, build, progress) / "root"


def cached(store: Store, wanted: PackageSet) -> bool:
    return (store.root / "packages" / wanted.key).is_dir()


def slim(root: Path) -> None:
    """Drop what no guest and no QEMU reads: documents, translations, drivers for real GPUs."""
    import shutil

    for part in ("doc", "man", "locale", "info", "lintian", "bug", "icons", "perl", "python3"):
        shutil.rmtree(root / "usr/share" / part, ignore_errors=True)
    for pattern in ("libLLVM*", "libgallium*", "libz3*", "dri", "python3*", "perl*"):
        for path in (root / "usr/lib").rglob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
