"""Does the simulator say what the kernel does? The same plans in both, policy by policy.

Input: policies, workloads, how often. Output: a line of JSON for each run, of the virtual machine
and of the simulator, and tables: for each metric the rank correlation over the schedulers
(Kendall's tau-b) between simulator and machine, and how often the sign of a policy's difference to
the kernel's own scheduler is the same in both.

Method. Each arm has one boot: it runs every workload with every seed, each under a policy that is
loaded afresh. The simulator runs the same plans (same seed, same draws) on a machine of as many
cpus with the costs of `--machine`. A figure is the median over the seeds.

Two schedulers differ in the machine only beyond noise: the same sign with every seed, and by more
than a histogram's bucket (3.2%) or, for other figures, 2%; in the simulator, if their medians do.
Tau-b takes all pairs of schedulers. A sign counts where the machine shows a difference; a simulator
that sees none there is wrong.

The machine's clock is that of instructions (`vm run --clock icount`): a busy host changes nothing.
With one cpu that clock is the cpu's own; two take turns on it: `--cpus 2 --machine
bench/turns.toml`.

What the file of --out holds already isn't run again in the machine; the simulator always is.

    python -m bench.agreement --out agreement.jsonl
"""

from __future__ import annotations

import argparse
import fcntl
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from bench.agreement_table import BASE, Row, Work, beside, table
from bench.subjects import typed
from schedc.cli.policy_object import load_policy, settings_of
from schedc.pipeline import generate
from schedc.sim.machine import machine as sim_machine
from schedc.sim.results import RunResult
from schedc.sim.run import simulate
from schedc.sim.scenario import Arm, Options, Scenario
from schedc.vm.job import Job, Shape
from schedc.vm.kernels import Kernels
from schedc.vm.loadable import Policy
from schedc.vm.machine import Machine
from schedc.vm.outcome import read_outcome
from schedc.vm.run import ICOUNT_SPIN_RATE
from schedc.vm.store import Store
from schedc.workload import registry
from schedc.workload.command import plan
from schedc.workload.results import Result

KERNEL = "6.18"
POLICIES = (
    "fifo", "fair", "interactive", "latency", "deadline", "bands", "longest_first",
    "least_attained", "flash", "saved_lag", "budgeted",
)  # fmt: skip
RUNS = 2
CPUS = 1
FIRST_SEED = 1

# Short, as a second of the guest's is several of the host's.
WORKLOADS: Mapping[str, tuple[str, ...]] = {
    "wakeup": ("duration=600ms", "warmup=60ms"),
    "request": ("duration=600ms", "warmup=60ms"),
    "mixed": ("duration=600ms", "warmup=60ms"),
    "game": ("duration=600ms", "warmup=60ms"),
    "pinned": ("duration=600ms",),
    "priority": ("duration=600ms",),
    "forkstorm": ("duration=600ms",),
    "batch": ("case=viral_product_analytics",),
    "compile": ("jobs=40", "compiler=8ms", "parallel=4", "linker=20ms"),
}

_BOOT_ALLOWANCE_S = 600.0
_STRETCH = 20


def work(name: str, texts: Sequence[str]) -> Work:
    """A workload of the library, set."""
    workload, _, wrong = registry.find(name)
    if workload is None:
        raise SystemExit(wrong[0].message)
    settings, wrong = registry.settings(workload, texts)
    if wrong:
        raise SystemExit(wrong[0].message)
    return Work(workload, settings, tuple(texts))


# --- in the machine


@contextmanager
def turn(lock: Path | None) -> Iterator[None]:
    """While others measure on this host, wait."""
    if lock is None:
        yield
        return
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def in_machine(
    shape: Shape, arms: Mapping[str, Policy | None], slots: Sequence[tuple[Work, int]]
) -> Iterator[Row]:
    """Every workload and seed under every scheduler (None: the kernel's own), in one boot."""
    made = [
        plan(one.workload, one.settings, seed, ICOUNT_SPIN_RATE, shape.cpus) for one, seed in slots
    ]
    files = {f"work{number}.sh": one.script.encode() for number, one in enumerate(made)}
    for name, policy in arms.items():
        if policy is not None:
            files |= {f"{name}.o": policy.object, f"{name}.settings": policy.settings.encode()}
    script = "".join(
        _script(name, number, policy is not None)
        for name, policy in arms.items()
        for number in range(len(made))
    )
    limit = _STRETCH * len(arms) * sum(one.timeout_s for one in made) + _BOOT_ALLOWANCE_S
    with Machine.boot(shape, store=Store.default()) as machine:
        result = machine.run(Job(files, script), limit)
    for name, policy in arms.items():
        for number, (one, seed) in enumerate(slots):
            prefix = f"{name}{number}/"
            outcome = read_outcome(
                {n.removeprefix(prefix): d for n, d in result.out.items() if n.startswith(prefix)},
                made[number].parser, shape.kernel.release,
                c_text=policy.c_text if policy is not None else None, timed_out=False, seconds=0.0,
            )  # fmt: skip
            void = outcome.void.reason if outcome.void else ""
            yield Row("vm", shape.kernel.release, shape.clock, shape.cpus, name, one.workload.name,
                      one.texts, seed, _metrics(one, outcome.result), void)  # fmt: skip


