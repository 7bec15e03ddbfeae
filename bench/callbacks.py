"""Generated against hand-written: what each callback costs.

Input: the policies fifo, fair and bands of the library, and the C of this folder. Output: a table
or JSON: verified instructions of each callback, and instructions per call. Method: one boot under
the instruction clock for each seed; in it, every arm runs the same workloads (message passing,
then wake-ups beside hogs) with the kernel's BPF run statistics on. The figure of a callback is
time / calls / 2 ns, less what the kernel's timing itself takes (measured with a callback that
does nothing); of several seeds, the median.

On the instruction clock cpus take turns, and a turn that ends within a callback puts the other
cpu's time into its figure (the same object twice differed by 26%). So the machine has two cpus,
of which one is taken offline: tasks may still use both, which is what makes the kernel call
`select_cpu` and the schedulers go their usual ways, and the same object gives the same figures.

An arm's callbacks are added up with the hand-written arm's call counts, so that a scheduler that
happens to be called more often in one run is not charged for it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from schedc.cli.policy_object import find_policy
from schedc.data import data_path
from schedc.diagnostics.model import Diagnostic
from schedc.pipeline import analyze, generate
from schedc.source import Source
from schedc.toolchain import Compiler, compile_c, find_compiler
from schedc.vm.job import Job, Shape
from schedc.vm.kernels import Kernels
from schedc.vm.machine import Machine
from schedc.vm.store import Store
from schedc.vm.verdict import Verdict, parse_report

HERE = Path(__file__).resolve().parent
POLICIES = ("fifo", "fair", "bands")
KINDS = ("by hand", "generated", "off at load", "counting")
"""Generated without counters; with them, switched off when it is loaded; with them."""

NS_PER_INSTRUCTION = 2
"""Of `-icount shift=1`."""

GOAL = 1.05
PATHS = ("select_cpu", "enqueue", "dispatch", "running", "stopping")
"""The callbacks of a task's way through the scheduler; others are rare or once in a task's life."""

WORKLOADS = (
    "hackbench --groups 2 --fds 4 --loops 60 --datasize 100 --pipe",
    "wl-wakeup --messengers 2 --workers 4 --think-us 500 --work-us 200 --hogs 3 "
    "--duration-ms 400 --warmup-ms 0 --spin-rate 45000 --seed {seed}",
)


@dataclass(frozen=True, slots=True)
class Arm:
    """One scheduler: the object, and whether its counters are on (rodata)."""

    policy: str
    kind: str
    object: bytes
    settings: str

    @property
    def name(self) -> str:
        return f"{self.policy} {self.kind}"


@dataclass(frozen=True, slots=True)
class Cost:
    """One callback in one arm: instructions verified, calls, instructions per call."""

    insns: int
    calls: int
    per_call: float


def by_hand(name: str, compiler: Compiler) -> bytes:
    """The object of a hand-written scheduler, with the flags that generated C gets."""
    from schedc.toolchain.target import load_target

    target = load_target()
    head = [*compiler.command, "-target", target.clang_triple]
    if compiler.kind == "zig":
        head = [*compiler.command, "cc", "-target", target.zig_triple]
    with TemporaryDirectory() as folder:
        out = Path(folder) / "x.o"
        include = data_path("backends/bpf/include")
        command = [*head, *target.flags, f"-I{include}", "-c", str(HERE / f"{name}.bpf.c"),
                   "-o", str(out)]
        subprocess.run(command, check=True)
        return out.read_bytes()


def generated(name: str, compiler: Compiler, counters: bool) -> bytes:
    """The object of a policy of the library."""
    source, _ = Source.from_bytes(f"{name}.sched", Path(find_policy(name)).read_bytes())
    analysis = analyze(source)
    if analysis.policy is None:
        raise SystemExit(f"{name}: {analysis.diagnostics}")
    text = generate(analysis.policy, source, counters=counters)
    done = compile_c(text, compiler, source=source)
    if done.object is None:
        raise SystemExit(f"{name}: {done.log}")
    return done.object


def arms(compiler: Compiler) -> list[Arm]:
    """All schedulers, and the empty callback that tells what timing costs."""
    made = [Arm("empty", KINDS[0], by_hand("empty", compiler), "")]
    for name in POLICIES:
        counting = generated(name, compiler, True)
        made += [
            Arm(name, KINDS[0], by_hand(name, compiler), ""),
            Arm(name, KINDS[1], generated(name, compiler, False), ""),
            Arm(name, KINDS[2], counting, "set counters 0\n"),
            Arm(name, KINDS[3], counting, "set counters 1\n"),
        ]
    return made


Verdicts = dict[str, Verdict]
"""By the name of the arm."""


def run_all(schedulers: list[Arm], kernel: str, seed: int) -> Verdicts:
    """Every arm once, in one boot."""
    found = Kernels(Store.default()).resolve(kernel)
    files: dict[str, bytes] = {"work.sh": "\n".join(WORKLOADS).format(seed=seed).encode()}
    script = ["echo 0 > /sys/devices/system/cpu/cpu1/online"]
    for number, arm in enumerate(schedulers):
        files[f"{number}.o"] = arm.object
        files[f"{number}.settings"] = arm.settings.encode()
        script.append(
            f"schedc-load --object {number}.o --settings {number}.settings --bpf-stats "
            f"--report out/{number}.json -- sh work.sh"
        )
    shape = Shape(found, 2, 512, "icount", "tools")
    with Machine.boot(shape) as machine:
        result = machine.run(Job(files, "\n".join(script)), 60.0 * len(schedulers))
    verdicts = {}
    for number, arm in enumerate(schedulers):
        data = result.out.get(f"{number}.json")
        if data is None:
            raise SystemExit(f"{arm.name}: no report\n{result.console[-2000:]}")
        verdict = parse_report(data, found.release)
        if not verdict.good:
            raise SystemExit(f"{arm.name}: {verdict.outcome.name}: {verdict.problem}")
        verdicts[arm.name] = verdict
    return verdicts


def timing_overhead(verdict: Verdict) -> float:
    """Instructions that the kernel's timing adds to each call."""
    tick = next(one for one in verdict.programs if one.callback.endswith("tick"))
    if tick.run_cnt < 10:
        raise SystemExit(f"only {tick.run_cnt} ticks: no overhead to go by")
    return tick.run_time_ns / tick.run_cnt / NS_PER_INSTRUCTION


