"""The loop, closed: profile, synthesis, plan, canary, watch. `python examples/closed_loop/run.py`.

A machine (a kernel in QEMU, two cpus) runs a service. It is profiled there; a policy is made of the
profile here, proved and simulated; there it is planned, tried under a guard and confirmed. Then the
load changes. Everything that is shown was done and measured just now; nothing needs root.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from schedc.vm.errors import VmError
from schedc.vm.job import Job, JobResult, Shape
from schedc.vm.kernels import Kernels
from schedc.vm.machine import Machine
from schedc.vm.store import Store
from schedc.workload import registry
from schedc.workload.histogram import Histogram
from schedc.workload.plan import plan_text
from schedc.workload.results import Result, parse_result

HERE = Path(__file__).resolve().parent
KERNEL = "6.18"
CPUS = 2


@dataclass(frozen=True)
class Size:
    """How long things take, in seconds; `rounds`: default and policy in turn, so often. `night`: a
    second policy is prepared, and the day comes back."""

    window: int = 15
    canary: int = 10
    rounds: int = 2
    every: int = 8
    look: int = 5
    drift: float = 0.4
    night: bool = True
    search: tuple[str, ...] = ("--max-rounds", "3", "--max-time", "60")
    guard: str = "cmd:/job/p99 < 400"


SHORT = Size(6, 4, 1, 5, 3, 0.4, False, ("--max-rounds", "1", "--runs", "5"))


@dataclass
class Told:
    """What is shown, as it comes."""

    write: Callable[[str], None]
    lines: list[str] = field(default_factory=list)

    def __call__(self, text: str = "") -> None:
        for line in text.splitlines() or [""]:
            self.lines.append(line.rstrip())
            self.write(line.rstrip())

    def step(self, title: str) -> None:
        self()
        self(f"== {title}")

    def command(self, where: str, line: str, output: str, most: int = 12) -> None:
        """A command line with what it printed, cut after `most` lines."""
        self(f"{where}$ {line}")
        lines = output.rstrip().splitlines()
        self("\n".join(f"    {one[:110]}" for one in lines[:most]))
        if len(lines) > most:
            self(f"    … {len(lines) - most} more lines")


def main() -> int:
    """The whole of it; 0 if the policy was confirmed and the drift was noticed."""
    tell = Told(lambda line: print(line, flush=True))
    try:
        found = closed_loop(Size(), tell)
    except VmError as failure:
        print(f"no machine: {failure.message}\nhelp: {failure.help or 'schedc doctor'}",
              file=sys.stderr)  # fmt: skip
        return 2
    return 0 if found.confirmed and found.noticed else 1


@dataclass(frozen=True)
class Found:
    """What came of it. `figures`: by phase of the deployment, in order."""

    confirmed: bool
    noticed: bool
    history: tuple[dict[str, object], ...]
    figures: tuple[Figures, ...]
    watch: str


def closed_loop(size: Size, tell: Told, machine: Machine | None = None) -> Found:
    """All steps; `machine`: one that is there already."""
    if machine is None:
        shape = Shape(Kernels(Store.default()).resolve(KERNEL), CPUS, 640, image="python")
        with Machine.boot(shape) as made:
            return closed_loop(size, tell, made)
    with tempfile.TemporaryDirectory(prefix="closed-loop-") as folder:
        return _steps(size, tell, machine, Path(folder))


def _steps(size: Size, tell: Told, machine: Machine, folder: Path) -> Found:
    tell(f"A machine with {CPUS} cpus and kernel {machine.shape.kernel.release}, in QEMU"
         f"{'' if machine.accelerated else ' (emulated: slower than hardware, and noisier)'}.")
    spin = _spin_rate(machine)
    files = {"day.plan": _plan("day"), "night.plan": _plan("night"),
             "guest.sh": (HERE / "guest.sh").read_bytes(), "p99": (HERE / "p99").read_bytes()}

    tell.step("1. The service runs under the kernel's default scheduler; what is it like?")
    _host(folder, tell, "profile", "object", "-o", "collect.o", quiet=True)
    files["collect.o"] = (folder / "collect.o").read_bytes()
    done = _guest(machine, files, "profile", size, spin)
    tell.command("guest", f"schedc profile --for {size.window}s -o p.json",
                 _text(done, "profile"), 14)  # fmt: skip
    if "p.json" not in done.out:
        raise SystemExit(f"no profile was taken:\n{_text(done, 'profile')}\n{done.console[-800:]}")
    (folder / "p.json").write_bytes(done.out["p.json"])

    tell.step("2. A policy for it: proved, simulated, better beyond noise")
    _host(folder, tell, "synth", "--profile", "p.json", "--goal", "low p99", "--engine", "search",
          "--machine", "emulated", *size.search, "-o", "low_p99.sched", most=90)  # fmt: skip
    if not (folder / "low_p99.sched").exists():
        tell("None is better here; a policy of the library goes on.")
        library = HERE.parents[1] / "stdlib_policies/interactive.sched"
        (folder / "low_p99.sched").write_bytes(library.read_bytes())
    _host(folder, tell, "compile", "low_p99.sched", "--emit", "obj,cert", "-o", "low_p99")
    wanted = ["low_p99.o", "low_p99.cert"]
    if size.night:
        tell("For the night, a policy of the library is compiled too.")
        _host(folder, tell, "compile", str(HERE.parents[1] / "stdlib_policies/fair.sched"),
              "--emit", "obj,cert", "-o", "night", shown="stdlib_policies/fair.sched")
        wanted += ["night.o", "night.cert"]
    files |= {name: (folder / name).read_bytes() for name in [*wanted, "p.json"]}

    tell.step("3. On the machine, while the service runs: plan, canary, confirmed")
    done = _guest(machine, files, "deploy; watch", size, spin)
    return _tell_deployment(size, tell, done)


def _tell_deployment(size: Size, tell: Told, done: JobResult) -> Found:
    history = tuple(_history(done))
    tell.command("guest", "schedc plan low_p99.o -o plan.json", _text(done, "plan1"), 24)
    tell.command(
        "guest", f"schedc apply plan.json --canary --for {size.canary}s --guard '{size.guard}'",
        _text(done, "apply1"), 20,
    )  # fmt: skip
    if size.rounds > 1:
        tell(f"(unloaded and applied again, {size.rounds} times in all, to measure both in turn)")
    tell.command("guest", "schedc status", _text(done, "status"), 20)
    tell.step("4. What the service's requests took, measured by the service")
    figures = tuple(_figures(done, history))
    _table(figures, tell)
    tell.step("5. The load changes; the watch notices")
    action = "night.json" if size.night else "unload"
    tell.command(
        "guest", f"schedc watch p.json --every {size.every}s --look {size.look}s --drift "
        f"{size.drift:g} --on-drift {action}", _text(done, "watch"), 30,
    )  # fmt: skip
    tell.command("guest", "schedc history", _text(done, "history"), 40)
    tell.command("guest", "schedc status", _text(done, "after"), 6)
    what = [one.get("what") for one in history]
    watch = _text(done, "watch")
    if done.timed_out or not history:
        tell(f"the machine's script did not end well:\n{done.console[-2000:]}")
    return Found("confirmed" in what, "the load is another one" in watch, history, figures, watch)


# --- the machine --------------------------------------------------------------------------------


def _guest(
    machine: Machine, files: dict[str, bytes], steps: str, size: Size, spin: int
) -> JobResult:
    rounds = " ".join(str(one + 1) for one in range(size.rounds))
    script = (
        f"SPIN={spin} WINDOW={size.window} CANARY={size.canary} EVERY={size.every} "
        f"LOOK={size.look} DRIFT={size.drift:g} ROUNDS='{rounds}' "
        f"GUARD='{size.guard}'\n. ./guest.sh\n{steps}\n"
    )
    return machine.run(Job(files, script), 600)


def _spin_rate(machine: Machine) -> int:
    """Turns a millisecond: the fastest of three tries, as only slowness is an accident."""
    done = machine.run(Job({}, "for i in 1 2 3; do wl-calibrate; done >out/rate"), 60)
    return max(json.loads(line)["spin_rate"] for line in done.out["rate"].splitlines())


def _plan(name: str) -> bytes:
    workload, _, wrong = registry.find(str(HERE / f"{name}.toml"))
    assert workload is not None, wrong
    settings, _ = registry.settings(workload, ())
    return plan_text(workload, settings, 1, CPUS).encode()


def _text(done: JobResult, name: str) -> str:
    return done.out.get(name, b"(nothing)").decode("utf-8", "replace")


# --- this host ----------------------------------------------------------------------------------


def _host(
    folder: Path, tell: Told, *words: str, most: int = 12, quiet: bool = False, shown: str = ""
) -> None:
    """A command of schedc, in `folder`, with a repository of its own there."""
    env = {**os.environ, "SCHEDC_REPOSITORY": str(folder / "repository")}
    done = subprocess.run(
        [sys.executable, "-m", "schedc", *words], cwd=folder, env=env, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    if done.returncode not in (0, 1) or (done.returncode and words[0] != "synth"):
        raise SystemExit(f"schedc {' '.join(words)}\n{done.stdout}{done.stderr}")
    if not quiet:
        line = " ".join(f'"{one}"' if " " in one else one for one in words)
        if shown:
            line = line.replace(words[1], shown)
        tell.command("host", f"schedc {line}", done.stdout + done.stderr, most)


# --- figures ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Figures:
    """Seconds of the service under one scheduler, put together; times in ms. `p99s`: of each
    second."""

    scheduler: str
    seconds: int
    requests_s: float
    p50: float
    p99: float
    wakeup_p99: float
    background: float
    p99s: tuple[float, ...]


def _history(done: JobResult) -> Iterator[dict[str, object]]:
    for line in _text(done, "history_json").splitlines():
        if line.startswith("{"):
            yield json.loads(line)


def _figures(done: JobResult, history: tuple[dict[str, object], ...]) -> Iterator[Figures]:
    """The service's seconds between two events of the loader's history; those in which something
    was loaded or unloaded belong to neither."""
    seconds = [json.loads(line) for line in _text(done, "day.jsonl").splitlines()
               if line.startswith('{"until"')]  # fmt: skip
    runs = "the kernel's default"
    begin, phases = 0.0, []
    for one in history:
        what, at = one.get("what"), float(str(one.get("at", 0)))
        if what in ("loaded", "unloaded", "rolled-back", "aborted", "ejected", "reattached"):
            phases.append((runs, begin, at))
            on = what in ("loaded", "reattached")
            runs = str(one.get("policy")) if on else "the kernel's default"
            begin = at
    for name, first, last in phases:
        found = [parse_result("phases", json.dumps(one["measured"])) for one in seconds
                 if first + 1.2 < one["until"] / 1e9 < last - 0.2]  # fmt: skip
        if len(found) >= 3:
            yield _together(name, found)


def _together(name: str, found: list[Result]) -> Figures:
    def merged(histogram: str) -> Histogram:
        whole = Histogram()
        for one in found:
            whole = whole.merge(one.histograms.get(histogram, Histogram()))
        return whole

    def ms(value: float | None) -> float:
        return (value or 0) / 1e6

    requests, wakeups = merged("request"), merged("wakeup")
    span = sum(float(str(one.extra["window_ns"])) for one in found) / 1e9
    return Figures(
        name, len(found), requests.count / span, ms(requests.quantile(0.5)),
        ms(requests.quantile(0.99)), ms(wakeups.quantile(0.99)),
        median(one.values.get("background", 0.0) for one in found),
        tuple(ms(value) for one in found if (value := one.value("request_p99"))),
    )  # fmt: skip


def _table(figures: tuple[Figures, ...], tell: Told) -> None:
    tell(f"{'scheduler':26} {'seconds':>7} {'requests/s':>10} {'p50':>9} {'p99':>9} "
         f"{'wake-up p99':>12} {'index':>10}")
    for one in figures:
        tell(f"{one.scheduler:26} {one.seconds:7} {one.requests_s:10.0f} {one.p50:6.2f} ms "
             f"{one.p99:6.1f} ms {one.wakeup_p99:9.1f} ms {one.background:5.2f} cpus")
    default, policy = p99s(figures)
    if default and policy:
        tell(f"median of the seconds' p99: {median(default):.1f} ms under the default, "
             f"{median(policy):.1f} ms under the policy ({median(policy) / median(default):.2f})")


def p99s(figures: tuple[Figures, ...]) -> tuple[list[float], list[float]]:
    """Each second's p99 of requests, ms: under the default, and under policies."""
    default = [x for one in figures if one.scheduler.startswith("the kernel") for x in one.p99s]
    policy = [x for one in figures if not one.scheduler.startswith("the kernel") for x in one.p99s]
    return default, policy


if __name__ == "__main__":
    began = time.monotonic()
    code = main()
    print(f"\n{time.monotonic() - began:.0f} s for all of it")
    sys.exit(code)
