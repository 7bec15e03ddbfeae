"""The server over HTTP: with the official client, and with those who should not get in."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx2
import pytest
from anyio.from_thread import start_blocking_portal
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

import schedc.cli
from schedc.mcp.refusal import CANT_START
from tests.mcp.session import COMMAND, LONG, Home, Session

TOKEN = "0123456789abcdef0123456789abcdef"


class Served:
    """A server over HTTP: its address, and what it printed so far."""

    def __init__(self, home: Home, *options: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, "--http", "127.0.0.1:0", *options], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=home.root / "work",
            env={**os.environ, **home.environment}, text=True,
        )  # fmt: skip
        self.said = ""
        assert self.process.stderr is not None
        while (found := re.search(r"serving (http://\S+)\n", self.said)) is None:
            line = self.process.stderr.readline()
            assert line, self.said
            self.said += line
        self.url = found[1]

    @property
    def place(self) -> str:
        return self.url.removeprefix("http://").removesuffix("/mcp")

    def stop(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=15)
        self.said += err
        return self.process.returncode, out


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("http"))


@pytest.fixture(scope="module")
def served(user: Home) -> Iterator[Served]:
    home = user
    token = home.root / "token"
    token.touch(mode=0o600)
    token.write_text(f"{TOKEN}\n")
    found = Served(home, "--token-file", str(token))
    yield found
    code, out = found.stop()
    assert (code, out) == (128 + signal.SIGTERM, "")
    assert TOKEN not in found.said
    assert home.wait_until_gone() == {}
    assert not [one for one in os.listdir(home.temporary) if one.startswith("schedc-mcp")]


def test_the_official_client_with_the_token(served: Served) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with start_blocking_portal() as portal:
        http = httpx2.AsyncClient(headers=headers, timeout=60)
        transport = streamable_http_client(served.url, http_client=http)
        with portal.wrap_async_context_manager(Client(transport)) as client:
            session = Session(portal, client)
            assert "check" in session.tools()
            assert session.good("check", policy="fair")["verdict"] == "proved"
            assert session.bad("check", policy="no_such")[0] == "E1002"
            assert session.read("schedc://card").startswith("# ")
        portal.call(http.aclose)


def test_a_client_that_goes_away_takes_its_calls_with_it(served: Served, user: Home) -> None:
    async def call_and_go() -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=60) as http,
            Client(streamable_http_client(served.url, http_client=http)) as client,
            anyio.create_task_group() as group,
        ):
            group.start_soon(client.call_tool, "simulate", LONG)
            while not any("schedc-sim" in line for line in user.processes().values()):
                await anyio.sleep(0.05)
            group.cancel_scope.cancel()

    anyio.run(call_and_go)
    assert user.wait_until_gone("schedc-sim") == {}


HELLO = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {},
               "clientInfo": {"name": "test", "version": "1"}},
}  # fmt: skip
ACCEPT = {"Accept": "application/json, text/event-stream"}
GOOD = {"Authorization": f"Bearer {TOKEN}", **ACCEPT}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (GOOD, 200),
        (ACCEPT, 401),
        ({**GOOD, "Authorization": "Bearer wrong-wrong-wrong-wrong"}, 401),
        ({**GOOD, "Authorization": f"bearer {TOKEN}x"}, 401),
        ({**GOOD, "Authorization": TOKEN}, 401),
        ({**GOOD, "Authorization": "Bearer \xff\xfe"}, 401),
        ({**GOOD, "Origin": "https://evil.example"}, 403),
        ({**GOOD, "Origin": "null"}, 403),
        ({**GOOD, "Origin": "http://127.0.0.1.evil.example"}, 403),
        ({**GOOD, "Host": "evil.example"}, 421),
        ({**GOOD, "Host": "127.0.0.1"}, 421),
        ({**GOOD, "Host": "127.0.0.1:evil.example"}, 421),
    ],
)  # fmt: skip
def test_who_gets_in(headers: dict[str, str], status: int, served: Served) -> None:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    answer = httpx2.post(served.url, json=HELLO, headers=raw)
    assert answer.status_code == status
    if status != 200:
        assert "serverInfo" not in answer.text and len(answer.text) < 100


def test_a_page_of_this_server_itself_may_come(served: Served) -> None:
    headers = {**GOOD, "Origin": f"http://{served.place}"}
    assert httpx2.post(served.url, json=HELLO, headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["/", "/mcp/", "/docs", "/.well-known/oauth-protected-resource"])
def test_no_other_path_is_open(path: str, served: Served) -> None:
    assert httpx2.get(f"http://{served.place}{path}").status_code == 401


def test_a_huge_request_is_refused(served: Served) -> None:
    answer = httpx2.post(served.url, content=b"[" + b" " * (2 << 20) + b"]",
                         headers={**GOOD, "Content-Type": "application/json"})  # fmt: skip
    assert answer.status_code == 413


# --- what is not started


def test_a_token_is_made_and_told_once(home: Home) -> None:
    served = Served(home)
    found = re.search(r"the token of this run: (\S{43})\n", served.said)
    assert found is not None
    headers = {**ACCEPT, "Authorization": f"Bearer {found[1]}"}
    assert httpx2.post(served.url, json=HELLO, headers=headers).status_code == 200
    served.stop()
    assert served.said.count(found[1]) == 1


def refused(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """What is said by a server that must not start."""
    assert schedc.cli.run(["mcp", *options]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(f"error[{CANT_START}]: ") and "= help: " in err
    return err


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("0.0.0.0:0", "0.0.0.0 isn't loopback"),
        ("[::]:0", ":: isn't loopback"),
        ("192.0.2.1:7070", "192.0.2.1 isn't loopback"),
        ("example.org:80", "no address of this machine's loopback"),
        ("127.0.0.1", "no address to listen on"),
        ("127.0.0.1:99999", "no address to listen on"),
    ],
)
def test_nothing_but_loopback(
    address: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert why in refused(capsys, "--http", address)


def test_a_token_that_others_can_read_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "token"
    options = ("--http", "127.0.0.1:0", "--token-file", str(file))
    assert "can't be read" in refused(capsys, *options)
    file.write_text(TOKEN)
    file.chmod(0o644)
    assert "may be read by others" in refused(capsys, *options)
    file.chmod(0o600)
    file.write_text("short")
    assert "holds no token" in refused(capsys, *options)


def test_a_folder_that_the_server_writes_holds_no_plans(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shared = tmp_path / "plans"
    shared.mkdir()
    said = refused(capsys, "--allow-apply", str(shared), "--plans", str(tmp_path))
    assert "is one that the server writes" in said
    shared.chmod(0o777)
    assert "others than you can write" in refused(capsys, "--allow-apply", str(shared))


def test_without_the_package(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("schedc.cli.mcp.find_spec", lambda name: None)
    assert "schedc[mcp]" in refused(capsys)
