"""A process without threads that forks runs of `schedc synth`, each dying where it is told to.

Input: on stdin, a JSON list of runs a line with `args`, `log`, and where to die (`at`, with its
number or phase). Output: their exit statuses a line, negative for a signal. Not in the tests' own
process: that has threads, and a lock held at the instant of a fork is held for ever in the child.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import schedc.cli
import schedc.synth.cluster
import schedc.synth.engine.llm.engine
import schedc.synth.engine.search
import schedc.synth.run
from schedc.repository.git import Git
from schedc.repository.library import Library
from schedc.repository.results import Results
from schedc.sim import pool
from schedc.synth.journal import Journal
from schedc.synth.messages import Message


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def message(number: int, phase: str) -> None:
    """At the so manieth new message: before, within or after its line."""
    real, count = Journal._append, iter(range(1, 10**6))

    def dying(self: Journal, key: str, one: Message) -> None:
        now = next(count) == number
        if now and phase == "within":
            os.write(self._handle, b"0badc0de [half of a li")
        if now and phase != "after":
            die()
        real(self, key, one)
        if now:
            die()

    Journal._append = dying  # type: ignore[method-assign]


def repository(number: int) -> None:
    """At the so manieth step of the repository: a call of git, a file, a row."""
    count = iter(range(1, 10**6))

    def counted(owner: type, name: str) -> None:
        real = getattr(owner, name)

        def dying(*args: object, **more: object) -> object:
            if next(count) == number:
                die()
            return real(*args, **more)

        setattr(owner, name, dying)

    for owner, name in ((Git, "_start"), (Library, "_write"), (Results, "add"),
                        (Results, "learn"), (Results, "promote")):  # fmt: skip
        counted(owner, name)


def simulation(home: str, pid: str) -> None:
    """As soon as a simulation of the run itself goes on; its pid goes into a file."""
    real: Any = subprocess.Popen

    def dying(command: list[str], **more: object) -> object:
        made = real(command, **more)
        if command[0].endswith("schedc-sim") and list(Path(home).glob("runs/*")):
            Path(pid).write_text(str(made.pid))
            die()
        return made

    pool.subprocess.Popen = dying  # type: ignore[assignment, misc]


def disk(limit: int) -> None:
    """No file grows beyond so many bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


WAYS = {one.__name__: one for one in (message, repository, simulation, disk)}


def child(wanted: dict[str, Any]) -> int:
    """A run, to its end."""
    with open(wanted["log"], "w") as said:
        sys.stdout = sys.stderr = said
        if wanted["at"]:
            way, *arguments = wanted["at"]
            WAYS[way](*arguments)
        status = schedc.cli.run(["synth", *wanted["args"]])
        said.flush()
    return int(status)


def main() -> None:
    for line in sys.stdin:
        pids = []
        for wanted in json.loads(line):
            pid = os.fork()
            if pid == 0:
                status = 99
                try:
                    status = child(wanted)
                finally:
                    os._exit(status)
            pids.append(pid)
        ended = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
        print(json.dumps(ended), flush=True)


if __name__ == "__main__":
    main()
