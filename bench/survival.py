"""Survival: every policy of the library under a load that starves the careless.

Input: the policies of the library and examples/mixed, kernels, compilers. Output: a line of JSON
for each (policy, kernel, compiler), and a table of them. Method: in one machine, for each policy:

  load     30 s of stress-ng with more workers than cpus, two hogs pinned to every cpu beside an
           unpinned victim, and a fork storm beside a victim of its own, all at once;
  hotplug  a cpu goes offline and comes back: the scheduler must end in order, asking for a
           restart, and the loader attaches it again, each time.

A policy that was thrown out, or did not come back, fails; the longest waits are reported, not
judged: they are of an emulated machine. What the file of --out holds already is not run again.

    python -m bench.survival --out survival.jsonl
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bench.subjects import (
    Subject,
    calibrate,
    files,
    json_of,
    library,
    ms_of,
    problem_of,
    subject,
    under,
    verdict_of,
)  # fmt: skip
from schedc.vm.job import Job, Shape
from schedc.vm.kernels import Kernels
from schedc.vm.machine import Machine
from schedc.vm.store import Store

KERNELS = ("6.16", "6.18", "7")
SECONDS = 30
CPUS = 2
# The load's own report is worth more than its end to the second: a slow host stretches all of it.
_ALLOWANCE_S = 120.0

_LOAD = """cd /job
stress-ng --cpu {workers} --timeout {seconds}s > out/stress 2>&1 &
wl-forkstorm --forkers 2 --duration-ms {ms} --spin-rate {rate} > out/forks.json 2> out/forks.err &
wl-pinned --hogs-per-cpu 2 --victims 1 --duration-ms {ms} --spin-rate {rate} > out/pinned.json
wait
"""

# A busy task bound to a cpu; then that cpu goes and comes back. Loading again
# takes seconds in an emulated machine that is busy, so the script waits for it.
_HOTPLUG = """cd /job
taskset 2 sh -c "while :; do :; done" &
hog=$!
ext=/sys/kernel/sched_ext
again() {
	for try in $(seq 150); do
		[ $(cat $ext/enable_seq) -gt $1 ] && [ $(cat $ext/state) = enabled ] && return
		sleep 0.2
	done
}
sleep 0.5
for on in 0 1; do
	seq=$(cat $ext/enable_seq)
	echo $on > /sys/devices/system/cpu/cpu1/online
	again $seq
	cat $ext/state /sys/devices/system/cpu/online > out/online$on
	sleep 0.3
done
kill $hog
"""


@dataclass(frozen=True, slots=True)
class Row:
    """What happened to one policy. Waits in ms: of the unpinned victims as they saw it, and the
    longest of any task as the scheduler counted it, with its class. `loaded_s`: how long it
    stayed. `faults`: how often QEMU's emulation failed and a part was begun again (ADR 26)."""

    policy: str
    kernel: str
    compiler: str
    object: str
    attached: bool
    stayed: bool
    loaded_s: float
    victim_ms: float | None
    storm_victim_ms: float | None
    counted_ms: float | None
    counted_class: str
    children: int | None
    restarts: int | None
    problem: str
    faults: int = 0

    @property
    def good(self) -> bool:
        return self.attached and self.stayed and self.restarts in (None, 2) and not self.problem


def survive(machine: Machine, one: Subject, rate: int, seconds: float = SECONDS) -> Row:
    """The load: does the policy stay, and who waits how long?"""
    ms = int(seconds * 1000)
    script = _LOAD.format(workers=3 * CPUS, seconds=int(seconds), ms=ms, rate=rate)
    result, verdict = under(machine, one, script, seconds + _ALLOWANCE_S)
    pinned, forks = json_of(result, "pinned.json"), json_of(result, "forks.json")
    waits = [
        (stats.wait_max_ns, name) for stats, name in zip(verdict.classes, one.classes, strict=False)
    ]
    longest, cls = max(waits, default=(None, ""))
    problem = "" if verdict.good else problem_of(verdict)
    if not problem and (pinned is None or forks is None):
        problem = f"a workload left no result: {result.console[-200:]!r}"
    return Row(
        one.policy, machine.shape.kernel.release, one.compiler, one.sha256, verdict.attaches,
        verdict.good and not problem, round(verdict.seconds["attached"], 1),
        ms_of(pinned and pinned["victim_longest_ns"]), ms_of(forks and forks["victim_longest_ns"]),
        ms_of(longest), cls, forks and int(forks["children"]), None, problem,
    )  # fmt: skip


def hotplug(machine: Machine, one: Subject) -> tuple[int, str]:
    """A cpu goes and comes back: how often the loader attached anew, and what went wrong.

    The loader does so only where the exit was in order and its code asks for a restart.
    """
    result, verdict = under(machine, one, _HOTPLUG, _ALLOWANCE_S, "--reattach")
    problem = "" if verdict.good else problem_of(verdict)
    for name, cpus in (("online0", b"0"), ("online1", b"0-1")):
        seen = result.out.get(name, b"").split()
        if not problem and seen != [b"enabled", cpus]:
            problem = f"after {name}: {seen!r}"
    if not problem and verdict.restarts != 2:
        problem = f"attached anew {verdict.restarts} times"
    return verdict.restarts, problem


