"""`vm check`: what a kernel says about a scheduler's object.

Input: the bytes of an object, settings, a kernel. Output: a `Verdict`, and diagnostics about it.
Invariant: the object is loaded, attached, given some tasks to schedule for a moment, and detached;
a verdict is good only if all of that went well and the default scheduler came back.

    python -m schedc.vm.check OBJECT.o [--kernel 6.18] [--set NAME=VALUE]
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

from schedc.records import dataclass
from schedc.vm.errors import BAD_RESULT, VmError
from schedc.vm.job import Job, JobResult, Shape
from schedc.vm.kernels import Kernel, Kernels
from schedc.vm.machine import Machine
from schedc.vm.store import Progress, Store, silent
from schedc.vm.verdict import Verdict, parse_report

BUDGET_S = 90.0
"""What the verifier may take in the guest."""
TIMEOUT_S = 40.0
"""For everything else."""
HOLD_S = 0.06
CHECK_MEMORY_MIB = 256


@dataclass(frozen=True, slots=True)
class Settings:
    """Values for an object's constants, set when it is loaded.

    values: constant -> number (times in ns). cgroups and exes: paths, by index.
    """

    values: Mapping[str, int]
    cgroups: tuple[str, ...] = ()
    exes: tuple[str, ...] = ()

    def text(self) -> str:
        """The file that the loader reads."""
        for path in (*self.cgroups, *self.exes):
            if "\n" in path:
                raise ValueError(f"a path with a line break: {path!r}")
        return "".join(
            f"{line}\n"
            for line in (
                *(f"set {name} {int(value)}" for name, value in sorted(self.values.items())),
                *(f"cgroup {i} {path}" for i, path in enumerate(self.cgroups)),
                *(f"exe {i} {path}" for i, path in enumerate(self.exes)),
            )
        )


def check_object(
    data: bytes,
    kernel: Kernel,
    *,
    settings: Settings | str = "",
    c_text: str = "",
    hold_s: float = HOLD_S,
    bpf_stats: bool = False,
    saved: bool = True,
    store: Store | None = None,
    progress: Progress = silent,
) -> Verdict:
    """The verdict of one kernel on one object."""
    with check_machine(kernel, store=store, progress=progress, saved=saved) as machine:
        progress(f"loading on {kernel.release}", None)
        return check_in(
            machine, data, settings=settings, c_text=c_text, hold_s=hold_s,
            bpf_stats=bpf_stats,
        )  # fmt: skip


def check_machine(
    kernel: Kernel,
    *,
    store: Store | None = None,
    progress: Progress = silent,
    saved: bool = True,
    meanwhile: Callable[[], object] | None = None,
) -> Machine:
    """A machine for checks: small, so that it is there soon. `meanwhile`: see `Machine.boot`."""
    shape = Shape(kernel, memory_mib=CHECK_MEMORY_MIB)
    return Machine.boot(shape, store=store, progress=progress, saved=saved, meanwhile=meanwhile)


def check_in(
    machine: Machine,
    data: bytes,
    *,
    settings: Settings | str = "",
    c_text: str = "",
    hold_s: float = HOLD_S,
    bpf_stats: bool = False,
    budget_s: float = BUDGET_S,
) -> Verdict:
    """The same in a machine that is there already (several objects, one after the other)."""
    command = ["schedc-load", "--object", "policy.o", "--settings", "settings",
               "--report", "out/load.json", "--exercise", "--hold", f"{hold_s}",
               "--budget", f"{budget_s}"]  # fmt: skip
    if bpf_stats:
        command.append("--bpf-stats")
    text = settings if isinstance(settings, str) else settings.text()
    files = {"policy.o": data, "settings": text.encode()}
    result = machine.run(Job(files, command=tuple(command)), TIMEOUT_S + budget_s + hold_s)
    return verdict_of(result, machine, c_text)


def verdict_of(result: JobResult, machine: Machine, c_text: str = "") -> Verdict:
    """The verdict in the result of a job that ran the loader with `--report out/load.json`."""
    report = result.out.get("load.json")
    if report is None:
        said = [line for line in result.console.splitlines() if line.strip()]
        raise VmError(
            BAD_RESULT,
            "the loader was killed before it could report"
            if result.timed_out or result.status > 128
            else f"the loader ended with status {result.status} and no report",
            notes=tuple(said[-6:]),
            help="if this scheduler makes the guest hang, that is a finding; else report it",
        )
    return parse_report(report, machine.shape.kernel.release, c_text)


def main(argv: list[str]) -> int:
    """A plain way to try an object, for those who work on the code generator."""
    import argparse
    from pathlib import Path

    from schedc.vm.show import verdict_text

    parser = argparse.ArgumentParser(prog="python -m schedc.vm.check")
    parser.add_argument("objects", nargs="+", type=Path)
    parser.add_argument("--kernel", default="latest")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--cold", action="store_true", help="boot, don't restore")
    parser.add_argument("--hold", type=float, default=HOLD_S, help="seconds to stay loaded")
    options = parser.parse_args(argv)
    values = {name: int(value, 0) for name, _, value in (s.partition("=") for s in options.set)}

    def progress(what: str, fraction: float | None) -> None:
        if fraction is None:
            print(f"… {what}", file=sys.stderr)

    worst = 0
    try:
        kernel = Kernels(Store.default()).resolve(options.kernel, progress)
        for path in options.objects:
            verdict = check_object(
                path.read_bytes(), kernel, settings=Settings(values), hold_s=options.hold,
                saved=not options.cold, progress=progress,
            )  # fmt: skip
            print(f"{path}: {verdict_text(verdict)}")
            worst = worst if verdict.good else 4
    except VmError as e:
        print(e, file=sys.stderr)
        return 2
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
