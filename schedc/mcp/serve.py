"""Running the server: over stdin and stdout, or over HTTP on this machine.

Input: a setup, and for HTTP an address and a token. Output: none; it serves until it is ended.
Invariant: on stdout there is the protocol and nothing else; when it ends, by a closed stdin, Ctrl-C
or SIGTERM, no call is left and the scratch folder is gone.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from mcp.server.lowlevel.server import Server
from mcp.server.stdio import stdio_server

from schedc.mcp import http
from schedc.mcp.server import make
from schedc.mcp.setup import Setup
from schedc.mcp.workers import Workers


def over_stdio(setup: Setup) -> None:
    """Serve the client that started this process."""

    async def serve(server: Server[Any]) -> None:
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options())

    _run(setup, serve)


def over_http(setup: Setup, listening: http.Listening) -> None:
    """Serve whoever has the token."""

    async def serve(server: Server[Any]) -> None:
        await http.serve(server, listening)

    _run(setup, serve)


def _run(setup: Setup, serve: Callable[[Server[Any]], Awaitable[None]]) -> None:
    workers = Workers(setup)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(_wait_for_signals, workers)
            await serve(make(workers))
            group.cancel_scope.cancel()

    try:
        anyio.run(main)
    finally:
        _clean(workers)


async def _wait_for_signals(workers: Workers) -> None:
    """End at the first signal, at once.

    Not by an exception: a thread of the transport may wait in a read of stdin that nothing can
    interrupt, and the interpreter would wait for that thread. All that has to be done is done here.
    """
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for number in signals:
            _clean(workers)
            os._exit(128 + number)


def _clean(workers: Workers) -> None:
    workers.end_all()
    shutil.rmtree(workers.setup.scratch, ignore_errors=True)
