"""Kernels: what the mirror has, what is cached, and how a wish becomes a file.

Input: a specification: `6.18` (newest of a series), `7`, `6.18.15`, `latest`, or the path of a
bzImage. Output: a `Kernel`, whose image lies in the cache (or at that path).
Invariant: no version is written down here, since mirrors drop old ones; only what was fetched is
used, and nothing is asked of the network if a cached kernel already fits.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import struct
from collections.abc import Iterable
from pathlib import Path

from schedc.records import dataclass
from schedc.vm.apt import Apt
from schedc.vm.errors import (
    FETCH_FAILED,
    NO_SCHED_EXT,
    NO_SUCH_KERNEL,
    VmError,
)
from schedc.vm.store import Progress, Store, prune, silent, touch

# Debian builds sched_ext into its kernels from this release on (6.12's own builds leave it off).
FIRST_WITH_SCHED_EXT = (6, 16)
KEPT = 8

Version = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Kernel:
    """A bootable image. `release` is what `uname -r` says (as far as the image tells)."""

    release: str
    path: Path
    digest: str

    @property
    def version(self) -> Version:
        return version_of(self.release)


@dataclass(frozen=True, slots=True)
class Listed:
    """One kernel that could be used: from which package, and whether it is in the cache."""

    release: str
    package: str | None
    cached: Path | None


def version_of(release: str) -> Version:
    """The leading numbers of a release: `6.18.15+deb13-cloud-amd64` -> (6, 18, 15)."""
    found = re.match(r"\d+(?:\.\d+)*", release)
    return tuple(int(n) for n in found[0].split(".")) if found else ()


def packaged(names: Iterable[str]) -> dict[str, str]:
    """Release -> package, of all package names that hold a signed cloud kernel with sched_ext.

    From 6.19 on, `linux-image-*` is split and the image itself is in `linux-binary-*`.
    """
    found: dict[str, str] = {}
    pattern = re.compile(r"linux-(image|binary)-(\d+\.\d+(?:\.\d+)?\S*-cloud-amd64)")
    for name in sorted(names, reverse=True):
        match = pattern.fullmatch(name)
        if match and version_of(match[2]) >= FIRST_WITH_SCHED_EXT:
            if match[1] == "binary":
                found[match[2]] = name
            else:
                found.setdefault(match[2], name)
    return found


def matching(spec: str, releases: Iterable[str]) -> str | None:
    """The newest release that a specification allows, or None."""
    newest_first = sorted(releases, key=lambda r: (version_of(r), r), reverse=True)
    for release in newest_first:
        if spec in ("latest", release):
            return release
        if re.fullmatch(r"\d+(\.\d+)*", spec):
            wanted = version_of(spec)
            if version_of(release)[: len(wanted)] == wanted:
                return release
    return None


@dataclass(frozen=True, slots=True)
class Kernels:
    """The kernels of one store."""

    store: Store

    def listed(self) -> tuple[Listed, ...]:
        """Everything known: cached kernels, and those of the last package list, newest first."""
        cached = self._cached()
        known = packaged(Apt(self.store).names("linux-"))
        releases = sorted(cached.keys() | known.keys(), key=lambda r: (version_of(r), r))
        return tuple(Listed(r, known.get(r), cached.get(r)) for r in reversed(releases))

    def refresh(self, progress: Progress = silent) -> None:
        """Ask the mirror what it has now."""
        Apt(self.store).update(progress, force=True)

    def resolve(self, spec: str, progress: Progress = silent) -> Kernel:
        """The kernel for a specification, fetched if need be.

        A cached kernel that fits is used as it is, even if the mirror has a newer one by now:
        results stay comparable, and a full cache needs no network. `latest` and a series are
        renewed by `fetch`.
        """
        if "/" in spec or Path(spec).is_file():
            return from_path(Path(spec))
        cached = self._cached()
        if release := matching(spec, cached):
            return self._load(release)
        return self.fetch(spec, progress)

    def fetch(self, spec: str, progress: Progress = silent) -> Kernel:
        """The newest kernel of a specification that the mirror has, in the cache."""
        apt = Apt(self.store)
        try:
            apt.update(progress)
        except VmError:
            # Off the network a full cache must do.
            if release := matching(spec, self._cached()):
                progress(f"no package lists: staying with the cached {release}", 1.0)
                return self._load(release)
            raise
        known = packaged(apt.names("linux-"))
        release = matching(spec, known)
        if release is None:
            raise _no_such(spec, known.keys() | self._cached().keys())

        def build(into: Path) -> None:
            self._unpack(release, known[release], into, progress)

        self.store.entry("kernels", release, build, progress)
        prune(self.store.root / "kernels", KEPT)
        return self._load(release)

    def _unpack(self, release: str, package: str, into: Path, progress: Progress) -> None:
        tree = into / "tree"
        tree.mkdir()
        Apt(self.store).unpack(
            [package], tree, progress, depends=False, label=f"kernel {release}"
        )
        # The packages differ in where the image lies; the name is the same everywhere.
        images = [p for p in tree.rglob("vmlinuz*") if p.is_file() and not p.is_symlink()]
        if not images:
            raise VmError(FETCH_FAILED, f"package {package} holds no kernel image")
        check_config(tree, release)
        image = images[0].rename(into / "vmlinuz")
        shutil.rmtree(tree)
        facts = {"release": release, "package": package, "sha256": _digest(image)}
        (into / "kernel.json").write_text(json.dumps(facts, indent=1) + "\n")

    def _cached(self) -> dict[str, Path]:
        parent = self.store.root / "kernels"
        if not parent.is_dir():
            return {}
        return {p.name: p for p in parent.iterdir() if (p / "kernel.json").is_file()}

    def _load(self, release: str) -> Kernel:
        folder = self.store.root / "kernels" / release
        facts = json.loads((folder / "kernel.json").read_text())
        touch(folder)
        return Kernel(release, folder / "vmlinuz", facts["sha256"])


def check_config(tree: Path, release: str) -> None:
    """Refuse a kernel whose shipped configuration says that no scheduler can load on it."""
    for config in tree.rglob("config-*"):
        text = config.read_text(errors="replace")
        for option in ("CONFIG_SCHED_CLASS_EXT", "CONFIG_DEBUG_INFO_BTF"):
            if f"{option}=y" not in text:
                raise VmError(
                    NO_SCHED_EXT,
                    f"kernel {release} is built without {option}",
                    help="choose another one (`schedc vm kernels` lists them)",
                )


def from_path(path: Path) -> Kernel:
    """A kernel image of the user's own."""
    try:
        with path.open("rb") as file:
            head = file.read(0x10000)
    except OSError as e:
        raise VmError(
            NO_SUCH_KERNEL,
            f"cannot read the kernel {path}: {e.strerror}",
            help="give the path of a bzImage, or a version as `schedc vm kernels` lists them",
        ) from e
    # Documentation/arch/x86/boot.rst: "HdrS" at 0x202, offset of the version string at 0x20e.
    if head[0x202:0x206] != b"HdrS":
        raise VmError(
            NO_SUCH_KERNEL,
            f"{path} is not a bootable x86 kernel image",
            help="give a bzImage (arch/x86/boot/bzImage or /boot/vmlinuz-*), not the ELF vmlinux",
        )
    (offset,) = struct.unpack_from("<H", head, 0x20E)
    text = head[offset + 0x200 : offset + 0x300].split(b"\0")[0].decode(errors="replace")
    return Kernel(text.split(" ")[0] or path.name, path.resolve(), _digest(path))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _no_such(spec: str, releases: Iterable[str]) -> VmError:
    series = sorted({version_of(r)[:2] for r in releases}, reverse=True)
    have = ", ".join(".".join(map(str, s)) for s in series)
    return VmError(
        NO_SUCH_KERNEL,
        f"no kernel matches `{spec}`",
        notes=(f"there are: {have}",) if have else (),
        help="`schedc vm kernels --refresh` asks the mirror; --kernel PATH takes any bzImage",
    )
