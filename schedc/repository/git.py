"""The history of the user's policies: one git commit for each policy added.

Input: a folder and a file's bytes. Output: commits, and what they hold. Invariant: a commit changes
exactly one file, and HEAD moves only from the commit that was seen (compare and swap).

The folder may be somebody else's work: only git's plumbing is used, which runs no hook, no filter
and no program that a configuration or an attribute of the repository names; the user's own
configuration isn't read either, so that a commit looks the same everywhere.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from schedc.records import dataclass
from schedc.repository.place import RepositoryError, refuse

_TIMEOUT_S = 60.0
_QUIET = (
    "core.hooksPath=/dev/null", "core.fsmonitor=false", "core.attributesFile=/dev/null",
    "core.autocrlf=false", "gc.auto=0",
)  # fmt: skip
_FIELDS = "%H%x1f%ct%x1f%s%x1f%b%x1e"


@dataclass(frozen=True, slots=True)
class Commit:
    """One change of one policy; `when` is in seconds since 1970."""

    id: str
    when: int
    subject: str
    body: str


class Git:
    """The repository in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._program = shutil.which("git")

    def commit(self, name: str, data: bytes, message: str) -> str:
        """Put `data` under `name` into the history; gives the commit. The caller writes alone."""
        if not (self.folder / ".git").exists():
            self._run("init", "--quiet", "--initial-branch=main")
        self._unlock()
        before = self.head()
        if before and self.read(before, name) == data:
            return before  # whoever was killed after this commit comes by once more
        blob = self._run("hash-object", "-w", "--no-filters", "--stdin", stdin=data).strip()
        entry = ("update-index", "--add", "--cacheinfo", f"100644,{blob},{name}")
        with tempfile.TemporaryDirectory(prefix="schedc-index-") as scratch:
            index = {"GIT_INDEX_FILE": f"{scratch}/index"}
            if before:
                self._run("read-tree", before, more=index)
            self._run(*entry, more=index)
            tree = self._run("write-tree", more=index).strip()
        parents = ("-p", before) if before else ()
        made = self._run("commit-tree", tree, *parents, "-F", "-", stdin=message.encode()).strip()
        self._run("update-ref", "-m", "schedc policy add", "HEAD", made, before or "0" * 40)
        # Else `git status` would show the change undone; the commit stands, also if this can't be.
        self._start(*entry)
        return made

    def _unlock(self) -> None:
        """Take away locks that a git left which was killed, or lost its power: we write alone, and
        no git of ours takes that long."""
        for name in ("index.lock", "HEAD.lock", "refs/heads/main.lock"):
            path = self.folder / ".git" / name
            with suppress(OSError):
                if time.time() - path.lstat().st_mtime > _TIMEOUT_S:
                    path.unlink()

    def head(self) -> str:
        """The newest commit; empty if there is none."""
        return self._run("rev-parse", "--quiet", "--verify", "HEAD", fine=(0, 1)).strip()

    def log(self, name: str) -> tuple[Commit, ...]:
        """The commits of a file, newest first."""
        if not self.head():
            return ()
        text = self._run("log", f"--format={_FIELDS}", "--no-show-signature", "HEAD", "--", name)
        found = []
        for record in text.split("\x1e"):
            parts = record.strip("\n").split("\x1f")
            if len(parts) == 4:
                found.append(Commit(parts[0], int(parts[1]), parts[2], parts[3].strip()))
        return tuple(found)

    def read(self, commit: str, name: str) -> bytes | None:
        """A file as it was in a commit; None if it was not in it."""
        done = self._start("cat-file", "blob", f"{commit}:{name}")
        return done.stdout if done.returncode == 0 else None

    def _run(
        self, *words: str, stdin: bytes = b"", more: Mapping[str, str] | None = None,
        fine: tuple[int, ...] = (0,),
    ) -> str:  # fmt: skip
        done = self._start(*words, stdin=stdin, more=more)
        if done.returncode not in fine:
            raise self._failed(words[0], done.stderr.decode(errors="replace"))
        return done.stdout.decode(errors="replace")

    def _start(
        self, *words: str, stdin: bytes = b"", more: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        if self._program is None:
            raise refuse(
                "E1001", "git is not installed; it keeps the history of the policies",
                help="sudo apt-get install git",
            )
        settings = [word for pair in _QUIET for word in ("-c", pair)]
        try:
            return subprocess.run(
                [self._program, "-C", str(self.folder), *settings, *words],
                input=stdin, capture_output=True, check=False, timeout=_TIMEOUT_S,
                env=_environment(more),
            )
        except (OSError, subprocess.TimeoutExpired) as failure:
            raise self._failed(words[0], str(failure)) from failure

    def _failed(self, what: str, why: str) -> RepositoryError:
        lines = [line for line in why.strip().splitlines() if line][-3:]
        return refuse(
            "E1001", f"git could not do `{what}` in the repository of policies",
            *lines, f"it is at {self.folder}",
            help="put right what git says, or set SCHEDC_REPOSITORY to another folder",
        )


def _environment(more: Mapping[str, str] | None) -> dict[str, str]:
    """Only what git needs: nothing that points it elsewhere, nobody's name."""
    kept = {key: os.environ[key] for key in ("PATH", "TMPDIR") if key in os.environ}
    return {
        **kept,
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_AUTHOR_NAME": "schedc",
        "GIT_AUTHOR_EMAIL": "schedc@localhost",
        "GIT_COMMITTER_NAME": "schedc",
        "GIT_COMMITTER_EMAIL": "schedc@localhost",
        **(more or {}),
    }
