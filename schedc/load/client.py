"""Talking to the loader, from code without privileges.

Input: requests (plain values, see `serve.py`). Output: replies, or the `LoadError` that the loader
answered with. Invariant: a loader that is gone, silent or odd is a `LoadError`, never a hang: every
call has a time limit.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import IO, Any

from schedc.load.errors import LOADER_FAILED, NO_LOADER, NOT_ALLOWED, LoadError, error_of
from schedc.load.places import Places, places
from schedc.load.plan import Plan

MAX_REPLY = 16 << 20
PATIENCE_S = 20.0
LOAD_PATIENCE_S = 180.0
"""The verifier, attaching, and going back to what ran before if either fails."""
START_S = 60.0


class Client:
    """One connection. Requests are answered in order."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._rest = b""

    @classmethod
    def connect(cls, where: Places | None = None) -> Client:
        """Connect to the loader that runs; E0830 if there is none, E0845 if it isn't for us."""
        path = (where or places()).socket
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        connection.settimeout(PATIENCE_S)
        try:
            _connect(connection, str(path))
        except PermissionError as refused:
            connection.close()
            raise LoadError(
                NOT_ALLOWED, "the loader is not for this user",
                help="become root, or a member of the group schedc",
            ) from refused  # fmt: skip
        except OSError as missing:
            connection.close()
            raise LoadError(
                NO_LOADER, "no loader is running", notes=(f"{path}: {missing.strerror}",),
                help="start it: `systemctl start schedc-loader`, or as root `python3 -I -m "
                "schedc.load serve`",
            ) from missing  # fmt: skip
        return cls(connection)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def fileno(self) -> int:
        return self._connection.fileno()

    def ask(self, request: Mapping[str, Any], patience_s: float | None = None) -> dict[str, Any]:
        """Send a request and wait for its reply; a reply that says no is raised."""
        if patience_s is None:
            slow = request.get("do") in ("load", "rollback", "unload")
            patience_s = LOAD_PATIENCE_S if slow else PATIENCE_S
        self.send(request)
        reply = self.receive(patience_s)
        if reply is None:
            raise LoadError(
                LOADER_FAILED, f"the loader did not answer within {patience_s:g} s",
                help="`schedc status` says what runs; the journal of the loader may say why",
            )  # fmt: skip
        if reply.get("ok") is not True:
            raise error_of(reply)
        return reply

    def canary(self, plan: Plan | Mapping[str, Any], seconds: float, by: str) -> CanaryHandle:
        """Load on trial. Unless `confirm` comes in time, and this process stays, what ran before
        comes back."""
        values = plan.as_json() if isinstance(plan, Plan) else dict(plan)
        reply = self.ask({"do": "load", "plan": values, "canary_s": seconds, "by": by})
        return CanaryHandle(self, reply)

    def send(self, request: Mapping[str, Any]) -> None:
        data = json.dumps(request).encode() + b"\n"
        try:
            self._connection.settimeout(PATIENCE_S)
            self._connection.sendall(data)
        except OSError as gone:
            # It may have said why before it closed.
            said = self.receive(1.0)
            raise error_of(said) if said else _gone() from gone

    def receive(self, patience_s: float) -> dict[str, Any] | None:
        """The next reply; None if there is none in time."""
        end = time.monotonic() + patience_s
        while b"\n" not in self._rest:
            left = end - time.monotonic()
            if left <= 0 and patience_s > 0:
                return None
            self._connection.settimeout(max(left, 0.001))
            try:
                got = self._connection.recv(1 << 16)
            except (TimeoutError, BlockingIOError):
                return None
            except OSError as gone:
                raise _gone() from gone
            if not got:
                raise _gone()
            self._rest += got
            if len(self._rest) > MAX_REPLY:
                raise LoadError(LOADER_FAILED, "the loader's answer can't be read")
        line, _, self._rest = self._rest.partition(b"\n")
        try:
            reply = json.loads(line)
        except (ValueError, RecursionError):
            reply = None
        if not isinstance(reply, dict):
            raise LoadError(LOADER_FAILED, "the loader's answer can't be read")
        return reply


class CanaryHandle:
    """A policy on trial. `loaded`: the loader's reply to the load."""

    def __init__(self, client: Client, loaded: Mapping[str, Any]) -> None:
        self._client = client
        self.loaded = dict(loaded)

    def confirm(self) -> dict[str, Any]:
        """Keep it."""
        return self._client.ask({"do": "confirm"})

    def abort(self, reason: str) -> dict[str, Any]:
        """Go back to what ran before."""
        return self._client.ask({"do": "abort", "reason": reason}, LOAD_PATIENCE_S)

    def poll(self) -> LoadError | None:
        """What ended the trial before its time (an ejection, the deadline), or None if it goes
        on. Takes a millisecond."""
        try:
            said = self._client.receive(0.0)
        except LoadError as gone:
            return gone
        return None if said is None else error_of(said)


def _gone() -> LoadError:
    return LoadError(
        LOADER_FAILED, "the loader ended the connection",
        help="`schedc status` says what runs; the journal of the loader may say why",
    )


def command() -> tuple[str, ...]:
    """The loader's command line, with this Python."""
    return (sys.executable, "-I", "-m", "schedc.load", "serve")


def start_loader(where: Places | None = None) -> Client:
    """Start a loader that outlives this process, and connect to it; only root can."""
    if os.geteuid() != 0:
        raise LoadError(
            NO_LOADER, "no loader is running, and only root can start one",
            help=f"start it: `systemctl start schedc-loader`, or `sudo {' '.join(command())}`",
        )  # fmt: skip
    kept = {name: value for name in ("SCHEDC_RUN_DIR", "SCHEDC_STATE_DIR")
            if (value := os.environ.get(name))}  # fmt: skip
    # A file, not a pipe: the loader lives on when nobody reads any more.
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command(), env=kept, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=errors, start_new_session=True,
        )  # fmt: skip
        end = time.monotonic() + START_S
        while time.monotonic() < end and process.poll() is None:
            try:
                return Client.connect(where)
            except LoadError as not_yet:
                if not_yet.code != NO_LOADER:
                    raise
                time.sleep(0.05)
        raise _did_not_start(process, errors)


def _connect(connection: socket.socket, path: str) -> None:
    """Wait for a place among those who wait: the loader may be busy, and the queue full. A socket
    with a time limit isn't put there by the kernel, but told at once (EAGAIN)."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            return connection.connect(path)
        except BlockingIOError:
            if time.monotonic() >= end:
                raise
        time.sleep(0.05)


def _did_not_start(process: subprocess.Popen[bytes], errors: IO[bytes]) -> LoadError:
    """What the loader said when it gave up; it ends with one line of JSON."""
    if process.poll() is None:
        process.terminate()
        return LoadError(LOADER_FAILED, f"the loader was not ready within {START_S:g} s")
    errors.seek(0)
    said = errors.read(1 << 16).decode("utf-8", "replace").strip().splitlines()
    try:
        return error_of(json.loads(said[-1]))
    except (ValueError, IndexError, AttributeError, RecursionError):
        return LoadError(
            LOADER_FAILED, f"the loader ended with status {process.returncode}",
            notes=tuple(said[-4:]),
        )  # fmt: skip
