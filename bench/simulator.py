"""How fast the simulator is: events a second, growth, build times, and SimPy beside it.

    python -m bench.simulator [--runs 3] [--quick] [--json]

Input: `fair` of the library, and EEVDF, under the workload `wakeup`. Output: a table (or JSON).
Times are cpu time of the simulating process, start and end included, the best of the runs: nothing
in it waits, so what a busy host adds is noise that only slows it. An event is what the runtime
counts as one: a wake-up, a pick, a switch, a tick, a sleep, a fork, an exit; the SimPy model counts
the same ones.
A benchmark reports; it is no test, and never fails on time.

The SimPy model is the same machine without costs: cpus, one queue by virtual time with fair's
window, slices that end at ticks, idle cpus found at wake-up; messengers, workers and hogs are
processes that ask it for cpu time. Both are run for the same simulated time, and their throughput
is shown side by side, so that one sees that they do the same.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from schedc.cli.sim_arms import arms
from schedc.data import data_path
from schedc.sim.build import Toolchain, compiler, default_store, toolchain
from schedc.sim.errors import SimError
from schedc.sim.machine import COSTS, Machine, machine
from schedc.vm.store import Store
from schedc.workload import registry
from schedc.workload.plan import plan_text

MS = 1_000_000
SECOND = 1_000_000_000
SCHEDULERS = ("fair", "eevdf")
CPUS = (2, 8, 32, 128, 512)
TASKS = (10, 100, 1_000, 10_000, 100_000)


@dataclass(frozen=True)
class Speed:
    """One simulation: `seconds` of cpu time, and what came of it."""

    name: str
    cpus: int
    tasks: int
    events: int
    seconds: float
    throughput: float

    @property
    def rate(self) -> float:
        return self.events / self.seconds


def simulated(
    name: str, where: Machine, params: Mapping[str, int], runs: int, scheduler: str = "fair"
) -> Speed:
    """The fastest of some runs of the runtime itself."""
    found, _, _ = registry.find("wakeup")
    assert found is not None
    settings = {**registry.settings(found, ())[0], **params}
    tools = toolchain()
    cpus = len(where.cpus)
    (arm,) = arms(scheduler, "none", ())
    target = arm.built_in or str(tools.policy(arm.c_text, arm.files))
    best, events, throughput, tasks = 1e9, 0, 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        files = {"plan": plan_text(found, settings, 1, cpus), "machine": where.text(),
                 "settings": arm.settings + "set counters 0\n" * (not arm.built_in)}  # fmt: skip
        command = [str(tools.runtime()), "--scheduler", target, "--seed", "1"]
        for kind, text in files.items():
            path = Path(folder) / kind
            path.write_text(text)
            command += [f"--{kind}", str(path)]
        for _ in range(runs):
            out = Path(folder) / "out"
            seconds = cpu_time(command, out)
            data = json.loads(out.read_text())
            assert data["verdict"]["kind"] == 0, data["verdict"]
            best, events = min(best, seconds), data["events"]
            throughput = float(data["workload"]["values"]["throughput"])
            tasks = sum(group["tasks"] for group in data["groups"])
    return Speed(name, cpus, tasks, events, best, throughput)


def cpu_time(command: list[str], out: Path) -> float:
    """Seconds of cpu time of a command whose output goes to a file."""
    with open(out, "wb") as file:
        pid = os.posix_spawn(
            command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, file.fileno(), 1)]
        )
        _, status, used = os.wait4(pid, 0)
    if status != 0:
        raise SystemExit(f"{command[0]} ended with {status}: {out.read_text()[:300]}")
    return used.ru_utime + used.ru_stime


def free(cpus: int) -> Machine:
    """A machine on which nothing costs anything, as in the SimPy model."""
    shape = machine(flags={"cpus": cpus, "smt": 1, "llcs": 1, "hz": 250})
    return Machine("free", shape.cpus, shape.hz, 1000, dict.fromkeys(COSTS, 0))


# --- the same in SimPy


@dataclass(eq=False)
class Task:
    used: int = 0
    left: int = 0
    cpu: int = 0
    done: Any = None


@dataclass(eq=False)
class Cpu:
    number: int
    running: Task | None = None
    wake: Any = None
    queue: list[Any] = field(default_factory=list)


class Model:
    """Cpus and one queue by virtual time, as `fair` has them; times in ns."""

    TICK, SLICE, BEHIND, AHEAD = 4 * MS, 20 * MS, 20 * MS, 100 * MS

    def __init__(self, cpus: int, seed: int) -> None:
        import simpy

        self.env = simpy.Environment()
        self.random = random.Random(seed)
        self.cpus = [Cpu(number) for number in range(cpus)]
        self.idle = dict.fromkeys(range(cpus))
        self.queue: list[tuple[int, int, Task]] = []
        self.clock = self.order = self.events = self.requests = 0
        for cpu in self.cpus:
            self.env.process(self._cpu(cpu))

    def run(self, task: Task, ns: int) -> Any:
        """Ask for cpu time; the event is over when the task has had it."""
        task.left, task.done = ns, self.env.event()
        self.events += 1  # a wake-up
        if self.idle:
            number = task.cpu if task.cpu in self.idle else next(iter(self.idle))
            del self.idle[number]
            self.cpus[number].queue.append(task)
            self.cpus[number].wake.succeed()
        else:
            self._queue(task)
        return task.done

    def _queue(self, task: Task) -> None:
        task.used = min(max(task.used, self.clock - self.BEHIND), self.clock + self.AHEAD)
        self.order += 1
        heapq.heappush(self.queue, (task.used, self.order, task))

    def _next(self, cpu: Cpu) -> Task | None:
        self.events += 1  # a pick
        if cpu.queue:
            return cpu.queue.pop()
        return heapq.heappop(self.queue)[2] if self.queue else None

    def _cpu(self, cpu: Cpu) -> Generator[Any, Any, None]:
        env = self.env
        while True:
            task = self._next(cpu)
            if task is None:
                cpu.running, cpu.wake = None, env.event()
                self.idle[cpu.number] = None
                yield cpu.wake
                continue
            if task is not cpu.running:
                self.events += 1  # a switch
            cpu.running, task.cpu = task, cpu.number
            self.clock = max(self.clock, task.used)
            began = env.now
            while task.left and env.now - began < self.SLICE:
                piece = min(task.left, self.TICK - env.now % self.TICK)
                yield env.timeout(piece)
                task.left -= piece
                if env.now % self.TICK == 0:
                    self.events += 1
            task.used += env.now - began
            if task.left:
                self._queue(task)
            else:
                self.events += 1  # a sleep
                task.done.succeed()
                yield self._settled()

    def _settled(self) -> Any:
        """Once all that happens at this instant has: what a task does before it sleeps (a wake-up,
        a message) comes before its cpu looks for another one."""
        last = self.env.event()
        last._ok, last._value = True, None
        self.env.schedule(last, priority=2)
        return last

    def around(self, mean: int) -> int:
        return self.random.randint(mean // 2, mean + mean // 2)

    def messenger(self, ask: Any, work: Any) -> Generator[Any, Any, None]:
        task = Task()
        while True:
            yield ask.get()
            yield self.run(task, 0)
            # It has the cpu: what has come meanwhile is answered at once.
            more, ask.items[:] = len(ask.items), []
            for _ in range(1 + more):
                yield work.put(1)

    def worker(self, ask: Any, work: Any) -> Generator[Any, Any, None]:
        task = Task()
        while True:
            yield ask.put(1)
            yield work.get()
            yield self.run(task, self.around(500_000))
            self.requests += 1
            yield self.env.timeout(self.around(MS))
            yield self.run(task, 0)

    def hog(self) -> Generator[Any, Any, None]:
        task = Task()
        while True:
            yield self.run(task, 1_000 * SECOND)


def in_simpy(cpus: int, messengers: int, workers: int, hogs: int, ns: int) -> Speed:
    """The workload `wakeup` in the model above."""
    import simpy

    model = Model(cpus, 1)
    for _ in range(messengers):
        ask, work = simpy.Store(model.env), simpy.Store(model.env)
        model.env.process(model.messenger(ask, work))
        for _ in range(workers):
            model.env.process(model.worker(ask, work))
    for _ in range(hogs):
        model.env.process(model.hog())
    began = time.process_time()
    model.env.run(until=ns)
    seconds = time.process_time() - began
    tasks = messengers * (1 + workers) + hogs
    return Speed("SimPy", cpus, tasks, model.events, seconds, model.requests * SECOND / ns)


# --- build times


def children() -> float:
    """Seconds of cpu time that ended child processes have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def built(runs: int) -> list[dict[str, Any]]:
    """Milliseconds of cpu time for a policy's shared object, by compiler."""
    found = []
    for spec in ("clang", "gcc", "zig"):
        try:
            native = compiler(spec)
        except SimError:
            continue
        for name in sorted(path.stem for path in data_path("stdlib_policies").glob("*.sched")):
            (arm,) = arms(name, "none", ())
            times = []
            for number in range(runs + (spec == "zig")):
                with tempfile.TemporaryDirectory() as folder:
                    root = Path(folder)
                    if spec == "zig":
                        # Its own cache stays: it has the C library's start-up files.
                        zig = default_store().root / "zig"
                        zig.mkdir(parents=True, exist_ok=True)
                        (root / "zig").symlink_to(zig)
                    before = children()
                    text = f"{arm.c_text}\n/* {number} {time.time_ns()} */\n"
                    Toolchain(native, "release", Store(root)).policy(text, arm.files)
                    times.append(1000 * (children() - before))
            found.append({"compiler": native.describe().partition(" (")[0], "policy": name,
                          "ms": statistics.median(times[(spec == "zig"):]),
                          "lines": arm.c_text.count("\n")})  # fmt: skip
    return found


