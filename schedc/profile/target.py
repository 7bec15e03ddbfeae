"""What to watch: everything, a process, a control group, or a command with its children.

Input: what a user named. Output: a `Target` that exists. Invariant: a control group's path is a
folder below the cgroup2 file system, whatever dots and links are in what was given; a command
begins only when the collector watches.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal, NoReturn

from schedc.profile.errors import NO_COMMAND, NO_TARGET, ProfileError
from schedc.records import dataclass

CGROUPS = Path("/sys/fs/cgroup")
_CANNOT_RUN = 127


@dataclass(frozen=True, slots=True)
class Target:
    """`pid` is the process's, or the command's; `cgroup` the folder, with the id that the kernel
    knows it by. `words` say it to people, without names that others gave."""

    kind: Literal["all", "process", "cgroup", "tree"]
    words: str
    pid: int = 0
    cgroup: Path | None = None
    cgroup_id: int = 0


EVERYTHING = Target("all", "the whole machine")


def process(pid: int) -> Target:
    """The threads of a process; E1220 if there is none."""
    if pid <= 0 or not Path(f"/proc/{pid}/task").is_dir():
        raise ProfileError(
            NO_TARGET, f"there is no process {pid}",
            help="`ps -e` lists the processes; a thread is watched by its process's number",
        )  # fmt: skip
    return Target("process", f"process {pid}", pid)


def cgroup(name: str, root: Path = CGROUPS) -> Target:
    """A control group, by its path below the root or as a whole."""
    base = root / "unified" if (root / "unified/cgroup.procs").exists() else root
    given = Path(name)
    inside = given.relative_to(base) if given.is_relative_to(base) else Path(name.lstrip("/"))
    try:
        found = (base / inside).resolve(strict=True)
        if not found.is_relative_to(base.resolve()) or not (found / "cgroup.procs").is_file():
            raise OSError
        number = found.stat().st_ino
    except (OSError, ValueError, RuntimeError) as failure:
        shown = "".join(c if c.isascii() and c.isprintable() else "?" for c in name[:80])
        raise ProfileError(
            NO_TARGET, f"there is no control group `{shown}`",
            notes=(f"looked below {base}",),
            help="`systemd-cgls` lists them; write the path as in /proc/PID/cgroup",
        ) from failure  # fmt: skip
    return Target("cgroup", "a control group", 0, found, number)


class Command:
    """A command that was forked and waits to be let go. Use as a context: it is ended with it."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = list(words)
        self.status: int | None = None
        gate, self._gate = os.pipe()
        self._failed, failed = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._gate)
            os.close(self._failed)
            _become(self.words, gate, failed)
        os.close(gate)
        os.close(failed)
        self.target = Target("tree", "a command and its children", self.pid)

    def go(self) -> None:
        """Let it begin; E1226 if it can't."""
        os.write(self._gate, b"g")
        os.close(self._gate)
        self._gate = -1
        said = os.read(self._failed, 16)
        if said:
            self.wait()
            raise ProfileError(
                NO_COMMAND, f"the command can't be run: {os.strerror(int(said))}",
                help="write it as a shell would find it, after `--`",
            )  # fmt: skip

    def over(self) -> bool:
        """Whether it has ended; never waits."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is not None

    def wait(self) -> None:
        if self.status is None:
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._gate >= 0:
            os.close(self._gate)  # it ends without having begun
        elif not self.over():
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)
        os.close(self._failed)
        with suppress(ChildProcessError, KeyboardInterrupt):
            self.wait()


def _become(words: list[str], gate: int, failed: int) -> NoReturn:
    """In the child: wait for the word, then be the command. Its output goes to stderr: stdout is
    for the profile."""
    try:
        if os.read(gate, 1) == b"g":
            os.dup2(2, 1)
            os.set_inheritable(failed, False)
            os.execvp(words[0], words)
    except OSError as failure:
        os.write(failed, str(failure.errno).encode())
    finally:
        os._exit(_CANNOT_RUN)
    raise AssertionError
