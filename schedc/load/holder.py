"""The process that holds a scheduler, and how its parent talks to it.

Input: a plan that was verified. Output: one line of JSON for each order, and one of its own accord
when the scheduler is gone. Invariant: the link is in this process alone. If it dies, or its parent
does (PR_SET_PDEATHSIG), the kernel goes back to its own scheduler.

Orders: `attach`, `read`, `detach`. Events: `prepared`, `attached`, `facts`, `detached`, `gone`,
`failed` (with a `LoadError`).
"""

from __future__ import annotations

import fcntl
import gc
import json
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from typing import Any, Protocol

from schedc.load.counters import Exit
from schedc.load.errors import LOADER_FAILED, LoadError, error_of
from schedc.load.kernel import KMSG_FD
from schedc.load.plan import Plan
from schedc.load.privileges import die_with, permitted, raise_to, run_first, run_with_others

LOOK_S = 0.2
"""How often the holder looks whether the kernel still runs its scheduler."""
VERIFY_S = 120.0
ATTACH_S = 20.0
DETACH_S = 20.0
READ_S = 5.0
MAX_LINE = 4 << 20


class Loaded(Protocol):
    """What `scheduler.Scheduler` and `bpftool.Scheduler` have in common."""

    name: str
    enable_seq: int
    unresolved: tuple[str, ...]

    def attach(self) -> None: ...
    def is_current(self) -> bool: ...
    def facts(self) -> dict[str, Any]: ...
    def departed(self) -> tuple[Exit | None, tuple[str, ...]]: ...
    def detach(self) -> tuple[bool, Exit | None]: ...
    def close(self) -> None: ...


Backend = Callable[[Plan, int | None], Loaded]
"""Makes a scheduler of a plan; the number is an open /dev/kmsg, if there is one."""


# --- in the child


def _serve(
    connection: socket.socket, plan: Plan, backend: Backend, messages: int | None
) -> None:
    """The holder's whole life."""
    rest = b""
    run_with_others()
    try:
        loaded = backend(plan, messages)
    except LoadError as failure:
        _say(connection, {**failure.as_json(), "event": "failed"})
        return
    _say(connection, {"event": "prepared", "name": loaded.name,
                      "unresolved": list(loaded.unresolved)})  # fmt: skip
    attached = False
    while True:
        ready, _, _ = select.select([connection], [], [], LOOK_S)
        if ready:
            data = connection.recv(4096)
            if not data:  # the parent is gone
                loaded.close()
                return
            rest += data
        while b"\n" in rest:
            order, _, rest = rest.partition(b"\n")
            attached = _obey(connection, loaded, order) or attached
        if attached and not loaded.is_current():
            ended, said = loaded.departed()
            _say(connection, {"event": "gone", "exit": _exit(ended), "messages": said})
            return


def _obey(connection: socket.socket, loaded: Loaded, order: bytes) -> bool:
    """Carry out one order; True once it is attached. Ends the process after `detach`."""
    match order:
        case b"attach":
            run_first()
            try:
                loaded.attach()
            except LoadError as failure:
                _say(connection, {**failure.as_json(), "event": "failed"})
                os._exit(0)
            _say(connection, {"event": "attached", "enable_seq": loaded.enable_seq})
            return True
        case b"read":
            _say(connection, {"event": "facts", **loaded.facts()})
        case b"detach":
            back, ended = loaded.detach()
            _say(connection, {"event": "detached", "back": back, "exit": _exit(ended)})
            os._exit(0)
    return False


def _exit(ended: Exit | None) -> dict[str, Any] | None:
    if ended is None:
        return None
    return {"kind": ended.kind, "code": ended.code, "reason": ended.reason, "msg": ended.msg}


def _say(connection: socket.socket, values: dict[str, Any]) -> None:
    connection.sendall(json.dumps(values).encode() + b"\n")


# --- in the parent


class HolderDied(Exception):
    """The holder ended without a word; `how`: by which signal, or with which status."""

    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.how = how


