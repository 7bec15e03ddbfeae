"""The collectors that trace: a privileged process of their own, and what it says.

Input: a target and the program to load. Output: what it counted, as it printed it (`counts` checks
it). Invariant: this process needs no rights itself; the other one ends when this one does, and its
output is bounded.
"""

from __future__ import annotations

import base64
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from schedc.profile.errors import (
    COLLECTOR_FAILED,
    NO_KERNEL_SUPPORT,
    NO_RIGHTS,
    ProfileError,
)
from schedc.profile.target import Target

BTF = Path("/sys/kernel/btf/vmlinux")
MAX_OUTPUT = 64 << 20
READY_S = 900.0
"""Loading takes a second; bcc, which compiles, takes a minute or two in an emulated machine."""
_SLICE_S = 0.1
_CAP_SYS_ADMIN, _CAP_PERFMON, _CAP_BPF = 21, 38, 39


def check_rights(proc: Path = Path("/proc")) -> None:
    """E1222 unless this user may trace."""
    effective = 0
    with suppress(OSError):
        for line in (proc / "self/status").read_text(encoding="latin-1").splitlines():
            if line.startswith("CapEff:"):
                effective = int(line.split()[1], 16)
    if not effective >> _CAP_SYS_ADMIN & 1 and not (
        effective >> _CAP_BPF & 1 and effective >> _CAP_PERFMON & 1
    ):
        raise ProfileError(
            NO_RIGHTS, "this user may not trace (CAP_BPF and CAP_PERFMON)",
            help="use sudo, or `--collector proc`, which needs no rights",
        )  # fmt: skip


def check_btf(path: Path = BTF) -> None:
    """E1223 unless the kernel describes its types."""
    if not path.exists():
        raise ProfileError(
            NO_KERNEL_SUPPORT, "this kernel has no BTF",
            help="boot one with CONFIG_DEBUG_INFO_BTF=y, or use `--collector proc`",
        )  # fmt: skip


def bpf_command() -> list[str]:
    """Isolated: neither the folder it is started in nor the environment adds modules to it."""
    return [sys.executable, "-I", "-m", "schedc.load.collect"]


def bpf_request(object_: bytes, target: Target, seconds: float) -> dict[str, Any]:
    return {"object": base64.b64encode(object_).decode(), **request(target, seconds)}


def request(target: Target, seconds: float) -> dict[str, Any]:
    return {
        "seconds": seconds,
        "target": {"kind": target.kind, "pid": target.pid, "cgroup": target.cgroup_id},
    }


class Tracer:
    """A privileged process that watches. Use as a context: leaving it ends the process."""

    def __init__(self, command: list[str], asked: dict[str, Any]) -> None:
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for this process, which then asks for the rest
            )  # fmt: skip
        except OSError as failure:
            raise ProfileError(
                COLLECTOR_FAILED, f"the collector can't be started: {failure.strerror}"
            ) from failure
        self._rest = b""
        with suppress(BrokenPipeError):
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(asked).encode() + b"\n")
            self._process.stdin.flush()
        self.began = self._ready()

    def _ready(self) -> float:
        """Wait until it watches; what it says instead is an error."""
        said = self._line(time.monotonic() + READY_S)
        if said.get("ready") is not True:
            raise self._failure(said)
        return time.monotonic()

    def wait(self, seconds: float, over: Callable[[], bool]) -> None:
        """Until the time is over, or `over()` is true, or it ends by itself."""
        end = self.began + seconds
        while (left := end - time.monotonic()) > 0 and not over():
            if self._process.poll() is not None:
                return
            time.sleep(min(left, _SLICE_S))

    def finish(self) -> dict[str, Any]:
        """Have it end, and read what it counted."""
        with suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        said = self._line(time.monotonic() + READY_S)
        if said.get("ok") is not True:
            raise self._failure(said)
        return said

    def _line(self, until: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        handle = self._process.stdout.fileno()
        parts = [self._rest]
        size = len(self._rest)
        while b"\n" not in parts[-1]:
            ready, _, _ = select.select([handle], [], [], max(0.0, until - time.monotonic()))
            data = os.read(handle, 1 << 20) if ready else b""
            size += len(data)
            if not data or size > MAX_OUTPUT:
                return {}
            parts.append(data)
        line, _, self._rest = b"".join(parts).partition(b"\n")
        try:
            said = json.loads(line)
        except (ValueError, RecursionError):
            return {}
        return said if isinstance(said, dict) else {}

    def _failure(self, said: dict[str, Any]) -> ProfileError:
        """What the process said is wrong, or the end of its error output."""
        if isinstance(said.get("message"), str):
            notes = said.get("notes")
            lines = [str(one) for one in notes] if isinstance(notes, list) else []
            return ProfileError(
                NO_KERNEL_SUPPORT, f"the collector: {_shown(said['message'])}",
                notes=tuple(map(_shown, lines[-4:])),
            )  # fmt: skip
        self.close()
        error = self._process.stderr.read(1 << 16) if self._process.stderr else b""
        lines = error.decode("utf-8", "replace").strip().splitlines()
        return ProfileError(
            COLLECTOR_FAILED, "the collector ended without a result",
            notes=tuple(map(_shown, lines[-3:])),
        )  # fmt: skip

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def __enter__(self) -> Tracer:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()


def _shown(line: str) -> str:
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in line[:200])
