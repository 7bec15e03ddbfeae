"""Scripts for the simulator: one machine, driven step by step, and what it did.

Input: a scheduler's shared object, a topology, values of tunables, and steps. Output: a `Played`:
the state after each step that was to be told. Invariant: the script plays the timer and nothing
costs time, so what happens depends on the steps alone; the format is described in
`backends/sim/runtime/script.h`.
"""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from schedc.model.world import Profile, Topology
from schedc.records import dataclass
from schedc.sim.errors import CRASHED, ENDLESS, NO_RESULT, SimError

How = Literal["slice", "sleep", "yield", "exit", "rt"]

FIRST, BOTH = 1, 2
"""Of a block's turns, whose states are told: the first; the first and the last."""

_LOCAL_ON = 3 << 62
_COSTS = (
    "context_switch", "idle_exit", "kick", "wake", "fork", "tick", "migrate_core", "migrate_llc",
    "migrate_node", "callback", "timer_slack",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Waiting:
    """`key`: as it lies in the queue, signed. `slice_ns`: what the task will get."""

    task: int
    key: int
    slice_ns: int


@dataclass(frozen=True, slots=True)
class Queue:
    """One that isn't empty. `number`: of the policy's queue, -1 for a cpu's local one, -2 for the
    kernel's global one; `domain`: which of the queue's (of a local one, the cpu)."""

    number: int
    domain: int
    waiting: tuple[Waiting, ...]


@dataclass(frozen=True, slots=True)
class State:
    """After a step. `step`: its number in the script; `runs`: by cpu: task, slice left."""

    step: int
    turn: int
    at_ns: int
    runs: tuple[tuple[int, int] | None, ...]
    queues: tuple[Queue, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """What the machine did otherwise, and on which cpu, if it is about one; tasks by number, None:
    nobody."""

    why: str
    cpu: int | None
    expected: int | None
    seen: int | None


@dataclass(frozen=True, slots=True)
class Played:
    """`steps`, `turns`: how many were done, turns of a block for ever; `waited_ns`: the victim's
    wait at the end. `thrown_out`: why the kernel would have ended the scheduler, or empty.
    `states`: the last is that of the difference, if there is one."""

    steps: int
    turns: int
    waited_ns: int
    difference: Difference | None
    thrown_out: str
    states: tuple[State, ...]


class Script:
    """The text, in the making. `runs` of a step: who is on each cpu afterwards (None: nobody); left
    out, it may be anybody."""

    def __init__(self, cpus: int) -> None:
        self.cpus = cpus
        self._lines = ["script 1"]
        self._profiles: dict[Profile, int] = {}
        self._steps: list[str] = []

    def text(self) -> str:
        """Profiles come before the first block."""
        profiles = [self._profile_line(one) for one in self._profiles]
        return "".join(f"{line}\n" for line in (*self._lines, *profiles, *self._steps))

    def start(self, at_ns: int) -> None:
        self._lines.append(f"start {at_ns}")

    def victim(self, task: int, since: int, promise_ns: int) -> None:
        """After `since` steps it may not run."""
        self._lines.append(f"victim {task} {since} {promise_ns}")

    def block(self, times: int | None, show: int = 0) -> None:
        """The steps from here on are done so often; None: until the promise is past."""
        self._steps.append(f"block {times or 0} {show}")

    def fork(self, after: int, task: int, profile: Profile, cpu: int, runs: Runs = None) -> None:
        number = self._profiles.setdefault(profile, len(self._profiles))
        self._step("fork", after, task, number, cpu, runs=runs)

    def wake(
        self, after: int, task: int, waker: int | None = None, sync: bool = False,
        runs: Runs = None,
    ) -> None:  # fmt: skip
        self._step("wake", after, task, "-" if waker is None else waker, int(sync), runs=runs)

    def stop(
        self, after: int, task: int | None, cpu: int, how: How, runs: Runs = None
    ) -> None:
        self._step("stop", after, "-" if task is None else task, cpu, how, runs=runs)

    def back(self, after: int, cpu: int, runs: Runs = None) -> None:
        self._step("back", after, cpu, runs=runs)

    def tick(self, after: int, cpu: int, runs: Runs = None) -> None:
        self._step("tick", after, cpu, runs=runs)

    def affinity(self, after: int, task: int, cpus: Iterable[int], runs: Runs = None) -> None:
        self._step("affinity", after, task, _mask(cpus), runs=runs)

    def nice(self, after: int, task: int, nice: int, runs: Runs = None) -> None:
        self._step("nice", after, task, nice, runs=runs)

    def comm(self, after: int, task: int, name: bytes, runs: Runs = None) -> None:
        self._step("comm", after, task, name[:15].hex() or "-", runs=runs)

    def pause(self, after: int, runs: Runs = None) -> None:
        self._step("pass", after, runs=runs)

    def _step(self, do: str, after: int, *words: object, runs: Runs) -> None:
        who = "?" if runs is None else ",".join("-" if one is None else str(one) for one in runs)
        self._steps.append(" ".join((do, str(after), *map(str, words), who)))

    def _profile_line(self, profile: Profile) -> str:
        return (
            f"profile {profile.nice} {int(profile.kthread)} {profile.uid} "
            f"{profile.tgid} {profile.cgroup} {profile.cgroup_weight} "
            f"{_mask(profile.allowed or range(self.cpus))} {profile.comm[:15].hex() or '-'}"
        )


Runs = Sequence[int | None] | None


def _mask(cpus: Iterable[int]) -> str:
    return f"{sum(1 << cpu for cpu in set(cpus)):x}"


# --- a machine that plays it ----------------------------------------------------------------------


def machine_text(topology: Topology) -> str:
    """The runtime's machine file: nothing costs anything."""
    lines = [f"cpus {topology.cpus}", "hz 1000", "smt_speed 1000"]
    for cpu in range(topology.cpus):
        core = topology.core_of[cpu] if topology.core_of else cpu
        lines.append(
            f"cpu {cpu} core {core} llc {topology.llc_of[cpu]} node {topology.node(cpu)} "
            f"capacity {topology.capacity_of(cpu)}"
        )
    lines += [f"cost {name} 0" for name in _COSTS]
    return "".join(f"{line}\n" for line in lines)


def play(
    runtime: Path,
    policy: Path,
    script: str,
    topology: Topology,
    tunes: Mapping[str, int],
    *,
    until_ns: int,
    limit_s: float = 60.0,
) -> Played:
    """Run a script. Raises `SimError` if the process gives no result."""
    settings = "".join(f"set tune_{name} {value}\n" for name, value in sorted(tunes.items()))
    with tempfile.TemporaryDirectory(prefix="schedc-script-") as folder:
        files = {"machine": machine_text(topology), "settings": settings, "script": script}
        command = [str(runtime), "--scheduler", str(policy), "--until", str(until_ns)]
        for name, text in files.items():
            path = Path(folder) / name
            path.write_text(text, encoding="utf-8")
            command += [f"--{name}", str(path)]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=limit_s
            )
        except subprocess.TimeoutExpired as late:
            raise SimError(
                ENDLESS, f"the replay takes more than {limit_s:.0f} s",
                notes=("the policy may be in an endless loop",),
            ) from late
    if done.returncode != 0:
        raise _failed(done)
    try:
        return _played(json.loads(done.stdout))
    except (ValueError, KeyError, TypeError) as wrong:
        raise SimError(NO_RESULT, "the simulator gave no result", notes=(repr(wrong),)) from wrong


def _failed(done: subprocess.CompletedProcess[str]) -> SimError:
    said = tuple(done.stderr.strip().splitlines()[-20:])
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        return SimError(CRASHED, f"the simulator ended by {name}", notes=said)
    return SimError(NO_RESULT, "the simulator refused the replay", notes=said)


def _played(result: Mapping[str, Any]) -> Played:
    told, verdict = result["script"], result["verdict"]
    different = told["differs"]
    return Played(
        told["steps"],
        told["turns"],
        told["waited_ns"],
        None if different is None else Difference(
            different["why"], _known(different["cpu"]), _known(different["expected"]),
            _known(different["seen"]),
        ),
        ": ".join(part for part in (verdict["reason"], verdict["message"]) if part)
        if verdict["kind"] else "",
        tuple(_state(one) for one in told["states"]),
    )  # fmt: skip


def _known(number: int) -> int | None:
    return None if number < 0 else number


def _state(told: Mapping[str, Any]) -> State:
    runs = tuple(None if one is None else (one[0], one[1]) for one in told["runs"])
    queues = tuple(_queue(*one) for one in told["queues"])
    return State(told["step"], told["turn"], told["at"], runs, queues)


def _queue(number: int, cpu: int, waiting: list[list[int]]) -> Queue:
    """The policy's queues have their number, from 1, above 16 bits of the domain (runtime.h)."""
    tasks = tuple(Waiting(*one) for one in waiting)
    if cpu >= 0:
        return Queue(-1, cpu, tasks)
    if number >> 62:
        return Queue(-2, 0, tasks)
    return Queue((number >> 16) - 1, number & 0xFFFF, tasks)