def attaches(machine: Machine, one: Subject) -> Row:
    """Only load, attach, schedule for a moment, detach."""
    result = machine.run(Job(files(one), "schedc-load --object p.o --settings settings --exercise "
                             "--report out/load.json --hold 0.3"), _ALLOWANCE_S)  # fmt: skip
    verdict = verdict_of(result, machine)
    problem = "" if verdict.good else problem_of(verdict)
    return Row(
        one.policy, machine.shape.kernel.release, one.compiler, one.sha256, verdict.attaches,
        verdict.good, round(verdict.seconds["attached"], 1), *[None] * 3, "", None, None, problem,
    )  # fmt: skip


# --- the campaign


@dataclass(frozen=True, slots=True)
class Campaign:
    """What to run, and which lines are there already."""

    policies: tuple[str, ...]
    kernels: tuple[str, ...]
    compilers: tuple[str, ...]
    seconds: float
    done: frozenset[tuple[str, str, str]]
    hotplug: bool = True

    def run(self, say: Callable[[str], None]) -> Iterator[Row]:
        """A row for each policy on each kernel. Beside clang, survival is tried on one kernel."""
        store = Store.default()
        for spec in self.kernels:
            kernel = Kernels(store).resolve(spec)
            wanted = [(name, compiler) for compiler in self.compilers for name in self.policies
                      if (Path(name).stem, kernel.release, compiler) not in self.done]  # fmt: skip
            if not wanted:
                continue
            shape = Shape(kernel, cpus=CPUS, memory_mib=512, image="tools", parallel=True)
            machine: Machine | None = None
            for name, compiler in wanted:
                say(f"{Path(name).stem} on {kernel.release} ({compiler})")
                full = (
                    compiler == self.compilers[0]
                    or spec == self.kernels[min(1, len(self.kernels) - 1)]
                )
                try:
                    if machine is None:
                        machine = Machine.boot(shape, store=store)
                        rate = calibrate(machine)
                    yield self._row(machine, subject(name, compiler), rate, full)
                except Exception as failure:  # a guest that died is a result, and not the last one
                    if machine is not None:
                        machine.close()
                        machine = None
                    yield Row(Path(name).stem, kernel.release, compiler, "", False, False, 0.0,
                              *[None] * 3,
                              "", None, None, f"{type(failure).__name__}: {failure}")  # fmt: skip
            if machine is not None:
                machine.close()

    def _row(self, machine: Machine, one: Subject, rate: int, full: bool) -> Row:
        if not full:
            return attaches(machine, one)
        before = machine.faults
        row = survive(machine, one, rate, self.seconds)
        if not self.hotplug:
            return row
        restarts, problem = hotplug(machine, one)
        problem = "; ".join(filter(None, (row.problem, problem)))
        faults = machine.faults - before
        return replace(row, restarts=restarts, problem=problem, faults=faults)


def table(rows: Iterable[Row]) -> str:
    """The rows for people."""
    head = (f"{'policy':15} {'kernel':8} {'cc':6} {'stayed':9} {'victim ms':>10} {'storm ms':>9} "
            f"{'wait_max ms':>12} {'class':13} {'children':>8} {'hotplug':8}")  # fmt: skip
    lines = [head]
    for row in rows:
        again = "-" if row.restarts is None else f"{row.restarts}x"
        stayed = f"{row.loaded_s:.0f} s" if row.stayed else "NO"
        lines.append(
            f"{row.policy:15} {row.kernel.split('+')[0]:8} {row.compiler:6} {stayed:9} "
            f"{_cell(row.victim_ms):>10} "
            f"{_cell(row.storm_victim_ms):>9} {_cell(row.counted_ms):>12} {row.counted_class:13} "
            f"{_cell(row.children):>8} {again:8} {row.problem}".rstrip()
        )
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def _read(path: Path) -> list[Row]:
    return (
        [Row(**json.loads(line)) for line in path.read_text().splitlines()]
        if path.is_file()
        else []
    )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.survival", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("policies", nargs="*", help="names or paths; the whole library by default")
    parser.add_argument("--kernel", action="append", metavar="K", help="may be repeated")
    parser.add_argument(
        "--cc", action="append", metavar="CC", help="may be repeated; the first one in full"
    )
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--out", type=Path, help="a file of JSON lines to go on with")
    parser.add_argument("--no-hotplug", action="store_true", help="only the load")
    parser.add_argument("--show", action="store_true", help="only the table of --out")
    options = parser.parse_args(argv)
    rows = _read(options.out) if options.out else []
    if not options.show:
        done = frozenset((row.policy, row.kernel, row.compiler) for row in rows)
        campaign = Campaign(tuple(options.policies) or library(), tuple(options.kernel or KERNELS),
                            tuple(options.cc or ("clang", "zig")), options.seconds, done,
                            not options.no_hotplug)  # fmt: skip
        for row in campaign.run(lambda what: print(f"… {what}", file=sys.stderr, flush=True)):
            rows.append(row)
            if options.out:
                with options.out.open("a") as file:
                    file.write(json.dumps(asdict(row)) + "\n")
    print(table(rows))
    return 0 if all(row.good for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
