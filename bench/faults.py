"""Faults: what is left in charge when something goes wrong around a policy, and how soon.

Input: how many runs. Output: a line of JSON for each in the file of --out, and a table. Method: in
guests with the real loader, `bench/faults_inside.py` confirms a policy (`fair`), kills or breaks
something at a random moment, and follows the kernel's own files until the default or the policy of
before is in charge. A run is good if that took at most five seconds, what should come back came
back, and the history says why. The cases are dealt in turn, a few to each boot, by the seed. The
guest's clock is the host's (a busy host makes all figures larger), or with `--clock icount` that of
its instructions, 2 ns each: a run takes several times as long, and the same seed gives the same
figures. There no cpu comes or goes: such a guest hung. What the file holds already is not run
again.

    python -m bench.faults --runs 112 --out faults.jsonl
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from bench.faults_inside import CASES
from bench.faults_world import Run
from schedc.data import data_path
from schedc.vm.errors import VmError
from schedc.vm.job import Clock, Job, Shape
from schedc.vm.kernels import Kernel, Kernels
from schedc.vm.machine import Machine
from schedc.vm.store import Store
from tests.load.forge import forge
from tests.vm.objects import fixture_object

KERNEL = "6.18"
MEMORY_MIB = 640
BATCH = 7
"""Runs to a boot."""
HOTPLUG = {"cpu goes offline", "cpu comes online"}
PATIENCE_S = 40.0
"""Of the guest's time, for a run."""
INSIDE = ("faults_inside", "faults_world", "faults_suspend")
"""Modules of this package that go into the guest."""
# busybox's shell takes its name from the script's: the fixture forgets tasks named "starv…".
VICTIM = b"#!/bin/sh\nwhile :; do :; done\n"


def files() -> dict[str, bytes]:
    """What the guest is given: two proved policies, a forged one, its victim, the faults."""
    starver, certificate = forge("starver", _starver)
    return {
        **_proved("fair", "good"), **_proved("fifo", "trial"),
        "starver.o": starver, "starver.cert": certificate.encode(),
        "starveling": VICTIM,
        **{f"bench/{name}.py": Path(__file__).with_name(f"{name}.py").read_bytes()
           for name in INSIDE},
    }  # fmt: skip


def _starver(mark: str) -> bytes:
    return fixture_object("marked", "STARVE", f'SCHEDC_MARK="{mark}"')


def _proved(policy: str, name: str) -> dict[str, bytes]:
    """An object of the library and its certificate, as a user makes them."""
    with tempfile.TemporaryDirectory() as folder:
        path = data_path("stdlib_policies") / f"{policy}.sched"
        subprocess.run(
            [sys.executable, "-m", "schedc", "compile", str(path), "--emit", "obj,cert",
             "-o", f"{folder}/{name}"],
            check=True, capture_output=True,
        )  # fmt: skip
        return {f"{name}{end}": (Path(folder) / f"{name}{end}").read_bytes()
                for end in (".o", ".cert")}  # fmt: skip


