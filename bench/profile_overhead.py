"""What profiling costs the load that is profiled.

Input: this machine (root), or a guest with --kernel. Output: a table, and JSON with --json: the cpu
time of a turn of two tasks that wake each other as fast as they can, which is the worst case
(nothing but wake-ups and switches), without and with each collector. Method: pairs, each the load
alone and then with the collector watching the whole machine; the ratio of a pair is that of the cpu
time of a turn (the load's own, and what the collector took beside it meanwhile), so that others on
the machine disturb little; then the median of the ratios and their range.

    python -m bench.profile_overhead [--pairs 7] [--kernel 7.3]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

PLAN = """schedc-plan 1
seed 1
warmup 0
duration {duration}
limit 60000000000
locks 0
channel - 0 1 0 1
channel - 1 1 0 1
group ping
comm ping
loop forever
wake 0 1 now
wait 1 1 - -
count throughput
group pong
comm pong
loop forever
wait 0 1 - -
wake 1 1 now
task 0 0 - -
task 1 0 - -
"""
COLLECTORS = ("bpf", "bcc", "proc")
PROGRAM = "/bin/wl-phases"


def turn_ns(program: str, seconds: float, rate: int, beside=lambda: 0.0) -> tuple[float, float]:
    """Cpu time of a turn (ns), and turns a second of the clock."""
    plan = PLAN.format(duration=round(seconds * 1e9))
    begin, other = time.monotonic(), beside()
    with subprocess.Popen([program, "--spin-rate", str(rate)], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as load:  # fmt: skip
        said, _ = load.communicate(plan.encode())
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = used.ru_utime + used.ru_stime
    cpu = total - turn_ns.before + beside() - other
    turn_ns.before = total
    turns = json.loads(said)["values"]["throughput"] * seconds
    return cpu * 1e9 / turns, turns / (time.monotonic() - begin)


turn_ns.before = 0.0


@contextmanager
def watching(collector: str, object_: bytes):
    """The whole machine is watched; yields what the collector's cpu time is, in seconds."""
    from schedc.profile import target, tracing

    def cpu_of(pid: int) -> float:
        words = Path(f"/proc/{pid}/schedstat").read_text().split()
        return int(words[0]) / 1e9

    if collector == "proc":
        code = (
            "from schedc.profile import target; from schedc.profile.proc import ProcCollector;"
            "import os; ProcCollector(target.EVERYTHING, os.getpid()).run(600, lambda: False)"
        )
        with subprocess.Popen([sys.executable, "-c", code]) as process:
            time.sleep(2)
            try:
                yield lambda: cpu_of(process.pid)
            finally:
                process.kill()
                process.wait()
                # What it used is in the children's total from now on.
                used = resource.getrusage(resource.RUSAGE_CHILDREN)
                turn_ns.before = used.ru_utime + used.ru_stime
        return
    if collector == "bpf":
        command = tracing.bpf_command()
        asked = tracing.bpf_request(object_, target.EVERYTHING, 600)
    else:
        from schedc.profile.bcc import bcc_request, find_bcc

        command, asked = find_bcc(), bcc_request(target.EVERYTHING, 600)
    with tracing.Tracer(command, asked):
        yield lambda: 0.0
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    turn_ns.before = used.ru_utime + used.ru_stime


def measure(program: str, object_: bytes, pairs: int, seconds: float, rate: int) -> list[dict]:
    from schedc.profile.errors import ProfileError

    found = []
    for collector in COLLECTORS:
        ratios, alone, rates = [], [], []
        try:
            for _ in range(pairs):
                bare, rate_alone = turn_ns(program, seconds, rate)
                with watching(collector, object_) as beside:
                    watched, _ = turn_ns(program, seconds, rate, beside)
                ratios.append(watched / bare)
                alone.append(bare)
                rates.append(rate_alone)
        except ProfileError as failure:
            found.append({"collector": collector, "failed": failure.message})
            continue
        found.append({
            "collector": collector, "pairs": pairs, "turn_ns": statistics.median(alone),
            "turns_s": statistics.median(rates), "ratio": statistics.median(ratios),
            "least": min(ratios), "most": max(ratios),
        })  # fmt: skip
    return found


def in_guest(kernel: str, pairs: int, seconds: float) -> list[dict]:
    """The same, run by the guest's Python on the instruction clock."""
    from schedc.profile.object import make_object
    from schedc.vm.job import Job, Shape
    from schedc.vm.kernels import Kernels
    from schedc.vm.machine import Machine
    from schedc.vm.run import ICOUNT_SPIN_RATE
    from schedc.vm.store import Store

    shape = Shape(
        Kernels(Store.default()).resolve(kernel), image="python", memory_mib=640, clock="icount"
    )
    files = {"profile_overhead.py": Path(__file__).read_bytes(), "p.o": make_object()}
    script = (
        f"python3 profile_overhead.py --inside p.o --pairs {pairs} --seconds {seconds} "
        f"--rate {ICOUNT_SPIN_RATE} --json > out/found 2> out/err"
    )
    with Machine.boot(shape) as machine:
        done = machine.run(Job(files, script), 120.0)
    if done.status:
        raise SystemExit(done.out.get("err", b"").decode("utf-8", "replace")[-2000:])
    return list(json.loads(done.out["found"]))


def show(found: list[dict]) -> None:
    print(f"{'collector':10} {'cpu time of a turn':>20} {'turns/s':>10} {'with it':>9}  range")
    for one in found:
        if "failed" in one:
            print(f"{one['collector']:10} {one['failed']}")
            continue
        print(
            f"{one['collector']:10} {one['turn_ns'] / 1e3:17.2f} us {one['turns_s']:10.0f} "
            f"{one['ratio']:8.2f}x  {one['least']:.2f}..{one['most']:.2f}"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--kernel", help="in a guest with this kernel")
    parser.add_argument("--program", default=PROGRAM, help="wl-phases")
    parser.add_argument("--rate", type=int, default=100_000)
    parser.add_argument("--inside", metavar="OBJECT", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.kernel:
        found = in_guest(args.kernel, args.pairs, args.seconds)
    else:
        if os.geteuid():
            raise SystemExit("as root, or with --kernel")
        if args.inside:
            data = Path(args.inside).read_bytes()
        else:
            from schedc.profile.object import make_object

            data = make_object()
        found = measure(args.program, data, args.pairs, args.seconds, args.rate)
    if args.json:
        print(json.dumps(found))
    else:
        show(found)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
