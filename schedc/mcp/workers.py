"""Calls as processes: how many at once, for how long, and how they end.

Input: a tool's name and arguments. Output: what the process answered, or a `Refused`. Invariant: no
more than `calls` run at once (another one is told that the server is busy, and waits for nothing);
a call that is over time, cancelled, or whose client is gone has no process left; the event loop
never waits for one.

The processes are forked from one that holds the pipeline and no thread (`forkserver`), so that a
call starts at once and nothing of it outlives it.
"""

from __future__ import annotations

import json
import multiprocessing
import tempfile
import time
from multiprocessing import util
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any

import anyio
import anyio.to_thread

from schedc.mcp import work
from schedc.mcp.refusal import BUSY, ENDED, refuse
from schedc.mcp.setup import Setup
from schedc.mcp.tools import TOOLS

_GRACE_S = 3.0
"""Between asking a process to end and ending it."""

_MOST_ANSWER = 32 << 20

_LONGEST_TMPDIR = 60
"""In bytes: the forking process listens at `TMPDIR/pymp-…/listener-…`, and the path of a socket
has at most 107 (unix(7))."""


class Workers:
    """All calls of a server."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self._running: set[ForkServerProcess] = set()
        self._free = setup.calls
        _place_listener()
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["schedc.mcp.warm"])

    async def call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """What `work.call` gives; raises `Refused` if the server is busy or the call is ended."""
        if self._free <= 0:
            raise refuse(
                BUSY, f"the server is busy: {self.setup.calls} calls are going on",
                help="wait until one of them has ended, then call again",
            )
        self._free -= 1
        try:
            return await self._call(tool, arguments)
        finally:
            self._free += 1

    async def _call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        limit = min(TOOLS[tool].limit_s(arguments), self.setup.most_s)
        receive, send = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=work.main, args=(send, tool, arguments, self.setup), name=f"schedc-{tool}"
        )
        try:
            with anyio.fail_after(limit):
                # Started whole, also if cancelled meanwhile: else nobody would know its number.
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(process.start)
                self._running.add(process)
                send.close()
                await anyio.wait_readable(receive.fileno())
                data = await anyio.to_thread.run_sync(_answer, receive)
        except TimeoutError:
            raise refuse(
                ENDED, f"{tool} was ended: it took longer than {limit:.0f} s",
                help="ask for less: fewer runs, a shorter workload, fewer contenders",
            ) from None
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._end, process)
            receive.close()
            send.close()
        if data is None:
            raise refuse(
                ENDED, f"{tool} was ended from outside ({_how(process)})",
                help="ask for less; if it happens again, report it",
            )
        answer: dict[str, Any] = json.loads(data)
        return answer

    def _end(self, process: ForkServerProcess) -> None:
        """Nothing of a call is left afterwards; most have ended by themselves."""
        if process.pid is None:
            return
        process.join(0.05)
        if process.is_alive():
            process.terminate()
            process.join(_GRACE_S)
        if process.is_alive():
            process.kill()
            process.join(_GRACE_S)
        self._running.discard(process)

    def end_all(self) -> None:
        """For the end of the server: no event loop is needed."""
        for process in list(self._running):
            process.terminate()
        deadline = time.monotonic() + _GRACE_S
        for process in list(self._running):
            process.join(max(deadline - time.monotonic(), 0.1))
            if process.is_alive():
                process.kill()


def _answer(pipe: Connection) -> bytes | None:
    try:
        return pipe.recv_bytes(_MOST_ANSWER)
    except (EOFError, OSError):
        return None


def _how(process: ForkServerProcess) -> str:
    code = process.exitcode
    return f"signal {-code}" if code is not None and code < 0 else f"status {code}"


def _place_listener() -> None:
    """Have the folder of the listener made where its path is short enough; only we may enter it."""
    usual = tempfile.tempdir
    if len(tempfile.gettempdir().encode()) <= _LONGEST_TMPDIR:
        return
    tempfile.tempdir = "/tmp"
    try:
        util.get_temp_dir()
    finally:
        tempfile.tempdir = usual
