"""A scheduler's C in the simulator, as the tests of sched_ext's rules run it.

Input: hooks for policies/log.h (or a whole C text), and groups of tasks. Output: what the
scheduler's bpf_printk() lines say, and the run's result. Built with the sanitizers and all
run-time checks, so each run is a test of the runtime too.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from schedc.sim.build import Toolchain, toolchain

POLICIES = Path(__file__).with_name("policies")
MS = 1_000_000
HOG = "run fixed 1000000000"


@cache
def tools(variant: Literal["release", "asan"] = "asan") -> Toolchain:
    return toolchain(variant)


@dataclass(frozen=True)
class Group:
    """Tasks that do the same, for ever; `loop` times otherwise."""

    name: str
    phases: str = HOG
    count: int = 1
    cpus: str = ""
    nice: int = 0
    loop: str = "forever"
    forked: bool = False
    kthread: bool = False

    def lines(self) -> list[str]:
        return [
            f"group {self.name}", f"comm {self.name}", f"nice {self.nice}",
            *([f"cpus {self.cpus}"] if self.cpus else []),
            *(["kthread"] if self.kthread else []), f"loop {self.loop}",
            *(line.strip() for line in self.phases.splitlines() if line.strip()),
        ]  # fmt: skip


@dataclass(frozen=True)
class Ran:
    """`said`: each bpf_printk() line with its time; `result`: the JSON; `code`: exit status."""

    code: int
    stderr: str
    result: dict[str, Any]

    @property
    def said(self) -> list[tuple[int, str]]:
        found = []
        for line in self.stderr.splitlines():
            if line.startswith("bpf_trace_printk: "):
                time, _, text = line[18:].partition(" ns: ")
                found.append((int(time), text))
        return found

    def words(self, *first: str, task: str = "") -> list[str]:
        """The lines that begin with one of these words and speak of the task."""
        return [
            text
            for _, text in self.said
            if (not first or text.split()[0] in first) and task in [*text.split()[1:], ""]
        ]

    @property
    def message(self) -> str:
        return str(self.result["verdict"]["message"])

    @property
    def kind(self) -> int:
        return int(self.result["verdict"]["kind"])


def run(
    *groups: Group,
    text: str = "",
    cpus: int = 1,
    duration: int = 100 * MS,
    machine: str = "",
    settings: str = "",
    variant: Literal["release", "asan"] = "asan",
    seed: int = 1,
    **hooks: str,
) -> Ran:
    """Simulate the groups under log.h with these hooks, or under a whole C text."""
    if not text:
        defines = "".join(f"#define {name.upper()} {value}\n" for name, value in hooks.items())
        text = defines + '#include "log.h"\n'
    plan = ["schedc-plan 1", f"seed {seed}", "warmup 0", f"duration {duration}"]
    for group in groups:
        plan += group.lines()
    for number, group in enumerate(groups):
        plan += [] if group.forked else [
            f"task {number} {i} - -" for i in range(group.count)
        ]  # fmt: skip
    shared_object = tools(variant).policy(text, folder=POLICIES)
    with TemporaryDirectory() as folder:
        paths = {name: Path(folder) / name for name in ("plan", "machine", "settings")}
        paths["plan"].write_text("\n".join(plan) + "\n")
        paths["machine"].write_text(f"cpus {cpus}\nhz 250\ntick_phase 0\n{machine}")
        paths["settings"].write_text(settings)
        done = subprocess.run(
            [
                str(tools(variant).runtime()), "--scheduler", str(shared_object),
                *(word for name, path in paths.items() for word in (f"--{name}", str(path))),
                "--seed", str(seed),
            ],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
    assert "Sanitizer" not in done.stderr, done.stderr
    return Ran(done.returncode, done.stderr, json.loads(done.stdout) if done.stdout else {})