def _metrics(one: Work, result: Result | RunResult | None) -> dict[str, float]:
    values = {name: result.value(name) for name in one.metrics} if result is not None else {}
    return {name: value for name, value in values.items() if value is not None}


def _script(name: str, number: int, loaded: bool) -> str:
    here, out = f"/job/run/{name}{number}", f"/job/out/{name}{number}"
    load = (
        f"schedc-load --object /job/{name}.o --settings /job/{name}.settings "
        "--report out/load.json -- "
    )
    return (
        f"mkdir -p {here} {out} && cd {here} || exit 1\n"
        f"ln -s {out} out\n"
        "cat /sys/kernel/sched_ext/state > out/before\n"
        f"{load if loaded else ''}sh /job/work{number}.sh\n"
        "echo $? > out/status; cd /job\n"
    )


# --- in the simulator


def simulated(name: str) -> Arm:
    """A policy as the simulator takes it; the kernel's own scheduler is built in."""
    if name == BASE:
        return Arm(BASE, built_in=BASE)
    policy, source, sources = typed(name)
    return Arm(name, c_text=generate(policy, source, sources=sources),
               settings=settings_of(policy, ()).text())  # fmt: skip


def in_simulator(
    arms: Sequence[Arm], works: Sequence[Work], seeds: Sequence[int], cpus: int, profile: str
) -> Iterator[Row]:
    """The same, simulated."""
    where = sim_machine(profile, {"cpus": cpus})
    for one in works:
        report = simulate(
            arms, Scenario(one.workload, one.settings, where),
            Options(runs=len(seeds), first_seed=seeds[0]),
        )  # fmt: skip
        for run in report.runs:
            yield Row("sim", profile, "", cpus, run.arm, one.workload.name, one.texts, run.seed,
                      _metrics(one, run.result), run.void.reason if run.void else "")  # fmt: skip


# --- the campaign


def read(path: Path) -> list[Row]:
    """The machine's rows of a file that count; none, if there is no such file."""
    rows = []
    for line in path.read_text().splitlines() if path.is_file() else []:
        values = json.loads(line)
        values["settings"] = tuple(values["settings"])
        row = Row(**values)
        if row.where == "vm":
            rows.append(row)
    return rows


def measured(
    rows: list[Row], shape: Shape, arms: Sequence[str], works: Sequence[Work],
    seeds: Sequence[int], lock: Path | None, say: Callable[[str], None],
) -> Iterator[Row]:
    """What isn't in `rows` yet, one boot for each arm."""
    done = {row.key for row in rows}
    for arm in arms:
        slots = [
            (one, seed)
            for one in works
            for seed in seeds
            if ("vm", shape.clock, shape.cpus, arm, one.workload.name, one.texts, seed) not in done
        ]
        if slots:
            say(f"{arm}: {len(slots)} runs")
            policy = None if arm == BASE else load_policy(arm)
            with turn(lock):
                yield from in_machine(shape, {arm: policy}, slots)


def _say(what: str) -> None:
    print(f"… {what}", file=sys.stderr, flush=True)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.agreement", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--kernel", default=KERNEL)
    parser.add_argument("--cpus", type=int, default=CPUS)
    parser.add_argument("--policies", nargs="*", default=POLICIES)
    parser.add_argument("--workloads", nargs="*", default=tuple(WORKLOADS))
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--machine", default="emulated", help="the simulated machine's costs")
    parser.add_argument("--out", type=Path, help="a file of JSON lines to go on with")
    parser.add_argument("--show", action="store_true", help="boot no machine: what --out has")
    parser.add_argument("--figures", action="store_true", help="the figures themselves, too")
    parser.add_argument("--lock", type=Path, help="a file to lock while a machine runs")
    options = parser.parse_args(argv)
    works = [work(name, WORKLOADS.get(name, ())) for name in options.workloads]
    seeds = range(FIRST_SEED, FIRST_SEED + options.runs)
    names = [BASE, *options.policies]
    rows = read(options.out) if options.out else []
    if not options.show:
        kernel = Kernels(Store.default()).resolve(options.kernel)
        shape = Shape(kernel, options.cpus, 512, "icount", "tools")
        for row in measured(rows, shape, names, works, seeds, options.lock, _say):
            rows.append(row)
            if options.out:
                with options.out.open("a") as file:
                    file.write(json.dumps(asdict(row)) + "\n")
    rows = [row for row in rows if row.cpus == options.cpus]
    arms = [simulated(name) for name in names]
    rows += in_simulator(arms, works, seeds, options.cpus, options.machine)
    for one in works if options.figures else ():
        print(beside(rows, one) + "\n")
    for row in rows:
        if row.void:
            print(f"void: {row.where} {row.arm} {row.workload} {row.seed}: {row.void}")
    print(table(rows, works))
    return 0


if __name__ == "__main__":
    sys.exit(main())
