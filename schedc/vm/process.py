"""One running QEMU and the two sockets that drive it.

Input: what to start. Output: a process that answers on its port and its monitor.
Invariant: QEMU never outlives us. It dies with this process (parent-death signal), with the object
(`close`), and by itself: the guest powers off when its port is closed.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from schedc.vm import oops
from schedc.vm.children import bound
from schedc.vm.errors import BOOT_FAILED, GUEST_DIED, VmError, disk_errors
from schedc.vm.qmp import Monitor
from schedc.vm.store import Store

CONSOLE_TAIL = 12


class Process:
    """A started QEMU. `make_arguments(port_fd, monitor_fd, console)` gives its command line."""

    def __init__(self, store: Store, make_arguments: Callable[[int, int, Path], Sequence[str]]):
        parent = store.directory("run")
        with disk_errors(store.root):
            self.folder = Path(tempfile.mkdtemp(prefix="m-", dir=parent))
        self._console_path = self.folder / "console"
        self._console_path.touch()
        self.port, port_end = socket.socketpair()
        self._monitor_socket, monitor_end = socket.socketpair()
        self._monitor: Monitor | None = None
        self._buffer = bytearray()
        try:
            arguments = make_arguments(port_end.fileno(), monitor_end.fileno(), self._console_path)
            self._process = _start(arguments, (port_end.fileno(), monitor_end.fileno()))
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        finally:
            port_end.close()
            monitor_end.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def monitor(self) -> Monitor:
        if self._monitor is None:
            self._monitor = Monitor(self._monitor_socket)
        return self._monitor

    @property
    def console(self) -> str:
        """What the guest's kernel printed so far, without control characters."""
        try:
            text = self._console_path.read_text(errors="replace")
        except OSError:
            return ""
        return re.sub(r"[^\n\t\x20-\x7e]|\x1b\[[0-9;?]*[A-Za-z]", "", text)

    def read_line(self, deadline: float, limit: int = 4096) -> bytes:
        """The guest's next line, without its end."""
        while b"\n" not in self._buffer:
            if len(self._buffer) > limit:
                raise VmError(GUEST_DIED, "the guest sends something that is no protocol")
            self._fill(deadline)
        line, _, rest = bytes(self._buffer).partition(b"\n")
        self._buffer[:] = rest
        return line

    def read_bytes(self, size: int, deadline: float) -> bytes:
        while len(self._buffer) < size:
            self._fill(deadline)
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def send(self, data: bytes, deadline: float) -> None:
        self.port.settimeout(max(deadline - time.monotonic(), 0.01))
        try:
            self.port.sendall(data)
        except TimeoutError:
            raise
        except OSError as e:
            raise self.died() from e

    def _fill(self, deadline: float) -> None:
        """Wait for more bytes; TimeoutError at the deadline."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.port.settimeout(left)
        try:
            data = self.port.recv(1 << 20)
        except TimeoutError:
            raise
        except OSError as e:
            raise self.died() from e
        if not data:
            raise self.died()
        self._buffer += data

    def died(self, code: str = GUEST_DIED) -> VmError:
        """What to say about a QEMU that closed its port."""
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
        said = self._stderr_tail()
        lines = [line for line in self.console.splitlines() if line.strip()]
        panic = next((line for line in lines if "Kernel panic" in line), None)
        if panic:
            what = f"the guest's kernel panicked: {re.sub(r'^.*Kernel panic - ', '', panic)}"
        elif said:
            what, code = "QEMU gave up", BOOT_FAILED
        else:
            what = "the guest powered off or QEMU was killed"
        told = oops.beginning(self.console) or lines[-CONSOLE_TAIL:]
        return VmError(code, what, notes=(*said, *told))

    def _stderr_tail(self) -> tuple[str, ...]:
        assert self._process.stderr is not None
        os.set_blocking(self._process.stderr.fileno(), False)
        text = (self._process.stderr.read() or b"").decode(errors="replace")
        lines = [line for line in text.splitlines() if ": warning: " not in line]
        return tuple(line for line in lines if "terminating on signal" not in line)[-4:]

    def close(self) -> None:
        """End QEMU at once and remove what it left on disk; safe to call again."""
        self._process.kill()
        self._process.wait()
        if self._process.stderr:
            self._process.stderr.close()
        self.port.close()
        self._monitor_socket.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _start(arguments: Sequence[str], fds: tuple[int, ...]) -> subprocess.Popen[bytes]:
    wrapper, prepare = bound()
    return subprocess.Popen(
        [*wrapper, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=fds,
        # Ctrl-C in a terminal goes to the whole process group: QEMU is ended by us, not by it.
        start_new_session=True,
        preexec_fn=prepare,
    )
