"""The streamable HTTP transport, for clients on this machine.

Input: an address, a token. Output: an ASGI application and its server. Invariant: it listens on
loopback alone; every request, whatever its path, has the token, names this server in `Host`, and
comes from no web page of another place (`Origin`), so that a browser can't be led here.
"""

from __future__ import annotations

import hmac
import ipaddress
import os
import re
import secrets
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schedc.mcp.refusal import CANT_START, refuse
from schedc.records import dataclass

if TYPE_CHECKING:
    from mcp.server.lowlevel.server import Server
    from starlette.types import ASGIApp, Receive, Scope, Send

PATH = "/mcp"
MAX_BODY = 1 << 20
_MOST_SESSIONS = 16
_ADDRESS = re.compile(r"(?:\[(?P<six>[0-9a-fA-F:]+)\]|(?P<host>[^:\[\]]+)):(?P<port>[0-9]{1,5})")
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{16,512}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Listening:
    """A bound socket, and who may talk to it. `made`: the token was made for this run."""

    socket: socket.socket
    token: str
    made: bool

    @property
    def hosts(self) -> tuple[str, ...]:
        """What `Host` may say."""
        names = {"127.0.0.1", "localhost", "[::1]", self._host}
        return tuple(f"{name}:{self._port}" for name in sorted(names))

    @property
    def origins(self) -> tuple[str, ...]:
        """What `Origin` may say, where there is one."""
        return tuple(f"http://{host}" for host in self.hosts)

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self._port}{PATH}"

    @property
    def _host(self) -> str:
        address = str(self.socket.getsockname()[0])
        return f"[{address}]" if ":" in address else address

    @property
    def _port(self) -> int:
        return int(self.socket.getsockname()[1])


def listen(address: str, token_file: Path | None) -> Listening:
    """Bind the address and read or make the token; raises `Refused` (E1240)."""
    host, port = _parsed(address)
    token = read_token(token_file) if token_file is not None else secrets.token_urlsafe(32)
    family = socket.AF_INET6 if host.version == 6 else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((str(host), port))
        bound.listen(64)  # who reads the address below may come at once
    except OSError as failure:
        bound.close()
        raise refuse(
            CANT_START, f"can't listen on {host} port {port}: {failure.strerror}",
            help="take another port; with port 0 a free one is found",
        ) from failure
    return Listening(bound, token, token_file is None)


def _parsed(address: str) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]:
    found = _ADDRESS.fullmatch(address)
    if found is None or int(found["port"]) > 65535:
        raise refuse(CANT_START, "that is no address to listen on",
                     help="write ADDRESS:PORT, such as 127.0.0.1:7070")
    name = found["six"] or found["host"]
    try:
        host = ipaddress.ip_address("127.0.0.1" if name == "localhost" else name)
    except ValueError:
        raise refuse(CANT_START, "that is no address of this machine's loopback",
                     help="write 127.0.0.1:PORT or [::1]:PORT") from None
    if not host.is_loopback:
        raise refuse(
            CANT_START, f"{host} isn't loopback: the server is for clients on this machine",
            "whoever has the token could read and profile this machine from elsewhere",
            help="write 127.0.0.1:PORT; from another machine, tunnel to it through ssh",
        )
    return host, int(found["port"])


def read_token(path: Path) -> str:
    """A token that only its owner can read; raises `Refused`."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            found = os.fstat(handle)
            text = file.read(4096).decode("ascii", "replace").strip()
    except OSError as failure:
        raise refuse(CANT_START, f"the file of the token can't be read: {failure.strerror}",
                     help="openssl rand -hex 32 > FILE; chmod 600 FILE") from failure
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise refuse(CANT_START, "the file of the token may be read by others than you",
                     help="chmod 600 FILE; it must be a plain file of yours")
    if not _TOKEN.fullmatch(text):
        raise refuse(CANT_START, "the file holds no token",
                     "a token has 16 to 512 letters, digits or any of . _ ~ + / = -",
                     help="openssl rand -hex 32 > FILE; chmod 600 FILE")
    return text


async def serve(server: Server[Any], listening: Listening) -> None:
    """Serve until the task is cancelled."""
    import uvicorn
    from mcp.server.transport_security import TransportSecuritySettings

    app = server.streamable_http_app(
        streamable_http_path=PATH, max_request_body_size=MAX_BODY, max_sessions=_MOST_SESSIONS,
        transport_security=TransportSecuritySettings(
            allowed_hosts=list(listening.hosts), allowed_origins=list(listening.origins)
        ),
    )
    config = uvicorn.Config(
        Guard(app, listening), log_level="warning", access_log=False, lifespan="on",
        timeout_graceful_shutdown=2, server_header=False,
    )

    class Served(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            """Signals are `serve._wait_for_signals`'s."""
            yield

    await Served(config).serve(sockets=[listening.socket])


class Guard:
    """In front of everything: no request without the token gets further."""

    def __init__(self, app: ASGIApp, listening: Listening) -> None:
        self._app = app
        self._hosts = {one.encode() for one in listening.hosts}
        self._origins = {one.encode() for one in listening.origins}
        self._token = f"Bearer {listening.token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        status, why = self._wrong(scope)
        if not status:
            await self._app(scope, receive, send)
            return
        from starlette.responses import PlainTextResponse

        headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
        await PlainTextResponse(why, status, headers=headers)(scope, receive, send)

    def _wrong(self, scope: Scope) -> tuple[int, str]:
        """A status and a reason; 0 if the request may pass."""
        if scope["type"] != "http":
            return 404, "not found\n"
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.lower(), []).append(value)
        hosts, origins = headers.get(b"host", []), headers.get(b"origin", [])
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return 421, "this server is called 127.0.0.1 or localhost\n"
        if any(one.lower() not in self._origins for one in origins):
            return 403, "not for web pages of another place\n"
        given = headers.get(b"authorization", [])
        if len(given) != 1 or not hmac.compare_digest(given[0], self._token):
            return 401, "give the token: Authorization: Bearer …\n"
        return 0, ""
