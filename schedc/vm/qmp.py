"""QEMU's control protocol (QMP), as much as saving and restoring needs.

Input: a connected socket. Output: the answers, as dictionaries.
Invariant: every wait has a deadline; a QEMU that is gone shows as a VmError.
"""

from __future__ import annotations

import json
import socket
import time
from typing import Any

from schedc.vm.errors import BOOT_FAILED, GUEST_DIED, VmError


class Monitor:
    """One QMP session."""

    def __init__(self, sock: socket.socket, timeout_s: float = 20.0) -> None:
        self._sock = sock
        self._timeout_s = timeout_s
        self._buffer = b""
        self._events: list[dict[str, Any]] = []
        self._receive(time.monotonic() + timeout_s)  # the greeting
        self.command("qmp_capabilities")

    def command(self, name: str, **arguments: object) -> Any:
        """Execute a command; returns what it returns, raises what it refuses."""
        message: dict[str, object] = {"execute": name}
        if arguments:
            message["arguments"] = {k.replace("_", "-"): v for k, v in arguments.items()}
        try:
            self._sock.sendall(json.dumps(message).encode() + b"\n")
        except OSError as e:
            raise _gone(str(e)) from e
        deadline = time.monotonic() + self._timeout_s
        while True:
            answer = self._receive(deadline)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise VmError(BOOT_FAILED, f"QEMU refused {name}: {answer['error'].get('desc')}")
            self._events.append(answer)

    def wait_for_migration(self, timeout_s: float) -> None:
        """Until a migration (a save or a restore) is complete."""
        deadline = time.monotonic() + timeout_s
        pause = 0.002
        while True:
            answer = self.command("query-migrate")
            match answer.get("status"):
                case "completed":
                    return
                case "failed" | "cancelled":
                    raise VmError(BOOT_FAILED, f"QEMU: {answer.get('error-desc', 'not migrated')}")
            if time.monotonic() > deadline:
                raise VmError(BOOT_FAILED, "QEMU did not finish saving or restoring in time")
            time.sleep(pause)
            pause = min(pause * 1.5, 0.05)

    def _receive(self, deadline: float) -> dict[str, Any]:
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0:
                raise VmError(BOOT_FAILED, "QEMU's monitor does not answer")
            self._sock.settimeout(left)
            try:
                data = self._sock.recv(65536)
            except TimeoutError:
                continue
            except OSError as e:
                raise _gone(str(e)) from e
            if not data:
                raise _gone("it closed its monitor")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer = json.loads(line)
        assert isinstance(answer, dict)
        return answer


def _gone(why: str) -> VmError:
    return VmError(GUEST_DIED, f"QEMU is gone: {why}")
