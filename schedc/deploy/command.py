"""The command of a guard: started, read and ended without anything waiting for it.

Input: an argv. Output: numbers, or why there is none. Invariant: no shell; the command has a
process group of its own, which is killed as a whole when its time is over, when it prints too
much, and when the canary ends; reading never blocks.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress

from schedc.diagnostics.render.visible import visible
from schedc.records import dataclass

MAX_OUTPUT = 64 * 1024
PAUSE_S = 1.0
"""Between the end of a run and the start of the next."""

_NUMBER = re.compile(rb"\s*([-+]?\d{1,18}(?:\.\d{1,18})?(?:[eE][-+]?\d{1,3})?)\s*")


@dataclass(frozen=True, slots=True)
class Failed:
    """Why a command gave no number, in words that follow its name."""

    why: str


class Probe:
    """One command, run again and again; `look` is called about once a second."""

    def __init__(self, argv: Sequence[str], timeout_s: float) -> None:
        self.argv = tuple(argv)
        self.timeout_s = timeout_s
        self._running: subprocess.Popen[bytes] | None = None
        self._output = b""
        self._began = 0.0
        self._ended = -PAUSE_S

    def look(self) -> float | Failed | None:
        """A new number, a failure, or None while there is neither."""
        now = time.monotonic()
        if self._running is None:
            if now - self._ended < PAUSE_S:
                return None
            return self._start(now)
        return self._read(now)

    def once(self) -> float | Failed:
        """Run it a single time, and wait for it: at most `timeout_s`."""
        self._ended = -PAUSE_S
        while (found := self.look()) is None:
            time.sleep(0.01)
        return found

    def stop(self) -> None:
        """End what runs, with all that it started."""
        if self._running is not None:
            self._kill()

    def _start(self, now: float) -> Failed | None:
        try:
            self._running = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, start_new_session=True,
            )
        except (OSError, ValueError) as failure:
            self._ended = now
            reason = failure.strerror if isinstance(failure, OSError) else str(failure)
            return Failed(f"can't be started: {(reason or 'unknown reason').lower()}")
        assert self._running.stdout is not None
        os.set_blocking(self._running.stdout.fileno(), False)
        self._output, self._began = b"", now
        return None

    def _read(self, now: float) -> float | Failed | None:
        process = self._running
        assert process is not None and process.stdout is not None
        ended = _has_ended(process.pid)  # before the output, so that none of it is missed
        if (chunk := process.stdout.read(MAX_OUTPUT + 1)) is not None:
            self._output += chunk
        if len(self._output) > MAX_OUTPUT:
            self._kill()
            return Failed(f"printed more than {MAX_OUTPUT >> 10} KiB and was killed")
        if not ended:
            if now - self._began <= self.timeout_s:
                return None
            self._kill()
            return Failed(f"did not end within {self.timeout_s:g} s and was killed")
        # What it left behind in the background has no business here any more.
        return _number(self._kill(), self._output)

    def _kill(self) -> int:
        """End the group, reap its leader; the leader's status."""
        process = self._running
        assert process is not None and process.stdout is not None
        # The leader isn't reaped yet, so the number can't be somebody else's.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.stdout.close()
        status = process.wait()
        self._running = None
        self._ended = time.monotonic()
        return status


def _has_ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _number(status: int, output: bytes) -> float | Failed:
    if status < 0:
        return Failed(f"was ended by signal {-status}")
    if status > 0:
        return Failed(f"failed with exit code {status}")
    found = _NUMBER.fullmatch(output)
    if found is None:
        shown = visible(output[:40].decode("utf-8", "backslashreplace").strip())
        return Failed(f"printed no number but `{shown}`" if shown else "printed nothing")
    return float(found[1])
