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
import math
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

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
from schedc.workload.histogram import SUB_BITS
from schedc.workload.metrics import METRICS
from schedc.workload.model import Setting, Workload
from schedc.workload.results import Result

KERNEL = "6.18"
BASE = "eevdf"
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

RARE = ("wakeup_p999", "request_p999", "frame_p999")
"""In a second there are too few: their 99.9th percentile is the longest."""

NOISE = {True: 1 + 2.0**-SUB_BITS, False: 1.02}
"""The least ratio that is a difference: of a percentile, of another figure."""

_BOOT_ALLOWANCE_S = 600.0
_STRETCH = 20


@dataclass(frozen=True, slots=True)
class Row:
    """One run. `where`: "vm" or "sim"; `void`: why it doesn't count, empty if it does."""

    where: str
    kernel: str
    clock: str
    cpus: int
    arm: str
    workload: str
    settings: tuple[str, ...]
    seed: int
    metrics: dict[str, float]
    void: str = ""

    @property
    def key(self) -> tuple[object, ...]:
        return (self.where, self.clock, self.cpus, self.arm, self.workload, self.settings,
                self.seed)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Work:
    """A workload with its settings, and the texts that they were given by."""

    workload: Workload
    settings: Mapping[str, Setting]
    texts: tuple[str, ...]

    @property
    def metrics(self) -> tuple[str, ...]:
        return tuple(name for name in self.workload.metrics if name not in RARE)


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


# --- what comes of it


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of one metric under one workload. `tau` is None where all schedulers are alike in the
    machine. `signs` of `differences` agree, not so for the policies that are `wrong`; `pairs`: of
    schedulers that differ in the machine."""

    workload: str
    metric: str
    tau: float | None
    pairs: int
    signs: int
    differences: int
    wrong: tuple[str, ...]


def tau_b(xs: Sequence[int], ys: Sequence[int]) -> float | None:
    """Kendall's tau-b of signs of pairs (-1, 0, 1) in two rankings; None if one is all ties."""
    both = sum(x * y for x, y in zip(xs, ys, strict=True))
    of_x, of_y = sum(map(abs, xs)), sum(map(abs, ys))
    return both / math.sqrt(of_x * of_y) if of_x and of_y else None


def sign(first: float, second: float, metric: str) -> int:
    """Which of two figures is larger; 0 if they are the same but for the resolution."""
    least = NOISE[bool(METRICS[metric].histogram)]
    if max(first, second) <= least * min(first, second):
        return 0
    return 1 if first > second else -1


def real_sign(
    first: Mapping[int, float], second: Mapping[int, float], metric: str
) -> int:
    """By seeds: 0 unless all of them, and the medians too, say the same."""
    signs = {sign(first[seed], second[seed], metric) for seed in first.keys() & second.keys()}
    signs.add(sign(statistics.median(first.values()), statistics.median(second.values()), metric))
    return signs.pop() if len(signs) == 1 else 0


Figures = Mapping[str, Mapping[int, float]]
"""By arm and seed."""


def figures(rows: Iterable[Row], where: str, workload: str, metric: str) -> Figures:
    found: dict[str, dict[int, float]] = {}
    for row in rows:
        mine = (row.where, row.workload) == (where, workload)
        if mine and not row.void and metric in row.metrics:
            found.setdefault(row.arm, {})[row.seed] = row.metrics[metric]
    return found


def agreement(rows: Sequence[Row], workload: str, metric: str) -> Agreement | None:
    """None if either has no figures."""
    real, simulated = figures(rows, "vm", workload, metric), figures(rows, "sim", workload, metric)
    arms = sorted(real.keys() & simulated.keys())
    if len(arms) < 2:
        return None
    middle = {arm: statistics.median(simulated[arm].values()) for arm in arms}
    pairs = list(combinations(arms, 2))
    theirs = [real_sign(real[a], real[b], metric) for a, b in pairs]
    ours = [sign(middle[a], middle[b], metric) for a, b in pairs]
    against = {arm: real_sign(real[arm], real[BASE], metric) for arm in arms if BASE in real}
    told = {arm: one for arm, one in against.items() if one}
    wrong = tuple(
        arm for arm, one in told.items() if sign(middle[arm], middle[BASE], metric) != one
    )
    return Agreement(workload, metric, tau_b(theirs, ours), sum(map(abs, theirs)),
                     len(told) - len(wrong), len(told), wrong)  # fmt: skip


