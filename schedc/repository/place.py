"""Where the user's policies are kept, and that only one process writes there at a time.

Input: the environment. Output: a `Place`. Invariant: whoever holds `writing()` is the only writer
on this machine; readers never wait, since every file is replaced as a whole.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schedc.diagnostics.model import Diagnostic, error
from schedc.records import dataclass
from schedc.source import MAX_BYTES, Source

SUFFIX = ".sched"
_PATIENCE_S = 60.0
_POLL_S = 0.02


class RepositoryError(Exception):
    """The repository can't do what was asked; `diagnostic` says why, and what to do."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


def refuse(code: str, message: str, *notes: str, help: str | None = None) -> RepositoryError:
    """An error with a code of the repository (10xx)."""
    return RepositoryError(error(code, message, None, notes=list(notes), help=help))


@dataclass(frozen=True, slots=True)
class Place:
    """A folder: `policies/` is a git repository, `results.sqlite` stands beside it."""

    root: Path

    @staticmethod
    def default() -> Place:
        """`$SCHEDC_REPOSITORY`, else the user's data folder after the XDG specification."""
        named = os.environ.get("SCHEDC_REPOSITORY")
        if named:
            return Place(Path(named).expanduser().absolute())
        data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
        return Place(Path(data).expanduser().absolute() / "schedc")

    @property
    def policies(self) -> Path:
        return self.root / "policies"

    @property
    def results(self) -> Path:
        return self.root / "results.sqlite"

    @property
    def exists(self) -> bool:
        return (self.policies / ".git").exists()

    def source(self, name: str) -> Source | None:
        """The text of one of the policies, unchecked; None if there is none."""
        path = self.policies / f"{name}{SUFFIX}"
        try:
            source, wrong = Source.from_bytes(path.name, read_regular(path))
        except OSError:
            return None
        return None if wrong else source

    def make(self) -> None:
        """The folders; raises `RepositoryError` if they can't be made."""
        try:
            self.policies.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as failure:
            raise self.unusable(failure) from failure

    def unusable(self, failure: OSError) -> RepositoryError:
        """What to say when the file system refuses."""
        return refuse(
            "E1001", f"the repository of policies can't be used: {failure.strerror or failure}",
            f"it is at {self.root}", "nothing in it was changed",
            help="free some space or set SCHEDC_REPOSITORY to a folder that you may write",
        )

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the only writer; waits up to a minute for another one."""
        self.make()
        try:
            handle = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as failure:
            raise self.unusable(failure) from failure
        try:
            _lock(handle)
            yield
        finally:
            os.close(handle)  # and with it the lock, also if the process is killed


def read_regular(path: Path) -> bytes:
    """A file's bytes. No link is followed, no pipe is waited for, and no more is read than a
    policy may have; anything but a plain file is an `OSError`."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(0, "not a plain file")
        return file.read(MAX_BYTES + 1)


def _lock(handle: int) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise refuse(
                    "E1001", "another schedc has been writing to the repository for a minute",
                    help="wait for it, or end it, and try again",
                ) from None
            time.sleep(_POLL_S)
