"""The loader's service: its socket, its clients, its end.

    python3 -I -m schedc.load serve [--bpf-stats]

One JSON object a line in both directions; `requests.py` has the requests, each answered by
`{"ok": true, …}` or `{"ok": false, "code": …, "message": …, "help": …, "notes": […]}`. Invariant:
one process serves a run folder (a lock says so); no client can hold up another for longer than a
second, but for the time that the kernel takes to verify a policy; a client's end is noticed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import selectors
import signal
import socket
import sys
from collections.abc import Mapping
from typing import Any

from schedc.load import kernel
from schedc.load.errors import LOADER_FAILED, NO_STATE, NOT_NOW, TWO_LOADERS, LoadError
from schedc.load.holder import HolderDied
from schedc.load.places import Places
from schedc.load.plan import Plan
from schedc.load.requests import MAX_LINE, Request, bad, group_id, parse_request, peer
from schedc.load.state import State
from schedc.load.supervisor import Supervisor

MAX_CLIENTS = 32
SEND_S = 1.0
AS_SERVICE = "run the loader as root, or as the service `schedc-loader`"


class Client:
    """A connection: who it is, and what it sent so far."""

    def __init__(self, connection: socket.socket, who: str) -> None:
        self.connection = connection
        self.who = who
        self.rest = b""


class Server:
    """`backend` makes a scheduler of a plan; `about` says which that is, for `status`; `messages`
    is an open /dev/kmsg."""

    def __init__(
        self, where: Places, state: State, backend: Any, about: Mapping[str, Any],
        messages: int | None = None,
    ) -> None:
        self._where = where
        self._about = dict(about)
        self._clients: dict[int, Client] = {}
        self.supervisor = Supervisor(state, backend, self._tell, messages)
        self._selector = selectors.DefaultSelector()
        self._lock = _lock(where)
        self._listener = _listen(where)
        self._wake, self._waker = socket.socketpair()
        self._stopping = False
        self._holder: int | None = None

    def run(self) -> None:
        """Serve until a signal asks to stop."""
        for one in (self._wake, self._waker):
            one.setblocking(False)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self.supervisor.start()
        while not self._stopping:
            wait = self.supervisor.tick()
            self._watch_holder()
            for key, _ in self._selector.select(wait):
                self._ready(key.fd)
            running = self.supervisor.running
            if running is not None and running.holder.pending:
                self.supervisor.on_event()
        self.supervisor.stop()
        self._where.socket.unlink(missing_ok=True)

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._stopping = True

    def _watch_holder(self) -> None:
        """Have the selector watch the present holder, and no earlier one."""
        running = self.supervisor.running
        now = running.holder.fileno() if running else None
        if self._holder is not None:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(self._holder)
        self._holder = now
        if now is not None:
            self._selector.register(now, selectors.EVENT_READ)

    def _ready(self, fd: int) -> None:
        if fd == self._listener.fileno():
            self._accept()
        elif fd == self._wake.fileno():
            with contextlib.suppress(OSError):
                self._wake.recv(4096)
        elif fd in self._clients:
            self._read(fd)
        elif self.supervisor.running and fd == self.supervisor.running.holder.fileno():
            self.supervisor.on_event()

    # --- clients

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        connection.settimeout(SEND_S)
        try:
            who = peer(connection)
            if len(self._clients) >= MAX_CLIENTS:
                raise LoadError(NOT_NOW, f"the loader has {MAX_CLIENTS} clients already")
        except LoadError as refused:
            with contextlib.suppress(OSError):
                connection.sendall(json.dumps(refused.as_json()).encode() + b"\n")
            connection.close()
            return
        self._watch_holder()  # one that ended may have had this number
        self._clients[connection.fileno()] = Client(connection, who)
        self._selector.register(connection, selectors.EVENT_READ)

    def _read(self, fd: int) -> None:
        client = self._clients[fd]
        try:
            data = client.connection.recv(1 << 20, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(fd)
            return
        client.rest += data
        while fd in self._clients and b"\n" in client.rest:
            line, _, client.rest = client.rest.partition(b"\n")
            self._send(fd, self._answer(fd, client, line))
        if fd in self._clients and len(client.rest) > MAX_LINE:
            self._send(fd, bad("it has no end").as_json())
            self._drop(fd)

    def _answer(self, fd: int, client: Client, line: bytes) -> Mapping[str, Any]:
        try:
            return self._do(fd, client, parse_request(line))
        except LoadError as failure:
            return failure.as_json()
        except OSError as failure:
            return LoadError(NO_STATE, f"the loader: {failure.strerror}").as_json()
        except Exception as bug:  # the loader outlives its own mistakes, and tells them
            say(f"{type(bug).__name__}: {bug}")
            return LoadError(
                LOADER_FAILED, f"a mistake in the loader: {type(bug).__name__}: {bug}",
                help="please report it; `schedc status` says what runs",
            ).as_json()  # fmt: skip

    def _do(self, fd: int, client: Client, request: Request) -> Mapping[str, Any]:
        supervisor, state = self.supervisor, self.supervisor.state
        # What the client says of itself is worth a word only beside what the kernel says.
        said = request.by not in ("", client.who)
        by = f"{request.by} ({client.who})" if said else client.who
        match request.do:
            case "load":
                assert request.plan is not None
                return supervisor.load(request.plan, request.canary_s, by, fd)
            case "confirm":
                return supervisor.confirm(fd, by)
            case "abort":
                return supervisor.abort(fd, request.reason, by)
            case "rollback":
                return supervisor.rollback(request.reason, by)
            case "unload":
                return supervisor.unload(request.reason, by)
            case "history":
                return {"ok": True, "history": state.history(request.last)}
            case "clear":
                cleared = state.clear(request.hash)
                if cleared is None:
                    raise LoadError(
                        NOT_NOW, f"no policy is quarantined as {request.hash!r}, or several are",
                        help="`schedc quarantine` lists them; eight digits are enough",
                    )  # fmt: skip
                return {"ok": True, "hash": cleared, "notes": state.warnings()}
            case _:
                return self._status()

    def _status(self) -> dict[str, Any]:
        supervisor = self.supervisor
        running, facts = supervisor.running, {}
        if running is not None:
            with contextlib.suppress(LoadError, HolderDied):
                facts = running.holder.read()
        now = kernel.read_current(running.plan.object_sha256 if running else None)
        policy = None
        if running is not None:
            policy = {**_named(running.plan), "stage": running.stage, "since": running.since,
                      "by": running.by}  # fmt: skip
        before = supervisor.before()
        return {
            "ok": True,
            "kernel": {
                "release": kernel.this_kernel().release, "state": now.state, "ops": now.ops,
                "enable_seq": now.enable_seq, "nr_rejected": kernel.nr_rejected(),
                "events": kernel.events(),
            },
            "policy": policy,
            "previous": _named(before) if before else None,
            "counters": facts.get("counters", {"classes": [], "queues": []}),
            "waits": facts.get("waits", []),
            "programs": facts.get("programs", []),
            "quarantined": supervisor.state.quarantine(),
            "loader": {**self._about, "pid": os.getpid(),
                       "holder": running.holder.pid if running else None},
            "notes": supervisor.state.warnings(),
        }  # fmt: skip

    def _tell(self, fd: int, message: Mapping[str, Any]) -> None:
        self._send(fd, message)

    def _send(self, fd: int, message: Mapping[str, Any]) -> None:
        client = self._clients.get(fd)
        if client is None:
            return
        try:
            client.connection.settimeout(SEND_S)
            client.connection.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            self._drop(fd)

    def _drop(self, fd: int) -> None:
        client = self._clients.pop(fd, None)
        if client is not None:
            self._selector.unregister(client.connection)
            client.connection.close()
            self.supervisor.lost(fd)


def _named(plan: Plan) -> dict[str, Any]:
    return {"name": plan.policy.name, "version": plan.policy.version,
            "object": plan.object_sha256, "source": plan.policy.source_sha256,
            "settings": plan.settings,
            "bounds": [{"class": one.cls, "text": one.text, "at_n": one.at_n,
                        "wait_ms": one.wait_ms, "promise_ms": one.promise_ms}
                       for one in plan.bounds]}  # fmt: skip


def _lock(where: Places) -> int:
    """Held as long as the process lives; E0846 if another one has it."""
    try:
        where.run.mkdir(mode=0o755, parents=True, exist_ok=True)
        fd = os.open(where.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as failure:
        raise LoadError(NO_STATE, f"{where.run}: {failure.strerror}",
                        help=AS_SERVICE) from failure
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as taken:
        pid = os.pread(fd, 20, 0).decode("ascii", "replace").strip()
        os.close(fd)
        raise LoadError(
            TWO_LOADERS, f"another loader runs already (process {pid or '?'})",
            help="use that one; or stop it: `systemctl stop schedc-loader`",
        ) from taken  # fmt: skip
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


def _listen(where: Places) -> socket.socket:
    """The socket, for root and the group; nobody else can so much as connect."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    listener.setblocking(False)
    try:
        # In its place only when it is ready: who finds it can connect.
        new = where.socket.with_suffix(".new")
        new.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            listener.bind(str(new))
        finally:
            os.umask(before)
        if (group := group_id()) is not None and os.geteuid() == 0:
            os.chown(new, 0, group)
        new.chmod(0o660)
        listener.listen(MAX_CLIENTS)
        new.replace(where.socket)
    except OSError as failure:
        raise LoadError(NO_STATE, f"{where.socket}: {failure.strerror}",
                        help=AS_SERVICE) from failure
    return listener


def say(message: str) -> None:
    """To the journal. Nobody may be reading: that is no reason to end."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"schedc-load: {message}\n")
        sys.stderr.flush()