class Holder:
    """A holder, seen by the process that started it."""

    def __init__(self, plan: Plan, backend: Backend, messages: int | None = None) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        parent = os.getpid()
        gc.freeze()
        self.pid = os.fork()
        if self.pid == 0:
            _child(theirs, messages, plan, backend, parent)
        theirs.close()
        self._connection = ours
        self._rest = b""
        self.plan = plan
        self.unresolved: tuple[str, ...] = ()
        self._late = 0  # answers to `read` that are no longer waited for
        self._status: int | None = None

    def fileno(self) -> int:
        return self._connection.fileno()

    def prepare(self) -> None:
        """Wait until the kernel's verifier has taken it."""
        said = self._expect("prepared", VERIFY_S)
        self.unresolved = tuple(str(one) for one in said.get("unresolved", ()))

    def attach(self) -> int:
        """Make it the scheduler; its number among those enabled since boot."""
        self._order("attach")
        return int(self._expect("attached", ATTACH_S)["enable_seq"])

    def read(self) -> dict[str, Any]:
        """What it counted. One that is slow to answer is left alone: nobody's policy ends because
        somebody asked for figures on a busy machine."""
        self._order("read")
        said = self._receive(READ_S)
        if said is None:
            self._late += 1
            raise LoadError(LOADER_FAILED, f"no figures within {READ_S:g} s")
        return self._checked(said, "facts")

    def detach(self) -> bool:
        """Take it away; whether the kernel's own scheduler is back. One that doesn't answer is
        killed, which detaches it as well."""
        from schedc.load import kernel

        try:
            self._order("detach")
            back = bool(self._expect("detached", DETACH_S)["back"])
        except (LoadError, HolderDied):
            back = False
        self.kill()
        return back or kernel.wait_for(kernel.DISABLED, DETACH_S)

    def kill(self) -> None:
        """End it, however it is."""
        if self._status is None:
            # Once it has said its last word it only has to end; a moment for that.
            for _ in range(50):
                if self._reap():
                    break
                time.sleep(0.002)
            else:
                os.kill(self.pid, signal.SIGKILL)
                self._reap(wait=True)
        self._connection.close()

    def event(self) -> dict[str, Any] | None:
        """What it says of its own accord, when its connection is readable."""
        return self._receive(0.0)

    def _order(self, word: str) -> None:
        try:
            self._connection.sendall(word.encode() + b"\n")
        except OSError:
            raise HolderDied(self._how()) from None

    def _expect(self, event: str, seconds: float) -> dict[str, Any]:
        said = self._receive(seconds)
        if said is None:
            self.kill()
            raise LoadError(LOADER_FAILED, f"the kernel took more than {seconds:g} s, so the load "
                            "was given up")  # fmt: skip
        return self._checked(said, event)

    def _checked(self, said: dict[str, Any], event: str) -> dict[str, Any]:
        if said.get("event") == "failed":
            self.kill()
            raise error_of(said)
        if said.get("event") != event:
            # It was thrown out just now; the loop learns of it from the same line.
            self._rest = json.dumps(said).encode() + b"\n" + self._rest
            raise LoadError(LOADER_FAILED, "the scheduler ended meanwhile")
        return said

    def _receive(self, seconds: float) -> dict[str, Any] | None:
        end = time.monotonic() + seconds
        while (said := self._line(end)) and said.get("event") == "facts" and self._late:
            self._late -= 1
        return said

    def _line(self, end: float) -> dict[str, Any] | None:
        while b"\n" not in self._rest:
            left = max(end - time.monotonic(), 0.0)
            ready, _, _ = select.select([self._connection], [], [], left)
            if not ready:
                return None
            data = self._connection.recv(1 << 16)
            if not data or len(self._rest) > MAX_LINE:
                raise HolderDied(self._how())
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        said = json.loads(line)
        assert isinstance(said, dict)
        return said

    @property
    def pending(self) -> bool:
        """Whether something is to be read already."""
        return b"\n" in self._rest

    def _reap(self, wait: bool = False) -> bool:
        if self._status is None:
            pid, status = os.waitpid(self.pid, 0 if wait else os.WNOHANG)
            if pid == 0:
                return False
            self._status = status
        return True

    def _how(self) -> str:
        """How it ended: it has closed its connection, so it won't be long."""
        for _ in range(500):
            if self._reap():
                break
            time.sleep(0.002)
        if self._status is None:
            return "it closed its connection"
        if os.WIFSIGNALED(self._status):
            number = os.WTERMSIG(self._status)
            return f"killed by {signal.Signals(number).name}"
        return f"ended with status {os.WEXITSTATUS(self._status)}"


def _child(
    theirs: socket.socket, messages: int | None, plan: Plan, backend: Backend, parent: int
) -> None:
    """What the forked process does; it never returns."""
    status = 1
    try:
        raise_to(permitted())
        die_with(parent, signal.SIGKILL)  # after that: a change of rights would undo it
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL if number == signal.SIGCHLD else signal.SIG_IGN)
        signal.set_wakeup_fd(-1)
        # Clients' connections, the lock and the history belong to the parent.
        kept = [theirs.fileno()] if messages is None else [theirs.fileno(), messages]
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 64) for fd in kept]
        for place, fd in enumerate(high, 3):
            os.dup2(fd, place)
        os.closerange(3 + len(high), 1 << 16)
        _serve(socket.socket(fileno=3), plan, backend, None if messages is None else KMSG_FD)
        status = 0
    except BaseException as failure:
        os.write(2, f"schedc-load: holder: {type(failure).__name__}: {failure}\n".encode())
    finally:
        os._exit(status)
