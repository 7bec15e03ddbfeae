"""Processes, several at once, none of which outlives its time or its caller.

Input: command lines with what each reads. Output: how each ended, in their order. Invariant: no
more than `jobs` run at once; each has a limit of cpu time, which a busy host does not use up, and a
wider one of real time; when the caller gives up (Ctrl-C, an exception), all are killed at once.
"""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Lock, Thread

from schedc.records import dataclass

WALL_PER_CPU = 20.0
"""Seconds of real time that a process may take for each second of its limit of cpu time."""

_PATIENCE_S = 5.0
"""How long to wait for a thread whose process has been killed."""

_GLANCE_S = 0.2


@dataclass(frozen=True, slots=True)
class Job:
    """A process to run; `cpu_s`: its limit of cpu time."""

    command: tuple[str, ...]
    stdin: bytes
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Done:
    """`status` as `subprocess` gives it: negative for a signal. `seconds`: of real time."""

    status: int
    stdout: bytes
    stderr: bytes
    timed_out: bool
    seconds: float


def default_jobs() -> int:
    """One for each cpu that this process may use."""
    return max(len(os.sched_getaffinity(0)), 1)


class Pool:
    """A context: when it is left, nothing that it started is alive."""

    def __init__(self, jobs: int | None = None) -> None:
        self._jobs = jobs or default_jobs()
        self._threads: list[Thread] = []
        self._alive: set[subprocess.Popen[bytes]] = set()
        self._lock = Lock()
        self._stopped = False

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._stopped = True
            for process in self._alive:
                process.kill()
        for thread in self._threads:
            thread.join(_PATIENCE_S)

    def run(self, jobs: Sequence[Callable[[], Job]]) -> Iterator[Done]:
        """Run all; how each ended, in their order. A job is made when its turn comes."""
        waiting: SimpleQueue[int] = SimpleQueue()
        ended: SimpleQueue[tuple[int, Done | Exception]] = SimpleQueue()
        for number in range(len(jobs)):
            waiting.put(number)

        def work() -> None:
            while not self._stopped:
                try:
                    number = waiting.get_nowait()
                except Empty:
                    return
                try:
                    ended.put((number, self._one(jobs[number])))
                except Exception as failure:
                    ended.put((number, failure))

        for _ in range(min(self._jobs, len(jobs))):
            # Daemons: an interrupt that comes just while a thread starts must not leave one behind
            # that the interpreter waits for.
            thread = Thread(target=work, daemon=True, name="simulation")
            thread.start()
            self._threads.append(thread)
        early: dict[int, Done | Exception] = {}
        for number in range(len(jobs)):
            while number not in early:
                # An interrupt that comes just before the wait begins is seen when it is over.
                with suppress(Empty):
                    which, one = ended.get(timeout=_GLANCE_S)
                    early[which] = one
            done = early.pop(number)
            if isinstance(done, Exception):
                raise done
            yield done

    def _one(self, make: Callable[[], Job]) -> Done:
        job = make()
        began = time.monotonic()
        with self._lock:
            if self._stopped:
                return Done(-9, b"", b"", False, 0.0)
            process = subprocess.Popen(
                job.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                # Ctrl-C in a terminal goes to the whole group: we end these, not the terminal.
                start_new_session=True,
            )  # fmt: skip
            self._alive.add(process)
        limit = max(int(job.cpu_s), 1)
        with suppress(ProcessLookupError, PermissionError):
            resource.prlimit(process.pid, resource.RLIMIT_CPU, (limit, limit + 1))
        late = False
        try:
            out, err = process.communicate(job.stdin, timeout=WALL_PER_CPU * limit)
        except subprocess.TimeoutExpired:
            late = True
            process.kill()
            out, err = process.communicate()
        finally:
            with self._lock:
                self._alive.discard(process)
            process.kill()
        return Done(process.returncode, out, err, late, time.monotonic() - began)
