"""The simulator's core with a scheduling class that writes down every call it gets.

Input: a scenario in the words of core/probe.c. Output: the calls, in order, and the run's result.
Built once a session, with the sanitizers and all run-time checks.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from schedc.data import data_path
from schedc.sim.build import compiler

PROBE = Path(__file__).with_name("core") / "probe.c"
CORE = (
    "attributes", "check", "clock", "core", "events", "fallback", "fifo", "input", "loop",
    "machine", "metrics", "task", "trace", "wake",
)  # fmt: skip


@cache
def probe() -> Path:
    """The executable."""
    simulator = data_path("backends") / "sim"
    out = Path(tempfile.mkdtemp(prefix="schedc-probe-")) / "probe"
    sources = [str(simulator / "runtime" / f"{name}.c") for name in CORE]
    includes = [simulator / "runtime", simulator / "include", simulator.parent / "phases"]
    subprocess.run(
        [
            *compiler(None, "asan").words, "-std=gnu11", "-O1", "-g", "-DSIM_DEBUG", "-Wall",
            "-Wextra", "-fno-strict-aliasing", "-fwrapv", "-fsanitize=address,undefined",
            "-fno-sanitize-recover=all", *(f"-I{path}" for path in includes), *sources, str(PROBE),
            "-o", str(out),
        ],
        check=True,
    )  # fmt: skip
    return out


@dataclass(frozen=True)
class Call:
    """One call that the class got; `what` is its flags, or what else the probe says of it."""

    at: int
    cpu: int
    name: str
    task: str
    what: str


@dataclass(frozen=True)
class Played:
    """A scenario's run."""

    calls: list[Call]
    result: dict[str, Any]

    def of(self, *names: str, since: int = 0) -> list[Call]:
        """The calls of these names (all, without any) from an instant on."""
        return [
            call for call in self.calls if call.at >= since and (not names or call.name in names)
        ]

    def at(self, instant: int) -> list[tuple[str, str, str]]:
        """What was called at an instant, in order, without the accounting."""
        return [
            (call.name, call.task, call.what)
            for call in self.calls
            if call.at == instant and call.name not in ("update_curr", "balance_tick")
        ]


def attempt(scenario: str) -> subprocess.CompletedProcess[str]:
    """Run a scenario, whatever comes of it."""
    lines = "\n".join(line.strip() for line in scenario.strip().splitlines())
    return subprocess.run(
        [probe()], input=lines, capture_output=True, text=True, check=False, timeout=60
    )


def played(scenario: str) -> Played:
    """Run a scenario that ends well."""
    done = attempt(scenario)
    assert done.returncode == 0, done.stderr
    *lines, result = done.stdout.splitlines()
    calls = []
    for line in lines:
        at, cpu, name, task, what = line.split(" ", 4)
        calls.append(Call(int(at), int(cpu), name, task, what))
    return Played(calls, json.loads(result))
