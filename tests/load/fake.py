"""A loader whose kernel is a folder: for what the supervisor does, never for what a kernel does.

The scheduler is `enabled` as long as the process that attached it lives, as in the kernel. What a
policy does is in its name: `refused…`, `unattached…`, `ejected…` (a moment after it attached),
`hotplug…` (asks once for a restart), `slow…` (to tell what it counted); all others behave.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from schedc.load import kernel
from schedc.load.client import Client
from schedc.load.counters import RESTART, Exit
from schedc.load.errors import CANNOT_LOAD, LoadError
from schedc.load.places import Places
from schedc.load.plan import Current, Kernel, Plan
from schedc.load.serve import Server
from schedc.load.state import State
from tests.load.samples import plan

BOOT = Kernel("6.18", "boot")
EJECT_S = 0.5


class Kernel_:
    """`holder`: the pid and name of who is attached. `seq`: how often one was."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def read(self, loaded: str | None = None) -> Current:
        seq = len(list(self.folder.glob("seq.*")))
        try:
            pid, name = (self.folder / "holder").read_text().split()
            alive = Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
        except (OSError, ValueError):
            alive, name = False, ""
        return Current("enabled" if alive else "disabled", name if alive else "", seq, loaded)

    def install(self) -> None:
        """In the loader's process, which is this test's own child."""
        kernel.read_current = self.read
        kernel.state = lambda: self.read().state
        kernel.enable_seq = lambda: self.read().enable_seq
        kernel.this_kernel = lambda: BOOT


class Scheduler:
    """See the module's words."""

    def __init__(self, one: Plan, fake: Kernel_) -> None:
        self.name = one.policy.name
        self._fake = fake
        self.enable_seq = 0
        self.unresolved = ("cgroup a/b",) if self.name == "unresolved" else ()
        if self.name.startswith("refused"):
            raise LoadError(CANNOT_LOAD, "refused, as its name says")

    def attach(self) -> None:
        assert self._fake.read().state == "disabled"
        if self.name.startswith("unattached"):
            raise LoadError(CANNOT_LOAD, "not attached, as its name says")
        folder = self._fake.folder
        (folder / f"seq.{len(list(folder.glob('seq.*')))}").touch()
        (folder / "holder").write_text(f"{os.getpid()} {self.name}")
        self.enable_seq = self._fake.read().enable_seq
        self._since = time.monotonic()
        self._once = self.name.startswith("hotplug") and self.enable_seq == 1

    def is_current(self) -> bool:
        young = time.monotonic() - self._since < EJECT_S
        return young or not (self._once or self.name.startswith("ejected"))

    def facts(self) -> dict[str, Any]:
        if self.name.startswith("slow"):
            time.sleep(0.6)
        return {"counters": {"classes": [{"name": "everyone", "run": 7}], "queues": []},
                "waits": [], "programs": []}  # fmt: skip

    def departed(self) -> tuple[Exit | None, tuple[str, ...]]:
        self.close()
        if self._once:
            return Exit(66, RESTART, "a cpu", ""), ()
        return Exit(1026, 0, "runnable task stall", "x[7] failed to run for 2.0s"), ()

    def detach(self) -> tuple[bool, Exit | None]:
        self.close()
        return True, None

    def close(self) -> None:
        (self._fake.folder / "holder").unlink(missing_ok=True)


class Loader:
    """A loader in a process of its own. `stop` and `start` it as a service manager would."""

    def __init__(self, folder: Path) -> None:
        self.where = Places(folder / "run", folder / "state")
        self.fake = Kernel_(folder / "kernel")
        self.pid = 0

    def start(self) -> None:
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self.fake.install()
                make = lambda one, _: Scheduler(one, self.fake)  # noqa: E731
                Server(self.where, State(self.where), make, {"backend": "fake"}).run()
                os._exit(0)
            except BaseException as failure:
                print(f"the fake loader: {failure!r}", file=sys.stderr, flush=True)
                os._exit(1)
        until(self._answers)

    def _answers(self) -> bool:
        try:
            self.connect().close()
        except LoadError:
            return False
        return True

    def stop(self, number: int = signal.SIGTERM) -> int:
        os.kill(self.pid, number)
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        return os.waitstatus_to_exitcode(status)

    def connect(self) -> Client:
        return Client.connect(self.where)

    def plan(self, name: str, loaded: Plan | None = None, **more: Any) -> Plan:
        """A plan for what runs now."""
        now = int(time.time())
        sha = loaded.object_sha256 if loaded else None
        facts: dict[str, Any] = {"kernel": BOOT, "current": self.fake.read(sha), "made": now,
                                 "expires": now + 600}  # fmt: skip
        return plan(name, **{**facts, **more})

    def load(self, name: str, loaded: Plan | None = None) -> Plan:
        """Load for good."""
        one = self.plan(name, loaded)
        with self.connect() as client:
            client.ask({"do": "load", "plan": one.as_json(), "canary_s": None, "by": "tests"})
        return one

    def running(self) -> tuple[str, str]:
        """Name and stage of what runs; empty if nothing does."""
        with self.connect() as client:
            policy = client.ask({"do": "status"})["policy"]
        return (policy["name"], policy["stage"]) if policy else ("", "")

    def told(self) -> list[tuple[str, str]]:
        """What the history says: what happened to which policy."""
        with self.connect() as client:
            lines = client.ask({"do": "history", "last": 100})["history"]
        return [(line["what"], line["policy"]) for line in lines]


@contextmanager
def loader(folder: Path) -> Iterator[Loader]:
    one = Loader(folder)
    one.start()
    try:
        yield one
    finally:
        if one.pid:
            one.stop(signal.SIGKILL)


def until(what: Any, seconds: float = 20.0) -> Any:
    """Wait until something is so; its last value."""
    end = time.monotonic() + seconds
    while not (found := what()) and time.monotonic() < end:
        time.sleep(0.02)
    assert found
    return found
