"""A guest with the real loader in it, as the faults of `bench/faults_inside.py` find it.

Input: NAME.o and NAME.cert in /job. Output: policies confirmed or on trial, and what the kernel and
the loader's history say of them. Nothing here helps the loader but what a service manager does.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schedc.deploy import state
from schedc.deploy.canary import Trial
from schedc.deploy.guard import parse_guard
from schedc.deploy.make import plan_of, scene
from schedc.load import backend, kernel, serve as _serve  # noqa: F401 (imported before it forks)
from schedc.load.__main__ import serve
from schedc.load.client import Client
from schedc.load.errors import LoadError

JOB = Path("/job")
GUARD_TIMEOUT_S = 3.0
"""Of a guard's command, also of a good one: a busy host needs a second to start it."""
PATIENCE_S = 30.0
"""For what is not judged: that a supervisor is up, that a trial runs."""
POLL_S = 0.005


@dataclass
class Run:
    """One fault. `restored`: what was in charge at the end. `words`: of the history, of what
    happened since the fault. `problem`: why the run is a failure; empty if it isn't."""

    case: str
    safe_s: float | None = None
    back_s: float | None = None
    restored: str = ""
    words: list[str] = field(default_factory=list)
    problem: str = ""


Condition = Callable[[], bool]


def until(condition: Condition, seconds: float = PATIENCE_S) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(POLL_S)
    return True


def on_default() -> bool:
    return kernel.read_current().state == kernel.DISABLED


class Child:
    """A process that was forked off."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._status: int | None = None

    def kill(self) -> None:
        if not self.gone():
            os.kill(self.pid, signal.SIGKILL)

    def gone(self) -> bool:
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._status = status if pid else None
        return self._status is not None

    def wait(self) -> None:
        if not until(self.gone):
            raise RuntimeError(f"process {self.pid} does not end")


def forked(work: Callable[[], object], log: str) -> Child:
    """A child that does this, in a session of its own, and ends."""
    pid = os.fork()
    if pid:
        return Child(pid)
    status = 1
    try:
        os.setsid()
        fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(fd, 1)
        os.dup2(fd, 2)
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


class World:
    """A guest with a loader, and what was confirmed in it."""

    def __init__(self) -> None:
        self.loader: Child | None = None
        self.names: dict[str, str] = {}
        self.children: list[Child] = []

    # --- the loader, as a service manager keeps it

    def start(self) -> None:
        """`python3 -I -m schedc.load serve`, but forked: its modules are there already, which an
        emulated machine needs a second for."""
        self.loader = forked(lambda: serve(bpf_stats=False, bpftool=False), "/tmp/loader.log")
        if not until(self.answers):
            raise RuntimeError(f"no loader: {Path('/tmp/loader.log').read_text()[-500:]}")

    def answers(self) -> bool:
        try:
            Client.connect().close()
        except LoadError:
            return False
        return True

    def stop(self) -> None:
        if self.loader is not None:
            if not self.loader.gone():
                os.kill(self.loader.pid, signal.SIGTERM)
            self.loader.wait()
            self.loader = None

    def ask(self, **request: Any) -> dict[str, Any]:
        with Client.connect() as client:
            return client.ask(request)

    def plan(self, name: str) -> dict[str, Any]:
        with Client.connect() as client:
            where = scene(client)
        data, certificate = (JOB / f"{name}.o").read_bytes(), (JOB / f"{name}.cert").read_text()
        return plan_of(data, certificate, where, life_s=600, by="faults").as_json()

    def confirmed(self, name: str) -> None:
        """Load it for good."""
        self.ask(do="load", plan=self.plan(name), canary_s=None, by="faults")
        self.names[name] = kernel.read_current().ops

    def on_trial(self, name: str) -> Client:
        """Load it on trial; the connection that it depends on."""
        client = Client.connect()
        client.canary(self.plan(name), 60.0, "faults")
        self.names[name] = kernel.read_current().ops
        return client

    def apply(self, name: str, *guards: str) -> Child:
        """What `schedc apply` does once it has read a plan, in a process of its own."""
        plan = self.plan(name)

        def work() -> None:
            trial = Trial([parse_guard(text) for text in guards], GUARD_TIMEOUT_S)
            trial.measure_before()
            with Client.connect() as client, Client.connect() as looker:
                handle = client.canary(plan, 60.0, "faults")
                print(trial.run(handle, lambda: state.ask(looker), 60.0, lambda look: None))

        child = forked(work, "/tmp/apply.log")
        self.children.append(child)
        return child

    def tidy(self) -> None:
        """After a good run: its processes end, and nothing is held against its policies."""
        for child in self.children:
            child.kill()
            child.wait()
        self.children = []
        for name in ("trial", "starver"):
            certificate = json.loads((JOB / f"{name}.cert").read_text())
            with suppress(LoadError):
                self.ask(do="clear", hash=certificate["policy"]["sources"][""])

    def clean(self) -> None:
        """After a bad one: no loader either, and nothing that it remembers."""
        self.stop()
        until(on_default)
        for path in Path("/var/lib/schedc").rglob("*"):
            if path.is_file():
                path.unlink()

    # --- what is looked at

    def runs(self, name: str) -> Condition:
        """Whether a policy is in charge."""
        def is_it() -> bool:
            now = kernel.read_current()
            return now.state == kernel.ENABLED and now.ops == self.names[name]

        return is_it

    def safe(self, name: str, before: int) -> Condition:
        """Whether the default is in charge, or this policy in a newer life than `before`."""
        is_it = self.runs(name)
        return lambda: on_default() or (is_it() and kernel.enable_seq() > before)

    def history(self) -> list[str]:
        """All of it: from the file, since the loader may be gone."""
        path = Path("/var/lib/schedc/history.jsonl")
        lines = map(json.loads, path.read_text().splitlines() if path.exists() else ())
        return [f"{one['what']}: {one['why']}" for one in lines]

    def placed(self) -> int:
        """How many times the policy had a task wait, or run at once."""
        classes = self.ask(do="status")["counters"]["classes"]
        return sum(one["enqueued"] + one["direct"] for one in classes)

    def pids(self) -> tuple[int, int]:
        """(supervisor, holder)"""
        loader = self.ask(do="status")["loader"]
        return int(loader["pid"]), int(loader["holder"])