def pooled(rows: Sequence[Row], metrics: Iterable[tuple[str, str]]) -> float | None:
    """Tau-b over the pairs of schedulers of several workloads, each within its workload."""
    theirs: list[int] = []
    ours: list[int] = []
    for workload, metric in metrics:
        real, simulated = (figures(rows, where, workload, metric) for where in ("vm", "sim"))
        arms = sorted(real.keys() & simulated.keys())
        middle = {arm: statistics.median(simulated[arm].values()) for arm in arms}
        for a, b in combinations(arms, 2):
            theirs.append(real_sign(real[a], real[b], metric))
            ours.append(sign(middle[a], middle[b], metric))
    return tau_b(theirs, ours)


def table(rows: Sequence[Row], works: Sequence[Work]) -> str:
    """In Markdown: by workload and metric, then all of a workload, then of a metric."""
    lines = ["| workload | metric | tau | pairs | signs | wrong |",
             "| --- | --- | ---: | ---: | ---: | --- |"]  # fmt: skip
    found = [
        one
        for work in works
        for metric in work.metrics
        if (one := agreement(rows, work.workload.name, metric)) is not None
    ]
    for one in found:
        lines.append(f"| {one.workload} | {one.metric} | {_show(one.tau)} | {one.pairs} "
                     f"| {one.signs}/{one.differences} | {', '.join(one.wrong)} |")  # fmt: skip
    for name in dict.fromkeys(one.workload for one in found):
        mine = [one for one in found if one.workload == name]
        tau = pooled(rows, ((name, one.metric) for one in mine))
        lines.append(_total(f"| {name} | all {len(mine)}", tau, mine))
    for metric in dict.fromkeys(one.metric for one in found):
        mine = [one for one in found if one.metric == metric]
        tau = pooled(rows, ((one.workload, metric) for one in mine))
        lines.append(_total(f"| all {len(mine)} | {metric}", tau, mine))
    tau = pooled(rows, ((one.workload, one.metric) for one in found))
    lines.append(_total("| all | all", tau, found))
    return "\n".join(lines)


def _total(head: str, tau: float | None, of: Sequence[Agreement]) -> str:
    signs, differences = sum(one.signs for one in of), sum(one.differences for one in of)
    share = f" ({100 * signs / differences:.0f}%)" if differences else ""
    pairs = sum(one.pairs for one in of)
    return f"{head} | {_show(tau)} | {pairs} | {signs}/{differences}{share} | |"


def _show(tau: float | None) -> str:
    return "-" if tau is None else f"{tau:.2f}"


def beside(rows: Sequence[Row], one: Work) -> str:
    """The figures themselves: machine / simulator, medians over the seeds."""
    arms = list(dict.fromkeys(row.arm for row in rows if row.where == "vm"))
    lines = [f"| {one.workload.name} | " + " | ".join(one.metrics) + " |"]
    lines.append("| --- |" + " ---: |" * len(one.metrics))
    for arm in arms:
        cells = [_cell(rows, one.workload.name, metric, arm) for metric in one.metrics]
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(rows: Sequence[Row], workload: str, metric: str, arm: str) -> str:
    texts = []
    for where in ("vm", "sim"):
        values = figures(rows, where, workload, metric).get(arm)
        if not values:
            texts.append("-")
            continue
        value = statistics.median(values.values())
        texts.append(f"{value / 1e6:.3g}" if METRICS[metric].unit == "ns" else f"{value:.4g}")
    return " / ".join(texts)


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
