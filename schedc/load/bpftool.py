"""One scheduler in the kernel, through bpftool: what is left where libbpf can't be used.

Input: a plan that was verified. Output: a `Scheduler` as in `scheduler.py`. What is weaker:

- bpftool sets no constants, so only plans without settings are taken, and the object believes in
  one cache and one node.
- Its links are pinned in bpffs, as the scheduler would be gone with bpftool otherwise. So the
  kernel doesn't take it away when this process is killed: the holder does when it can, and the
  service when it starts (`clean`). If both are killed, the scheduler stays.
- No counters, and the reason of an end is what the kernel's log says.

Invariant: as there, `attach` returns only if the kernel says that it is enabled. `bpftool
struct_ops register` says 'Registered' and ends with 0 also where nothing stays.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

from schedc.load import kernel
from schedc.load.counters import Exit
from schedc.load.errors import BAD_SETTING, CANNOT_LOAD, NO_RIGHTS, NOT_ENABLED, LoadError
from schedc.load.plan import Plan
from schedc.load.privileges import must_run_first

PINS = Path("/sys/fs/bpf/schedc")
PATIENCE_S = 100.0
ENABLE_S = 5.0
DETACH_S = 10.0


class Scheduler:
    """The life of a scheduler that bpftool registers."""

    def __init__(
        self, plan: Plan, program: Path, run: Path, messages: int | None = None
    ) -> None:
        if any(line and not line.startswith("#") for line in plan.settings.splitlines()):
            raise LoadError(
                BAD_SETTING, "bpftool can't set what the plan sets",
                notes=tuple(plan.settings.splitlines()[:4]),
                help="install libbpf1 1.4 or later, or make a plan without settings",
            )  # fmt: skip
        self._program = program
        self._messages = kernel.Messages(messages)
        self._object = run / "object.o"
        self._object.unlink(missing_ok=True)
        fd = os.open(self._object, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(plan.object)
        self.name = plan.policy.name
        self.enable_seq = 0
        self.unresolved: tuple[str, ...] = ()

    def attach(self) -> None:
        """Register, and see that it stays."""
        must_run_first()
        before = kernel.enable_seq()
        PINS.mkdir(mode=0o700, exist_ok=True)
        done = self._run("struct_ops", "register", str(self._object), str(PINS))
        end = time.monotonic() + ENABLE_S
        while done.returncode == 0 and time.monotonic() < end and not self._enabled(before):
            time.sleep(kernel.POLL_S)
        self.enable_seq = kernel.enable_seq()
        if done.returncode == 0 and self._enabled(before):
            self.name = kernel.read_current().ops
            return
        unpin()
        said = [line[:300] for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        said += self._messages.read()
        if broken := kernel.malformed_btf(tuple(said)):
            raise broken
        if done.returncode:
            raise LoadError(
                CANNOT_LOAD, f"bpftool ended with status {done.returncode}",
                notes=tuple(said[-8:]), help="install libbpf1 1.4 or later",
            )  # fmt: skip
        raise LoadError(
            NOT_ENABLED, "bpftool says that it is registered, but no scheduler is enabled",
            notes=tuple(said[-8:]), help="install libbpf1 1.4 or later",
        )

    def _enabled(self, before: int) -> bool:
        now = kernel.read_current()
        pinned = PINS.is_dir() and any(PINS.iterdir())
        return pinned and now.state == kernel.ENABLED and now.enable_seq > before

    def is_current(self) -> bool:
        now = kernel.read_current()
        return (now.state, now.ops, now.enable_seq) == (
            kernel.ENABLED, self.name, self.enable_seq,
        )  # fmt: skip

    def facts(self) -> dict[str, Any]:
        """Nothing is counted for bpftool."""
        return {"counters": {"classes": [], "queues": []}, "waits": [], "programs": []}

    def departed(self) -> tuple[Exit | None, tuple[str, ...]]:
        """No exit record without libbpf; the kernel's log has the reason."""
        kernel.wait_for(kernel.DISABLED, DETACH_S)
        self.close()
        return None, self._messages.read()

    def detach(self) -> tuple[bool, Exit | None]:
        unpin()
        self._object.unlink(missing_ok=True)
        return kernel.wait_for(kernel.DISABLED, DETACH_S), None

    def close(self) -> None:
        unpin()
        self._object.unlink(missing_ok=True)

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                [str(self._program), *arguments], capture_output=True, text=True,
                errors="replace", timeout=PATIENCE_S, env={}, cwd="/", check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as failure:
            unpin()
            raise LoadError(CANNOT_LOAD, f"bpftool: {str(failure)[:300]}") from failure


def unpin() -> bool:
    """Remove all pins, and say whether there were any: the kernel then drops what they held."""
    pins = list(PINS.iterdir()) if PINS.is_dir() else []
    for pin in pins:
        pin.unlink(missing_ok=True)
    return bool(pins)


def clean(_program: Path) -> None:
    """At the service's start: what a killed one left pinned goes."""
    if os.geteuid() != 0:
        raise LoadError(
            NO_RIGHTS, "bpftool can load schedulers for root only",
            notes=("the service's two capabilities don't pass to a program that it starts",),
            help="install libbpf1 1.4 or later, or run the loader as root",
        )  # fmt: skip
    if not os.path.ismount(PINS.parent):
        raise LoadError(
            CANNOT_LOAD, f"{PINS.parent} is no BPF file system, which bpftool needs for its links",
            help=f"mount -t bpf bpf {PINS.parent}",
        )
    if unpin():
        # The kernel lets go of it in its own time; until then it would seem to be another's.
        kernel.wait_for(kernel.DISABLED, DETACH_S)
