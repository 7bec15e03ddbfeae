"""How long `vm check` takes here: cold, and from a saved machine.

    python bench/vm_times.py OBJECT.o [--kernel 6.18] [--runs 7]

Prints seconds as median and range, from the call to the verdict (the object is there already),
and the guest's own seconds by stage. A report, not a test: run it on an idle machine, or it
measures the others.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path

from schedc.vm.check import check_object
from schedc.vm.kernels import Kernel, Kernels
from schedc.vm.store import Store
from schedc.vm.verdict import Verdict


def measure(data: bytes, kernel: Kernel, runs: int, *, saved: bool) -> tuple[list[float], Verdict]:
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        verdict = check_object(data, kernel, saved=saved)
        times.append(time.perf_counter() - start)
    return times, verdict


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("object", type=Path)
    parser.add_argument("--kernel", default="latest")
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    data = options.object.read_bytes()
    kernel = Kernels(Store.default()).resolve(options.kernel)
    print(f"{kernel.release}, {os.cpu_count()} cpus, load {os.getloadavg()[0]:.2f}")
    check_object(data, kernel)  # saves the machine if it isn't
    for name, saved in (("saved", True), ("cold", False)):
        times, verdict = measure(data, kernel, options.runs, saved=saved)
        stages = ", ".join(f"{k} {v:.2f}" for k, v in verdict.seconds.items())
        print(f"{name:6} {statistics.median(times):.2f} s ({min(times):.2f}..{max(times):.2f}); "
              f"last: {verdict.outcome.name}, guest: {stages}")  # fmt: skip


if __name__ == "__main__":
    main()
