"""What profiling costs the load that is profiled.

Input: this machine (root), or a guest with --kernel. Output: a table, and JSON with --json: the cpu
time of a turn of two tasks that wake each other as fast as they can, which is the worst case
(nothing but wake-ups and switches), without and with each collector. Method: pairs, each the load
alone and then with the collector watching the whole machine; the ratio of a pair is that of the cpu
time of a turn (the load's own, and what the collector took beside it meanwhile), so that others on
the machine disturb little; then the median of the ratios and their range. In a guest time is made
of instructions (the instruction clock, one cpu), so that nothing else disturbs at all; what it
doesn't know is what caches and mispredicted branches cost.

    python -m bench.profile_overhead [--pairs 7] [--kernel latest --pairs 2]
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
    begin, other, before = time.monotonic(), beside(), children_s()
    with subprocess.Popen([program, "--spin-rate", str(rate)], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as load:  # fmt: skip
        said, _ = load.communicate(plan.encode())
    cpu = children_s() - before + beside() - other
    turns = json.loads(said)["values"]["throughput"] * seconds
    return cpu * 1e9 / turns, turns / (time.monotonic() - begin)


def children_s() -> float:
    """Cpu seconds of the children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


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
            "import os; one = ProcCollector(target.EVERYTHING, os.getpid()); one.look();"
            "print(flush=True); one.run(600, lambda: False)"
        )
        command = [sys.executable, "-c", code]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            try:
                yield lambda: cpu_of(process.pid)
            finally:
                process.kill()
                process.wait()
        return
    if collector == "bpf":
        command = tracing.bpf_command()
        asked = tracing.bpf_request(object_, target.EVERYTHING, 600)
    else:
        from schedc.profile.bcc import bcc_request, find_bcc

        command, asked = find_bcc(), bcc_request(target.EVERYTHING, 600)
    with tracing.Tracer(command, asked):
        yield lambda: 0.0


def measure(program: str, object_: bytes, pairs: int, seconds: float, rate: int) -> list[dict]:
    from schedc.profile.errors import ProfileError

    found = []
    for collector in COLLECTORS:
        ratios, alone, rates, starts = [], [], [], []
        try:
            for _ in range(pairs):
                bare, rate_alone = turn_ns(program, seconds, rate)
                begin = time.monotonic()
                with watching(collector, object_) as beside:
                    starts.append(time.monotonic() - begin)
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
            "least": min(ratios), "most": max(ratios), "start_s": statistics.median(starts),
        })  # fmt: skip
    return found


def in_guest(kernel: str, pairs: int, seconds: float) -> list[dict]:
    """The same, run by the guest's Python on the instruction clock."""
    from schedc.profile.object import make_object
    from schedc.vm.job import Job
    from schedc.vm.machine import Machine
    from schedc.vm.run import ICOUNT_SPIN_RATE

    files = {"profile_overhead.py": Path(__file__).read_bytes(), "p.o": make_object()}
    script = (
        f"python3 profile_overhead.py --inside p.o --pairs {pairs} --seconds {seconds} "
        f"--rate {ICOUNT_SPIN_RATE} --json > out/found 2> out/err"
    )
    # bcc compiles for 10 s of the guest's time, in each pair; Python starts several times.
    patience = pairs * (6 * seconds + 40.0) + 20.0
    with Machine.boot(guest_shape(kernel)) as machine:
        done = machine.run(Job(files, script), patience)
    if done.status:
        raise SystemExit(done.out.get("err", b"").decode("utf-8", "replace")[-2000:])
    return list(json.loads(done.out["found"]))


def guest_shape(kernel: str):
    """With bcc, if the headers of that kernel can be had."""
    from schedc.vm.errors import VmError
    from schedc.vm.job import Shape
    from schedc.vm.kernels import Kernels
    from schedc.vm.machine import prepare
    from schedc.vm.store import Store

    store = Store.default()
    found = Kernels(store).resolve(kernel)
    with_bcc = Shape(found, 1, image="bcc", memory_mib=1536, clock="icount")
    try:
        prepare(with_bcc, store)
    except VmError as failure:
        print(f"without bcc: {failure.message}", file=sys.stderr)
        return Shape(found, 1, image="python", memory_mib=640, clock="icount")
    return with_bcc


def show(found: list[dict]) -> None:
    print(
        f"{'collector':10} {'cpu time of a turn':>20} {'turns/s':>10} {'with it':>9}  "
        "range       starts in"
    )
    for one in found:
        if "failed" in one:
            print(f"{one['collector']:10} {one['failed']}")
            continue
        print(
            f"{one['collector']:10} {one['turn_ns'] / 1e3:17.2f} us {one['turns_s']:10.0f} "
            f"{one['ratio']:8.2f}x  {one['least']:.2f}..{one['most']:.2f}"
            f"  {one['start_s']:6.1f} s"
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
