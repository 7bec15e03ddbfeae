"""Waits seen against waits proved: every shipped policy under a load that is made to hurt.

Input: the policies of the library. Output: a line of JSON for each, and a table: for each class the
bound, the longest wait seen, their ratio. Method: in one machine of two cpus, for each policy, some
60 tasks at once that want a cpu:

  hogs      stress-ng at nice -20, -5, 0, 5 and 19;
  pinned    four hogs bound to each cpu, beside victims that may run anywhere;
  forks     processes that fork, exec and exit without end, beside a victim of their own;
  sleepers  a messenger with workers that it wakes, and tasks that sleep 3 ms and work 0.3 ms.

The waits are the scheduler's own counters (the longest from insertion to running, per class) and
the victims' own clocks. How many tasks contend is counted in the guest; the bound is the prover's
for 64 a cpu, or for as many as were counted if there were more. A stint's overrun (tau) is measured
first: two hogs on a cpu, slices of 20 ms; a bound is shown for tau = 4 ms, for which it is proved
by default, and for what was measured (and may then pass what is promised).

What the file of --out holds already is not run again; bounds are not kept in it.

    python -m bench.waits --out waits.jsonl
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
    json_of,
    library,
    ms_of,
    problem_of,
    subject,
    typed,
    under,
)
from schedc.prove.parameters import declared
from schedc.prove.prove import prove
from schedc.vm.job import JobResult, Shape
from schedc.vm.kernels import Kernels
from schedc.vm.machine import Machine
from schedc.vm.store import Store

KERNEL = "6.18"
SECONDS = 60
CPUS = 2
RUNNABLE = 64
MS = 1_000_000
SLICE_NS = 20 * MS
"""Of the shipped fifo, by default."""

_ALLOWANCE_S = 180.0

_TICK = (
    "wl-pinned --hogs-per-cpu 2 --victims 1 --sleep-us 10000000 --work-us 1 --duration-ms {ms} "
    "--spin-rate {rate} > /job/out/pinned.json\n"
)

# The fourth word of loadavg is "runnable/existing", this shell's own look at it included.
_LOAD = """cd /job
wl-forkstorm --forkers 2 --burst 6 --duration-ms {ms} --spin-rate {rate} > out/forks.json &
measured=$!
wl-pinned --hogs-per-cpu 4 --victims 2 --duration-ms {ms} --spin-rate {rate} > out/pinned.json &
measured="$measured $!"
wl-pinned --hogs-per-cpu 0 --victims 3 --sleep-us 3000 --work-us 300 --duration-ms {ms} \\
	--spin-rate {rate} > out/sleepers.json &
measured="$measured $!"
wl-wakeup --messengers 1 --workers 4 --think-us 1000 --work-us 200 --duration-ms {ms} \\
	--spin-rate {rate} > out/wakeup.json &
for nice in -20 -5 0 5 19; do
	sh -c "renice -n $nice -p \\$\\$ > /dev/null; exec stress-ng --cpu 5 --cpu-method int64 \\
		--timeout {seconds}s" > out/stress$nice 2>&1 &
