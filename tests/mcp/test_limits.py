"""Limits of time and number, cancelling, and how a server ends: nothing is left of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp_types import CallToolResult

from tests.mcp.session import COMMAND, LONG, Home, Session, said

ROOT = Path(__file__).parents[2]
async def _meanwhile(session: Session) -> tuple[float, CallToolResult]:
    """Begin a long call; when it simulates, look at the rest; then cancel it."""
    async with anyio.create_task_group() as group:
        group.start_soon(session.client.call_tool, "simulate", LONG)
        await anyio.sleep(0.3)
        while True:
            began = time.monotonic()
            await session.client.session.list_tools()
            listed_s = time.monotonic() - began
            second = await session.client.call_tool("list_workloads", {})
            if second.is_error:
                break
            await anyio.sleep(0.1)
        group.cancel_scope.cancel()
    return listed_s, second


async def _killed(session: Session, home: Home) -> CallToolResult:
    """Begin a long call and kill its process."""
    before = set(home.processes())
    found: list[CallToolResult] = []

    async def call() -> None:
        found.append(await session.client.call_tool("simulate", LONG))

    async with anyio.create_task_group() as group:
        group.start_soon(call)
        while not any("schedc-sim" in line for line in home.processes().values()):
            await anyio.sleep(0.05)
        for pid in home.processes().keys() - before:
            os.kill(pid, signal.SIGKILL)
    return found[0]


def test_one_call_at_a_time_that_is_cancelled_or_killed(home: Home) -> None:
    with home.session("--calls", "1") as session:
        session.good("list_workloads")
        listed_s, second = session.portal.call(_meanwhile, session)
        assert listed_s < 2, "the event loop doesn't wait for a call"
        assert "error[E1243]: the server is busy: 1 calls are going on" in said(second)
        assert home.wait_until_gone("schedc-sim") == {}
        end = time.monotonic() + 10
        while session.call("list_workloads").is_error and time.monotonic() < end:
            time.sleep(0.05)
        result = session.portal.call(_killed, session, home)
        assert result.is_error and "error[E1242]: simulate was ended from outside" in said(result)
        session.good("list_workloads")


def test_a_call_over_time_is_ended_and_the_server_goes_on(home: Home) -> None:
    with home.session("--max-seconds", "2") as session:
        session.call("list_workloads")
        began = time.monotonic()
        code, text = session.bad("simulate", **LONG)
        assert code == "E1242" and "simulate was ended: it took longer than 2 s" in text
        assert time.monotonic() - began < 8
        assert home.wait_until_gone("schedc-sim") == {}
        session.good("list_workloads")


# --- the end


class Raw:
    """A server with its pipes, spoken to in lines."""

    def __init__(self, home: Home) -> None:
        self.process = subprocess.Popen(
            COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, **home.environment}, cwd=home.root / "work",
        )  # fmt: skip
        self.lines: list[bytes] = []

    def send(self, method: str, number: int | None = None, **params: Any) -> None:
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
        if number is not None:
            message["id"] = number
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def answer(self, number: int) -> dict[str, Any]:
        assert self.process.stdout is not None
        while True:
            line = self.process.stdout.readline()
            assert line, "the server is gone"
            self.lines.append(line)
            found: dict[str, Any] = json.loads(line)
            if found.get("id") == number:
                return found

    def begin(self) -> None:
        self.send(
            "initialize", 1, protocolVersion="2025-06-18", capabilities={},
            clientInfo={"name": "test", "version": "1"},
        )
        assert self.answer(1)["result"]["serverInfo"]["name"] == "schedc"
        self.send("notifications/initialized")


@pytest.mark.parametrize("how", ["closed stdin", "Ctrl-C"])
def test_the_server_ends_with_all_that_it_began(how: str, home: Home) -> None:
    """And its stdout carried nothing but the protocol, whatever it was sent."""
    server = Raw(home)
    try:
        server.begin()
        assert server.process.stdin is not None and server.process.stdout is not None
        server.process.stdin.write(b"this is no JSON\n[1, 2\n\xff\xfe\n")
        server.send("tools/call", 2, name="compile", arguments={"policy": "fair"})
        assert server.answer(2)["result"]["isError"] is False
        server.send("tools/call", 3, name="simulate", arguments=LONG)
        while not any("schedc-sim" in line for line in home.processes().values()):
            time.sleep(0.05)
        assert os.listdir(home.temporary)
        if how == "Ctrl-C":
            server.process.send_signal(signal.SIGINT)
            assert server.process.wait(15) == 130
        server.process.stdin.close()
        server.lines += server.process.stdout.readlines()
        assert server.process.wait(15) == (130 if how == "Ctrl-C" else 0)
        assert {json.loads(line)["jsonrpc"] for line in server.lines} == {"2.0"}
        assert home.wait_until_gone() == {}
        assert not [one for one in os.listdir(home.temporary) if one.startswith("schedc-mcp")]
    finally:
        server.process.kill()
        server.process.wait()
