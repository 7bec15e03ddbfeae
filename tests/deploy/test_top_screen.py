"""`top` on a terminal: a screen of its own, renewed, and given back whoever ends it."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import schedc.cli
from tests.deploy.machine import Place, environment, loader, write_policy

ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"
SHOW_CURSOR = b"\x1b[?25h"
LIMIT_S = 60.0


class Screen:
    """`schedc top` at a terminal of 30 lines of 110 columns."""

    def __init__(self, place: Place) -> None:
        self._end, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 110, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "schedc", "top", "-n", "200ms"], start_new_session=True,
            stdin=inner, stdout=inner, stderr=inner,
            env={**environment(place), "TERM": "xterm-256color", "COLUMNS": "110", "LINES": "30"},
        )  # fmt: skip
        os.close(inner)
        self.seen = b""

    def until(self, text: bytes, times: int = 1) -> None:
        """Reads until the terminal was sent `text` so many times."""
        end = time.monotonic() + LIMIT_S
        while self.seen.count(text) < times:
            assert time.monotonic() < end, self.last_frame()
            assert self._read(), self.last_frame()

    def last_frame(self) -> str:
        return self.seen.rpartition(b"\x1b[H")[2].decode(errors="replace")

    def rest(self) -> bytes:
        """All that comes until the program ends."""
        while self._read():
            pass
        self.process.wait(LIMIT_S)
        return self.seen

    def _read(self) -> bool:
        if not select.select([self._end], [], [], LIMIT_S)[0]:
            raise TimeoutError(self.last_frame())
        try:
            found = os.read(self._end, 65536)
        except OSError:  # EIO: nobody has the other end any more
            return False
        self.seen += found
        return bool(found)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._end)


@contextmanager
def screen(place: Place) -> Iterator[Screen]:
    made = Screen(place)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_gives_the_terminal_back(machine: Place, number: int) -> None:
    assert schedc.cli.run(["load", write_policy("calm"), "--yes", "--for", "1s"]) == 0
    with screen(machine) as top:
        top.until(b"callbacks/s of 500 ns", 3)
        assert b"calm 1.0.0 runs for " in top.seen and b"everyone" in top.seen
        top.process.send_signal(number)
        seen = top.rest()
        assert top.process.returncode == 0
    assert seen.count(ENTER) == seen.count(LEAVE) == 1
    assert SHOW_CURSOR in seen[seen.index(LEAVE) - 16 :] and b"Traceback" not in seen


def test_a_loader_that_ends_is_told_on_the_old_screen(place: Place) -> None:
    with loader(place):
        top = Screen(place)
        top.until(ENTER)
    try:
        seen = top.rest()
    finally:
        top.close()
    assert top.process.returncode == 2
    assert b"error[E08" in seen[seen.index(LEAVE) :] and b"Traceback" not in seen