def measure(runs: int, quick: bool) -> dict[str, Any]:
    second, short = {"duration": 3 * SECOND}, {"duration": 300 * MS, "warmup": 10 * MS}
    eight = [
        simulated(f"{scheduler}, 8 cpus", machine(), second, runs, scheduler)
        for scheduler in SCHEDULERS
    ]
    by_cpus = [
        simulated(
            scheduler, machine(flags={"cpus": n}),
            {**short, "messengers": max(n // 4, 1), "workers": 4, "hogs": n}, runs, scheduler,
        )
        for scheduler in SCHEDULERS for n in CPUS[: 3 if quick else None]
    ]
    by_tasks = [
        simulated(
            scheduler, machine(flags={"cpus": 64}),
            {**short, "messengers": max(n // 101, 1), "workers": min(n, 100), "hogs": 64}, runs,
            scheduler,
        )
        for scheduler in SCHEDULERS for n in TASKS[: 3 if quick else None]
    ]
    side = {"messengers": 2, "workers": 4, "hogs": 8, "warmup": 0}
    ours = simulated("schedc", free(8), {**side, "duration": 10 * SECOND}, runs)
    theirs = in_simpy(8, 2, 4, 8, 10 * SECOND)
    return {
        "eight": [row(one) for one in eight], "cpus": [row(one) for one in by_cpus],
        "tasks": [row(one) for one in by_tasks], "side": [row(ours), row(theirs)],
        "ratio": {"events a second": ours.rate / theirs.rate,
                  "time for the same": theirs.seconds / ours.seconds},
        "build": built(runs),
    }  # fmt: skip


def row(speed: Speed) -> dict[str, Any]:
    return {**asdict(speed), "events_per_s": speed.rate,
            "ns_per_event": 1e9 * speed.seconds / speed.events}  # fmt: skip


def show(found: Mapping[str, Any]) -> None:
    for title in ("eight", "cpus", "tasks", "side"):
        print(f"\n{title}: cpus tasks events seconds events/s ns/event requests/s")
        for one in found[title]:
            print(
                f"  {one['name']:14} {one['cpus']:4} {one['tasks']:7} {one['events']:9} "
                f"{one['seconds']:7.3f} {one['events_per_s'] / 1e6:6.2f} M "
                f"{one['ns_per_event']:7.0f} {one['throughput']:9.0f}"
            )
    print("\nthe simulator to SimPy: "
          + ", ".join(f"{name} x{value:.0f}" for name, value in found["ratio"].items()))
    print("\nbuilding a policy, ms of cpu time")
    for one in found["build"]:
        print(f"  {one['compiler']:14} {one['policy']:12} {one['lines']:5} lines {one['ms']:6.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = measure(asked.runs, asked.quick)
    if asked.json:
        print(json.dumps(found, indent=1))
    else:
        show(found)


if __name__ == "__main__":
    main()
