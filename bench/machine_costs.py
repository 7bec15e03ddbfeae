"""What things cost in the virtual machine: where the figures of the machine `emulated` come from.

Input: none. Output: for each of a few workloads that do one thing over and over, how long a turn of
it takes in the machine and in the simulator, and the costs that would make both the same. Method:
one cpu, `--clock icount`, so that a busy host changes nothing; each cost is what is left of a turn
when those before it are taken off:

  yield     two tasks that yield to each other        context_switch
  pass      two tasks that wake each other in turn    wake
  tick      one task that works                       tick
  alone     a task that sleeps, on an idle cpu        idle_exit (and the timer's slack)
  spawn     a process forked and waited for           fork (the forker's part), exit (the child's)
  callback  yield, under a sched_ext policy           callback

    python -m bench.machine_costs
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

from bench.agreement import KERNEL, in_machine, in_simulator, simulated, turn
from bench.agreement_table import BASE, Row, Work
from schedc.cli.policy_object import load_policy
from schedc.sim.machine import COSTS, machine
from schedc.source import Source
from schedc.vm.job import Shape
from schedc.vm.kernels import Kernels
from schedc.vm.store import Store
from schedc.workload import registry
from schedc.workload.read import read_workload

_HEAD = """format = 1
name = "{name}"
description = "one thing, over and over"
metrics = [{metrics}]

[params.duration]
default = "{duration}"
min = "10ms"
doc = "measured time"

[params.warmup]
default = "20ms"
doc = "time before it"
"""

_WORKLOADS = {
    "yield": ("100ms", '"throughput"', """
[groups.one]
count = 2
loop = "forever"
phases = [{ do = "yield" }, { do = "count", what = "throughput" }]
"""),
    "pass": ("100ms", '"throughput"', """
[channels.there]
[channels.back]
[groups.one]
loop = "forever"
phases = [
  { do = "wake", on = "there" }, { do = "wait", on = "back" },
  { do = "count", what = "throughput" },
]
[groups.other]
loop = "forever"
phases = [
  { do = "wait", on = "there" }, { do = "wake", on = "back" },
  { do = "count", what = "throughput" },
]
"""),
    "tick": ("200ms", '"throughput"', """
[groups.one]
loop = "forever"
phases = [{ do = "run", time = "1ms" }, { do = "count", what = "throughput" }]
"""),
    "alone": ("200ms", '"wakeup_p50", "throughput"', """
[groups.one]
loop = "forever"
phases = [
  { do = "sleep", time = "1ms", measure = "wakeup" }, { do = "count", what = "throughput" },
]
"""),
    "spawn": ("100ms", '"throughput", "background"', """
[groups.one]
task = "process"
role = "background"
loop = "forever"
phases = [
  { do = "fork", group = "child" }, { do = "join" }, { do = "count", what = "throughput" },
]
[groups.child]
task = "process"
start = "forked"
loop = 1
phases = [{ do = "exit" }]
"""),
}  # fmt: skip

POLICY = "fifo"


def works() -> list[Work]:
    """The small workloads."""
    found = []
    for name, (duration, metrics, groups) in _WORKLOADS.items():
        text = _HEAD.format(name=name, metrics=metrics, duration=duration) + groups
        workload, wrong = read_workload(Source.from_text(f"{name}.toml", text))
        if workload is None:
            raise SystemExit(wrong[0].message)
        found.append(Work(workload, registry.settings(workload, ())[0], ()))
    return found


def turn_ns(rows: list[Row], arm: str, name: str) -> float:
    """Time for each thing that was counted."""
    rates = [row.metrics["throughput"] for row in rows if row.arm == arm and row.workload == name]
    return 1e9 / statistics.median(rates)


def _part(row: Row) -> float:
    """Cpu time of the tasks that are looked at, in us a turn."""
    return 1e6 * row.metrics["background"] / row.metrics["throughput"]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.machine_costs", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--kernel", default=KERNEL)
    parser.add_argument("--machine", default="emulated", help="the costs that are looked at")
    parser.add_argument("--lock", type=Path, help="a file to lock while a machine runs")
    options = parser.parse_args(argv)
    shape = Shape(Kernels(Store.default()).resolve(options.kernel), 1, 512, "icount", "tools")
    seeds, all_works = (1,), works()
    slots = [(one, 1) for one in all_works]
    real: list[Row] = []
    with turn(options.lock):
        real += in_machine(shape, {BASE: None, POLICY: load_policy(POLICY)}, slots)
    arms = [simulated(BASE), simulated(POLICY)]
    model = list(in_simulator(arms, all_works, seeds, 1, options.machine))
    costs = machine(options.machine).costs
    print("costs:", ", ".join(f"{name} {costs[name]}" for name in COSTS))
    print("| a turn of | scheduler | machine, us | simulator, us |\n| --- | --- | ---: | ---: |")
    for row in real:
        if row.void:
            print(f"void: {row.arm} {row.workload}: {row.void}", file=sys.stderr)
            continue
        mine = turn_ns(model, row.arm, row.workload)
        print(f"| {row.workload} | {row.arm} | {turn_ns(real, row.arm, row.workload) / 1e3:.2f} "
              f"| {mine / 1e3:.2f} |")  # fmt: skip
        other = next(r for r in model if (r.arm, r.workload) == (row.arm, row.workload))
        if "wakeup_p50" in row.metrics:
            print(f"| {row.workload}: wake-up | {row.arm} | {row.metrics['wakeup_p50'] / 1e3:.2f} "
                  f"| {other.metrics['wakeup_p50'] / 1e3:.2f} |")  # fmt: skip
        if "background" in row.metrics:
            print(f"| {row.workload}: forker's part | {row.arm} | {_part(row):.2f} "
                  f"| {_part(other):.2f} |")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