done
(while read -r a b c runnable rest < /proc/loadavg; do
	echo ${{runnable%/*}}
	usleep 200000
done > out/runnable) &
wait $measured
killall -9 stress-ng wl-wakeup
true
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """Of one class: how often a task of it began to run, and the longest wait in ms."""

    runs: int
    wait_ms: float


@dataclass(frozen=True, slots=True)
class Row:
    """One policy under the load. `contenders`: the most tasks that wanted a cpu at a time, on the
    whole machine, which is more than contend for any one cpu. `victims`: longest waits in ms by the
    tasks' own clocks."""

    policy: str
    kernel: str
    object: str
    seconds: float
    tick_ms: float
    contenders: int
    usual: int
    children: int
    victims: dict[str, float]
    classes: dict[str, Seen]
    problem: str

    @property
    def good(self) -> bool:
        return not self.problem


def tick_ms(machine: Machine, rate: int, seconds: float = 5) -> float:
    """How far a stint runs past its slice in this machine: the wait of a hog for the other one."""
    script = _TICK.format(ms=int(seconds * 1000), rate=rate)
    result, verdict = under(machine, subject("fifo"), script, seconds + _ALLOWANCE_S)
    pinned = json_of(result, "pinned.json")
    if not verdict.good or pinned is None:
        raise RuntimeError(f"the tick could not be measured: {problem_of(verdict)}")
    return round((pinned["hog_longest_ns"] - SLICE_NS) / MS, 1)


def strain(machine: Machine, one: Subject, rate: int, tick: float, seconds: float) -> Row:
    """The load under one policy: who waits how long?"""
    script = _LOAD.format(seconds=int(seconds), ms=int(seconds * 1000), rate=rate)
    result, verdict = under(machine, one, script, seconds + _ALLOWANCE_S)
    problem = "" if verdict.good else problem_of(verdict)
    found = {name: json_of(result, f"{name}.json") for name in ("pinned", "forks", "sleepers")}
    if not problem and None in found.values():
        problem = f"a workload left no result: {result.console[-200:]!r}"
    counts = _counts(result)
    classes = {
        name: Seen(stats.run, round(stats.wait_max_ns / MS, 1))
        for name, stats in zip(one.classes, verdict.classes, strict=False)
    }
    victims = {name: ms_of(one["victim_longest_ns"]) or 0.0 for name, one in found.items() if one}
    return Row(
        one.policy, machine.shape.kernel.release, one.sha256,
        round(verdict.seconds["attached"], 1), tick, counts[-1], counts[len(counts) // 2],
        int((found["forks"] or {}).get("children", 0)), victims, classes, problem,
    )  # fmt: skip


def _counts(result: JobResult) -> list[int]:
    """What the sampler saw, in order of size; its own look doesn't count."""
    words = result.out.get("runnable", b"").decode().split()
    return sorted(int(word) - 1 for word in words) or [0]


# --- bounds


def bounds_ms(name: str, runnable: int, tick: float | None = None) -> dict[str, float]:
    """W by class, in ms, whether or not that keeps the promise."""
    policy = typed(name)[0]
    parameters = replace(declared(policy), runnable=runnable)
    if tick is not None:
        parameters = replace(parameters, tick_ns=int(tick * MS))
    proof = prove(policy, parameters)
    return {one.cls: round(one.wait_ns(runnable) / MS, 1) for one in proof.bounds}


@dataclass(frozen=True, slots=True)
class Compared:
    """A class of a row, beside its bounds. `bound_ms`: for tau = 4 ms."""

    policy: str
    cls: str
    runs: int
    contenders: int
    seen_ms: float
    bound_ms: float | None
    measured_ms: float | None

    @property
    def below(self) -> bool:
        return self.bound_ms is not None and self.seen_ms < self.bound_ms


def compare(row: Row, name: str | None = None) -> list[Compared]:
    """Each class that ran, beside what is proved of it."""
    runnable = max(RUNNABLE, row.contenders)
    usual = bounds_ms(name or row.policy, runnable)
    measured = bounds_ms(name or row.policy, runnable, row.tick_ms)
    return [
        Compared(row.policy, cls, seen.runs, row.contenders, seen.wait_ms, usual.get(cls),
                 measured.get(cls))
        for cls, seen in row.classes.items() if seen.runs
    ]  # fmt: skip


def table(rows: Iterable[Row]) -> str:
    """In Markdown. Waits in seconds; the ratio is seen / bound."""
    lines = [
        "| policy | class | stints | contenders | seen, s | bound, s | ratio | bound at tau, s |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        if row.problem:
            lines.append(f"| {row.policy} | {row.problem} | | | | | | |")
            continue
        for one in compare(row):
            ratio = f"{one.seen_ms / one.bound_ms:.3f}" if one.bound_ms else "-"
            lines.append(
                f"| {one.policy} | {one.cls} | {one.runs} | {one.contenders} "
                f"| {one.seen_ms / 1000:.2f} | {_s(one.bound_ms)} | {ratio} "
                f"| {_s(one.measured_ms)} |"
            )
    return "\n".join(lines)


def victims(rows: Iterable[Row]) -> str:
    """The victims' own clocks, in Markdown."""
    names = ("pinned", "forks", "sleepers")
    lines = ["| policy | seconds | children | " + " | ".join(f"{n}, s" for n in names) + " |",
             "| --- |" + " ---: |" * (2 + len(names))]  # fmt: skip
    for row in rows:
        waits = " | ".join(_s(row.victims.get(name)) for name in names)
        lines.append(f"| {row.policy} | {row.seconds:.0f} | {row.children} | {waits} |")
    return "\n".join(lines)


def _s(ms: float | None) -> str:
    return "-" if ms is None else f"{ms / 1000:.2f}"


# --- the campaign


def campaign(
    names: Iterable[str], kernel: str, seconds: float, say: Callable[[str], None]
) -> Iterator[Row]:
    """A row for each policy, in one machine as long as that lives."""
    store = Store.default()
    found = Kernels(store).resolve(kernel)
    shape = Shape(found, cpus=CPUS, memory_mib=512, image="tools", parallel=True)
    machine: Machine | None = None
    try:
        for name in names:
            say(name)
            try:
                if machine is None:
                    machine = Machine.boot(shape, store=store)
                    rate = calibrate(machine)
                    tick = tick_ms(machine, rate)
                    say(f"tau is {tick} ms here")
                yield strain(machine, subject(name), rate, tick, seconds)
            except Exception as failure:  # a guest that died is a result, and not the last one
                if machine is not None:
                    machine.close()
                    machine = None
                problem = f"{type(failure).__name__}: {failure}"
                yield Row(name, kernel, "", 0.0, 0.0, 0, 0, 0, {}, {}, problem)
    finally:
        if machine is not None:
            machine.close()


def read(path: Path) -> list[Row]:
    """The rows of a file; none, if there is no such file."""
    rows = []
    for line in path.read_text().splitlines() if path.is_file() else []:
        values = json.loads(line)
        values["classes"] = {name: Seen(**seen) for name, seen in values["classes"].items()}
        rows.append(Row(**values))
    return rows


def _say(what: str) -> None:
    print(f"… {what}", file=sys.stderr, flush=True)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.waits", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("policies", nargs="*", help="names; all that are shipped by default")
    parser.add_argument("--kernel", default=KERNEL)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--out", type=Path, help="a file of JSON lines to go on with")
    parser.add_argument("--show", action="store_true", help="only the tables of --out")
    options = parser.parse_args(argv)
    rows = read(options.out) if options.out else []
    if not options.show:
        done = {row.policy for row in rows if row.good}
        names = [name for name in options.policies or library()[:-1] if name not in done]
        rows = [row for row in rows if row.good]
        for row in campaign(names, options.kernel, options.seconds, _say):
            rows.append(row)
            if options.out:
                with options.out.open("a") as file:
                    file.write(json.dumps(asdict(row)) + "\n")
    print(table(rows))
    print()
    print(victims(rows))
    return 0 if all(row.good and all(one.below for one in compare(row)) for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
