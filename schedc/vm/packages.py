"""The unpacked package trees: the guest's programs, and QEMU where the system's is too old.

Input: a store. Output: directories that look like a Debian root (usr/bin, usr/lib, …).
Invariant: a tree is complete or absent (see `Store.entry`), and none is fetched twice.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

from schedc.records import dataclass
from schedc.vm import interpreter
from schedc.vm.apt import Apt
from schedc.vm.store import Progress, Store, silent


@dataclass(frozen=True, slots=True)
class PackageSet:
    """Packages that are fetched together. `alone`: fetched without what they depend on.

    keeps: patterns of `DROPPED` that this set needs.
    """

    name: str
    packages: tuple[str, ...]
    alone: tuple[str, ...] = ()
    keeps: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        text = json.dumps([self.packages, self.alone])
        return f"{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


# The loader is linked against libbpf's library; of the -dev package only the headers matter.
BASE = PackageSet("base", ("busybox-static", "libbpf1"), ("libbpf-dev", "linux-libc-dev"))
TOOLS = PackageSet("tools", ("rt-tests", "stress-ng", "sysbench"))
QEMU = PackageSet("qemu", ("qemu-system-x86",))
# util-linux is wanted for setpriv and a few like it; what all of it depends on is a third more.
PYTHON = PackageSet(
    "python",
    ("python3", "python3-click", "python3-rich", "python3-lark", "python3-jinja2", "bpftool",
     "libcap2-bin"),
    ("util-linux", "libcap-ng0"),
    keeps=("python3*",),
)  # fmt: skip
SYSTEMD = PackageSet("systemd", ("systemd",))
BCC = PackageSet("bcc", ("python3-bpfcc",), keeps=("python3*", "libLLVM*", "libz3*"))


def headers(release: str) -> PackageSet:
    """The headers of a kernel: Debian has them as long as it has the kernel."""
    common = release.replace("-cloud-amd64", "-common").replace("-amd64", "-common")
    return PackageSet(
        f"headers-{release}", (), (f"linux-headers-{release}", f"linux-headers-{common}")
    )


def tree(store: Store, wanted: PackageSet, progress: Progress = silent) -> Path:
    """The root of an unpacked set, fetched if it isn't cached."""

    def build(into: Path) -> None:
        apt = Apt(store)
        root = into / "root"
        root.mkdir()
        files: tuple[str, ...] = ()
        if wanted.packages:
            files = apt.unpack(wanted.packages, root, progress, label=wanted.name)
        for name in wanted.alone:
            files += apt.unpack([name], root, progress, depends=False, label=name)
        slim(root, wanted.keeps)
        (into / "packages.json").write_text(json.dumps(sorted(files), indent=1) + "\n")
        if "python3*" in wanted.keeps:
            # Once, here: an emulated machine would take a minute, and nothing of it is kept.
            progress("compiling Python's library", None)
            interpreter.compile_below(root, root)

    return store.entry("packages", wanted.key, build, progress) / "root"


def cached(store: Store, wanted: PackageSet) -> bool:
    return (store.root / "packages" / wanted.key).is_dir()


# What no guest and no QEMU reads, unless a set keeps it: drivers for real GPUs, other languages.
DROPPED = ("libLLVM*", "libgallium*", "libz3*", "dri", "python3*", "perl*")
UNREAD = ("doc", "man", "locale", "info", "lintian", "bug", "icons", "perl", "python3")
# Parts of Python that nobody runs in a guest.
UNUSED = ("test", "pydoc_data", "idlelib", "ensurepip", "turtle.py", "turtledemo", "_pyrepl")


def slim(root: Path, keeps: tuple[str, ...] = ()) -> None:
    """Drop documents, translations, and what `DROPPED` and `UNUSED` name."""
    for part in UNREAD:
        shutil.rmtree(root / "usr/share" / part, ignore_errors=True)
    for pattern in DROPPED:
        if pattern not in keeps:
            for path in (root / "usr/lib").rglob(pattern):
                _remove(path)
    for library in (root / "usr/lib").glob("python3.*"):
        for name in UNUSED:
            _remove(library / name)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