def costs(verdicts: Verdicts, policy: str, kind: str) -> dict[str, Cost]:
    """The callbacks of an arm by their name in sched_ext_ops, less what timing takes."""
    overhead = timing_overhead(verdicts[f"empty {KINDS[0]}"])
    found = {}
    for one in verdicts[f"{policy} {kind}"].programs:
        # A hand-written program is called after its policy, the ops `…_by_hand`.
        name = next((path for path in PATHS if one.name.endswith(path)), one.callback)
        spent = one.run_time_ns / one.run_cnt / NS_PER_INSTRUCTION if one.run_cnt else overhead
        found[name] = Cost(one.insns, one.run_cnt, spent - overhead)
    return found


@dataclass(frozen=True, slots=True)
class Row:
    """One callback of a policy: each figure by kind, and ratios to the hand-written one."""

    policy: str
    callback: str
    insns: Mapping[str, int]
    calls: Mapping[str, float]
    per_call: Mapping[str, float]


def rows(measured: list[Verdicts]) -> list[Row]:
    """Medians over the seeds, callback by callback."""
    found = []
    for policy in POLICIES:
        for callback in PATHS:
            by_kind: dict[str, list[Cost]] = {kind: [] for kind in KINDS}
            for verdicts in measured:
                for kind in KINDS:
                    cost = costs(verdicts, policy, kind).get(callback, Cost(0, 0, 0.0))
                    by_kind[kind].append(cost)
            if any(one.calls for kind in KINDS for one in by_kind[kind]):
                found.append(Row(
                    policy, callback,
                    {kind: by_kind[kind][0].insns for kind in KINDS},
                    {kind: median(one.calls for one in by_kind[kind]) for kind in KINDS},
                    {kind: median(one.per_call for one in by_kind[kind]) for kind in KINDS},
                ))
    return found


def totals(policy: str, table: list[Row]) -> tuple[dict[str, int], dict[str, float]]:
    """Verified instructions, and instructions per task queued, of all callbacks together."""
    mine = [row for row in table if row.policy == policy]
    queued = next(row for row in mine if row.callback == "enqueue")
    insns = {kind: sum(row.insns[kind] for row in mine) for kind in KINDS}
    spent = {}
    for kind in KINDS:
        total = 0.0
        for row in mine:
            # A callback that the hand-written one lacks counts as often as in its own run.
            times = row.calls[KINDS[0]] / queued.calls[KINDS[0]] if row.calls[KINDS[0]] else (
                row.calls[kind] / max(queued.calls[kind], 1)
            )
            total += times * row.per_call[kind]
        spent[kind] = total
    return insns, spent


def show(table: list[Row]) -> str:
    """The table as text: three blocks of one column a kind."""
    columns = "".join(f"{kind:>13}" for kind in KINDS)
    lines = [
        f"{'':19}{'verified instructions':52}  {'instructions per call':52}  against by hand",
        f"{'':19}{columns}  {columns}  " + "".join(f"{kind:>13}" for kind in KINDS[1:]),
    ]

    def line(policy: str, name: str, insns: Mapping[str, float],
             spent: Mapping[str, float]) -> str:
        base = spent[KINDS[0]]
        ratios = (f"{spent[kind] / base:13.2f}" if base else f"{'-':>13}" for kind in KINDS[1:])
        return (
            f"{policy:7}{name:12}" + "".join(f"{insns[kind]:13.0f}" for kind in KINDS) + "  "
            + "".join(f"{spent[kind]:13.0f}" for kind in KINDS) + "  " + "".join(ratios)
        )

    for policy in POLICIES:
        lines += [
            line(policy, row.callback, row.insns, row.per_call)
            for row in table if row.policy == policy
        ]
        insns, spent = totals(policy, table)
        lines.append(line(policy, "together", insns, spent))
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--kernel", default="6.18")
    parser.add_argument("--runs", type=int, default=3, help="seeds, each a boot")
    parser.add_argument("--cc", default=None)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    compiler = find_compiler(options.cc)
    if isinstance(compiler, Diagnostic):
        raise SystemExit(compiler.message)
    schedulers = arms(compiler)
    measured = []
    for seed in range(1, options.runs + 1):
        print(f"boot {seed} of {options.runs}: {len(schedulers)} schedulers", file=sys.stderr)
        measured.append(run_all(schedulers, options.kernel, seed))
    table = rows(measured)
    overhead = median(timing_overhead(one[f"empty {KINDS[0]}"]) for one in measured)
    if options.json:
        value = {
            "compiler": compiler.describe(), "timing": overhead, "goal": GOAL,
            "rows": [{"policy": row.policy, "callback": row.callback, "insns": row.insns,
                      "calls": row.calls, "per_call": row.per_call} for row in table],
            "together": {policy: totals(policy, table) for policy in POLICIES},
        }
        print(json.dumps(value))
    else:
        print(show(table))
        print(f"\n{compiler.describe()}; timing itself: {overhead:.0f} instructions a call, "
              f"taken off; goal: ratio <= {GOAL} without counters")
    return 0


if __name__ == "__main__":
    sys.exit(main())