def dealt(runs: int, cases: Sequence[str]) -> dict[str, int]:
    """So many runs, the cases in turn."""
    return {case: runs // len(cases) + (i < runs % len(cases)) for i, case in enumerate(cases)}


def batches(wanted: Mapping[str, int], size: int = BATCH) -> list[dict[str, int]]:
    """The runs in jobs of at most `size`, each with as many different cases as there are."""
    left = dict(wanted)
    found: list[dict[str, int]] = []
    batch: dict[str, int] = {}
    while any(left.values()):
        for case in [case for case, n in left.items() if n > 0]:
            batch[case] = batch.get(case, 0) + 1
            left[case] -= 1
            if sum(batch.values()) == size:
                found.append(batch)
                batch = {}
    return [*found, *([batch] if batch else [])]


def in_guest(
    machine: Machine, content: Mapping[str, bytes], batch: Mapping[str, int], seed: int
) -> list[Run]:
    """One job. A guest that dies, or a run that never ends, is a bad run too."""
    words = [shlex.quote(f"{case}={n}") for case, n in batch.items()]
    script = f"python3 -m bench.{INSIDE[0]} {seed} {' '.join(words)}"
    count = sum(batch.values())
    try:
        result = machine.run(Job(content, script), PATIENCE_S * (count + 1))
    except VmError as failure:
        return [Run(next(iter(batch)), problem=f"the guest died: {failure.message}")]
    lines = result.out.get("runs.jsonl", b"").decode().splitlines()
    done = [run_of(json.loads(line)) for line in lines]
    if len(done) < count:
        left = next((case for case, n in batch.items()
                     if sum(run.case == case for run in done) < n), "?")  # fmt: skip
        done.append(Run(left, problem=f"{count - len(done)} runs did not end: "
                        f"{result.console[-300:]}"))  # fmt: skip
    return done


def run_of(values: Mapping[str, object]) -> Run:
    return Run(**{k: v for k, v in values.items() if k in Run.__dataclass_fields__})  # type: ignore[arg-type]


def table(runs: Iterable[Run]) -> str:
    """For each case: runs, what was restored, times in s (median, longest), the history's words."""
    of_case: dict[str, list[Run]] = {}
    for run in runs:
        of_case.setdefault(run.case, []).append(run)
    lines = ["| case | runs | in charge at the end | safe after, s | policy back after, s "
             "| the history says |", "| --- | --- | --- | --- | --- | --- |"]  # fmt: skip
    for case in [*CASES, *(c for c in of_case if c not in CASES)]:
        if found := of_case.get(case):
            good = [run for run in found if not run.problem]
            restored = ", ".join(sorted({run.restored for run in good})) or "-"
            words = next((run.words for run in reversed(good) if run.words), [])
            said = "; ".join(f"`{word[:90]}`" for word in words) or "nothing new"
            lines.append(
                f"| {case} | {len(good)} of {len(found)} | {restored} | "
                f"{_times(run.safe_s for run in good)} | {_times(run.back_s for run in good)} | "
                f"{said} |"
            )
    return "\n".join(lines)


def _times(seconds: Iterable[float | None]) -> str:
    known = [one for one in seconds if one is not None]
    return f"{statistics.median(known):.2f}, {max(known):.2f}" if known else "-"


def main() -> int:
    options = _options()
    kernel = Kernels(Store.default()).resolve(options.kernel)
    content = files()
    done = _read(options.out)
    cases = options.case or [c for c in CASES if options.clock == "wall" or c not in HOTPLUG]
    wanted = dealt(options.runs, cases)
    left = {case: max(n - sum(run.case == case for run in done), 0) for case, n in wanted.items()}
    for number, batch in enumerate(batches(left)):
        with Machine.boot(shape(kernel, options.clock)) as machine:
            found = in_guest(machine, content, batch, options.seed + len(done) + number)
        done += found
        with open(options.out, "a", encoding="utf-8") as out:
            out.writelines(json.dumps(asdict(run)) + "\n" for run in found)
        for run in found:
            print(run.problem or "good", "-", run.case, file=sys.stderr, flush=True)
    print(table(done))
    return 1 if any(run.problem for run in done) else 0


def shape(kernel: Kernel, clock: Clock) -> Shape:
    return Shape(kernel, image="python", memory_mib=MEMORY_MIB, clock=clock)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What a fault leaves in charge, and how soon.")
    parser.add_argument("--runs", type=int, default=112)
    parser.add_argument("--case", action="append", choices=sorted(CASES), help="only these")
    parser.add_argument("--kernel", default=KERNEL)
    parser.add_argument("--clock", choices=("wall", "icount"), default="wall")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


def _read(path: Path) -> list[Run]:
    if not path.exists():
        return []
    return [run_of(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    sys.exit(main())
