"""A machine that isn't there: the loader's real server and socket, with a make-believe kernel.

Nothing here says anything about a kernel: `tests/vm/test_deploy.py` does. What is real: requests,
plans, the supervisor, holders (processes of their own), history and quarantine.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from schedc.load import kernel
from schedc.load.counters import CLASS_NAMES, QUEUE_NAMES, Exit, waits
from schedc.load.plan import Plan
from tests.load.forge import forge, marked_elf

RELEASE_OPS = "root/ops"


class Place:
    """The files that stand for the kernel's, and knobs for what it does next."""

    def __init__(self, folder: Path) -> None:
        self.kernel = folder / "sys"
        self.knobs = folder / "knobs"
        self.run = folder / "run"
        self.state = folder / "state"

    def make(self) -> None:
        for one in (self.kernel / "root", self.knobs, self.run, self.state):
            one.mkdir(parents=True)
            one.chmod(0o755)
        self.write("disabled", "", 0)
        (self.kernel / "nr_rejected").write_text("0\n")
        (self.kernel / "btf").write_text("")
        self.wait(1_000_000)

    def write(self, state: str, ops: str, sequence: int) -> None:
        (self.kernel / "enable_seq").write_text(f"{sequence}\n")
        (self.kernel / RELEASE_OPS).write_text(f"{ops}\n")
        (self.kernel / "state").write_text(f"{state}\n")

    def wait(self, ns: int) -> None:
        """How long tasks wait from now on."""
        (self.knobs / "wait").write_text(str(ns))

    def eject(self, why: str) -> None:
        (self.knobs / "eject").write_text(why)

    def adopt(self) -> None:
        """Have this process read these files as the kernel's."""
        kernel.SCHED_EXT = self.kernel
        kernel.KERNEL_BTF = self.kernel / "btf"


class Scheduler:
    """A scheduler that only counts: a thousand waits between two looks."""

    def __init__(self, plan: Plan, place: Place) -> None:
        self.name = plan.policy.name
        self.plan = plan
        self.place = place
        self.enable_seq = 0
        self.unresolved: tuple[str, ...] = ()
        self.hist = [0] * 32
        self.longest = 0

    def attach(self) -> None:
        self.enable_seq = kernel.enable_seq() + 1
        (self.place.knobs / "eject").unlink(missing_ok=True)
        self.place.write("enabled", self.name, self.enable_seq)

    def is_current(self) -> bool:
        return not (self.place.knobs / "eject").exists()

    def facts(self) -> dict[str, Any]:
        wait = int((self.place.knobs / "wait").read_text())
        self.hist[min(max(wait.bit_length() - 7, 0), 31)] += 1000
        self.longest = max(self.longest, wait)
        total = sum(self.hist)
        words = (total, 0, total, 0, total * 1000, total * wait, self.longest)
        counters = {
            "classes": [{"name": name, **dict(zip(CLASS_NAMES, words, strict=True)),
                         "wait_hist": list(self.hist)} for name in self.plan.policy.classes],
            "queues": [{"name": name, **dict.fromkeys(QUEUE_NAMES, total)}
                       for name in self.plan.policy.queues],
        }  # fmt: skip
        return {"counters": counters, "waits": waits(counters["classes"]),
                "programs": [{"name": f"{self.name}_enqueue", "insns": 10, "run_cnt": total,
                              "run_time_ns": total * 500}]}  # fmt: skip

    def departed(self) -> tuple[Exit | None, tuple[str, ...]]:
        self._leave()
        why = (self.place.knobs / "eject").read_text()
        return Exit(1026, 0, "runnable task stall", why), ()

    def detach(self) -> tuple[bool, Exit | None]:
        self._leave()
        return True, None

    def close(self) -> None:
        self._leave()

    def _leave(self) -> None:
        if self.enable_seq:
            self.place.write("disabled", "", kernel.enable_seq())


def serve(folder: str) -> None:
    """In a process of its own."""
    from schedc.load.places import Places
    from schedc.load.serve import Server
    from schedc.load.state import State

    place = Place(Path(folder))
    place.adopt()
    where = Places(place.run, place.state)
    def backend(plan: Plan, *_: object) -> Scheduler:
        return Scheduler(plan, place)

    Server(where, State(where), backend, {"backend": "none"}).run()


@contextmanager
def loader(place: Place) -> Iterator[subprocess.Popen[bytes]]:
    """The server, until the end of the block."""
    root = Path(__file__).parents[2]
    program = f"from tests.deploy.machine import serve; serve({str(place.run.parent)!r})"
    process = subprocess.Popen([sys.executable, "-c", program], cwd=root)
    try:
        end = time.monotonic() + 20
        while not (place.run / "loader.sock").exists():
            assert process.poll() is None and time.monotonic() < end, "the loader did not start"
            time.sleep(0.02)
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The make-believe kernel; no loader runs yet."""
    made = Place(tmp_path / "machine")
    made.make()
    monkeypatch.setattr(kernel, "SCHED_EXT", made.kernel)
    monkeypatch.setattr(kernel, "KERNEL_BTF", made.kernel / "btf")
    monkeypatch.setenv("SCHEDC_RUN_DIR", str(made.run))
    monkeypatch.setenv("SCHEDC_STATE_DIR", str(made.state))
    # Else the tests themselves would lose what they may do.
    monkeypatch.setattr("schedc.cli.apply.drop_privileges", lambda: None)
    monkeypatch.chdir(tmp_path)
    return made


@pytest.fixture
def machine(place: Place) -> Iterator[Place]:
    """The same with a loader that runs."""
    with loader(place):
        yield place


def write_policy(name: str, source: str = "") -> str:
    """An object with its certificate beside it; its path."""
    data, certificate = forge(name, marked_elf, source)
    Path(f"{name}.o").write_bytes(data)
    Path(f"{name}.cert").write_text(certificate)
    return f"{name}.o"


def history(place: Place) -> list[tuple[str, str, str]]:
    """What the history holds: what, of which policy, why."""
    lines = (place.state / "history.jsonl").read_text().splitlines()
    return [(one["what"], one["policy"], one["why"]) for one in map(json.loads, lines)]


def environment(place: Place) -> dict[str, str]:
    return {**os.environ, "SCHEDC_RUN_DIR": str(place.run), "SCHEDC_STATE_DIR": str(place.state)}
