"""The cache on disk: fetched packages, kernels, images and saved machines.

Input: the environment (XDG_CACHE_HOME). Output: paths below `<cache>/schedc/vm`.
Invariant: an entry is either complete or absent. An entry is built in a temporary sibling under a
lock and then renamed, so two processes never build the same one and a crash leaves no half of one.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from schedc.records import dataclass
from schedc.vm.errors import disk_errors


class Progress(Protocol):
    """Told what goes on: `what` in a few words, and how far it is (0..1), None if unknown."""

    def __call__(self, what: str, fraction: float | None, /) -> None: ...


def silent(what: str, fraction: float | None, /) -> None:
    """Progress for callers that don't show any."""


@dataclass(frozen=True, slots=True)
class Store:
    """A directory of cached entries."""

    root: Path

    @classmethod
    def default(cls) -> Store:
        base = os.environ.get("XDG_CACHE_HOME") or ""
        # The XDG specification says that a relative path is to be ignored.
        home = Path(base) if Path(base).is_absolute() else Path.home() / ".cache"
        return cls(home / "schedc" / "vm")

    def directory(self, *parts: str) -> Path:
        """A directory below the root, made if it isn't there."""
        path = self.root.joinpath(*parts)
        with disk_errors(self.root):
            path.mkdir(parents=True, exist_ok=True)
        return path

    @contextmanager
    def lock(self, name: str, progress: Progress = silent) -> Iterator[None]:
        """Hold the named lock; wait, saying so, while another process has it.

        The kernel drops a flock with its process, so a crash never leaves one behind.
        """
        path = self.directory("locks") / f"{name}.lock"
        with disk_errors(self.root):
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                progress(f"waiting for another schedc ({name})", None)
                fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def entry(
        self,
        kind: str,
        name: str,
        build: Callable[[Path], None],
        progress: Progress = silent,
    ) -> Path:
        """The directory `<kind>/<name>`, built by `build(empty_directory)` if it isn't there."""
        final = self.root / kind / name
        if final.is_dir():
            touch(final)
            return final
        with self.lock(f"{kind}-{name}", progress):
            if final.is_dir():
                return final
            parent = self.directory(kind)
            with disk_errors(self.root), scratch(parent) as work:
                build(work)
                work.rename(final)
        return final


@contextmanager
def scratch(parent: Path) -> Iterator[Path]:
    """An empty directory that is gone afterwards, unless it was renamed to something lasting."""
    work = Path(tempfile.mkdtemp(prefix=".new-", dir=parent))
    work.chmod(0o755)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def touch(path: Path) -> None:
    """Note the use of an entry (for `prune`); a read-only cache is fine."""
    try:
        os.utime(path)
    except OSError:
        return


def prune(parent: Path, keep: int, min_age_s: float = 3600.0) -> None:
    """Remove all but the `keep` most recently used entries, and litter of crashed builds.

    Nothing younger than `min_age_s` goes: another process may just be using it.
    """
    if not parent.is_dir():
        return
    now = time.time()
    aged: list[tuple[float, Path]] = []
    for child in parent.iterdir():
        try:
            aged.append((child.stat().st_mtime, child))
        except FileNotFoundError:
            continue
    aged.sort(reverse=True)
    litter = [(t, p) for t, p in aged if p.name.startswith(".new-")]
    entries = [(t, p) for t, p in aged if not p.name.startswith(".")]
    for mtime, path in [*entries[keep:], *litter]:
        if now - mtime > min_age_s:
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
