"""The simulator's fair class under the probe driver: what each entity's state is at each call.

Input: a scenario in the words of core/probe.c and core/eevdf.c. Output: the calls with the state
after each, and the run's result. Built with the sanitizers and all checks.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from schedc.data import data_path
from schedc.sim.build import compiler
from tests.sim.probe import CORE

MS = 1_000_000
FAIR = (
    "balance", "balance_stats", "domains", "fair", "fair_check", "fair_class", "fair_entity",
    "fair_load", "fair_sums", "fair_tree", "select",
)  # fmt: skip


@cache
def probe() -> Path:
    """The executable, built once for all the processes of a test run."""
    simulator = data_path("backends") / "sim"
    runtime, here = simulator / "runtime", Path(__file__).with_name("core")
    sources = [*(runtime / f"{name}.c" for name in CORE + FAIR), here / "eevdf.c"]
    headers = [*runtime.glob("*.h"), *simulator.glob("include/*.h"), here / "probe.c"]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(sources + headers)))
    out = Path(tempfile.gettempdir()) / f"schedc-eevdf-{os.getuid()}-{digest.hexdigest()[:24]}"
    if out.exists():
        return out
    built = Path(tempfile.mkdtemp(prefix="schedc-eevdf-")) / "probe"
    includes = [runtime, simulator / "include", simulator.parent / "phases", here]
    subprocess.run(
        [
            *compiler(None, "asan").words, "-std=gnu11", "-O1", "-g", "-DSIM_DEBUG", "-Wall",
            "-Wextra", "-Wno-unused-function", "-fno-strict-aliasing", "-fwrapv",
            "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
            *(f"-I{path}" for path in includes), *map(str, sources), "-o", str(built),
        ],
        check=True,
    )  # fmt: skip
    built.replace(out)
    return out


@dataclass(frozen=True)
class Call:
    """One call; `of` is the entity's state after it."""

    at: int
    cpu: int
    name: str
    task: str
    of: dict[str, int]


@dataclass(frozen=True)
class Played:
    """A scenario's run."""

    calls: list[Call]
    result: dict[str, Any]

    def named(self, name: str, task: str | None = None) -> list[Call]:
        """The calls of this name, of one task or of all."""
        return [c for c in self.calls if c.name == name and task in (None, c.task)]

    def order(self, since: int = 0) -> list[tuple[int, str]]:
        """Who got a cpu, and when."""
        return [(c.at, c.task) for c in self.calls if c.name == "run" and c.at >= since]

    def ran(self, task: str, until: int, since: int = 0) -> int:
        """The ns for which a task had a cpu, in an interval."""
        total, began = 0, None
        for c in self.calls:
            if c.task != task:
                continue
            if c.name == "run":
                began = c.at
            elif c.name == "put" and began is not None:
                total += max(0, min(c.at, until) - max(began, since))
                began = None
        return total + (max(0, until - max(began, since)) if began is not None else 0)


def played(scenario: str) -> Played:
    """Run a scenario that ends well."""
    lines = "\n".join(line.strip() for line in scenario.strip().splitlines())
    done = subprocess.run(
        [probe()], input=lines, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    *said, result = done.stdout.splitlines()
    calls = []
    for line in said:
        at, cpu, name, task, what = line.split(" ", 4)
        state = {}
        for pair in what.split():
            key, _, value = pair.partition("=")
            if value:
                state[key] = int(value)
        calls.append(Call(int(at), int(cpu), name, task, state))
    return Played(calls, json.loads(result))
