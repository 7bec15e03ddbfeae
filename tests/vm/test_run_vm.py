"""`vm run` in a real machine: arms that count, a scheduler that starves, the clock of instructions.

Times are not judged: only what must hold on any machine, however busy.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from schedc.diagnostics.model import Diagnostic
from schedc.toolchain import find_compiler
from schedc.toolchain.target import load_target
from schedc.vm.errors import VmError
from schedc.vm.kernels import Kernels
from schedc.vm.loadable import Policy
from schedc.vm.measure import RunReport
from schedc.vm.run import Options, run_workload
from schedc.vm.run_show import diagnostics
from schedc.vm.store import Store
from schedc.workload import registry

pytestmark = [pytest.mark.vm, pytest.mark.quiet, pytest.mark.timeout(600)]

FIXTURES = Path(__file__).parent / "fixtures"
KERNEL = "6.18"


@pytest.fixture(scope="module", autouse=True)
def machine_can_be_had() -> None:
    """Skip, with the reason, where QEMU or a kernel can't be had."""
    from schedc.vm.qemu import find

    store = Store.default()
    try:
        Kernels(store).resolve(KERNEL)
        find(store)
    except VmError as failure:
        pytest.skip(f"no virtual machine: {failure.message}")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    """Fixtures' C to policies."""
    compiler = find_compiler()
    if isinstance(compiler, Diagnostic):
        pytest.skip(compiler.message)
    folder = tmp_path_factory.mktemp("objects")
    triple = load_target().clang_triple if compiler.kind == "clang" else load_target().zig_triple
    head = [*compiler.command, *(["cc"] if compiler.kind == "zig" else []), "-target", triple]

    def make(name: str) -> Policy:
        out = folder / f"{name}.o"
        command = [*head, "-mcpu=v3", "-O2", "-g", "-c", str(FIXTURES / f"{name}.bpf.c"),
                   "-o", str(out)]
        subprocess.run(command, check=True)
        return Policy(name, out.read_bytes(), classes=("all",), queues=("all",))

    return make


def run(policy: Policy, workload: str, *params: str, against: Policy | None = None,
        **options: object) -> RunReport:
    found, _, wrong = registry.find(workload)
    assert found is not None, wrong
    settings, bad = registry.settings(found, params)
    assert not bad
    return run_workload(
        policy, against, found, settings, Options(kernel=KERNEL, **options)  # type: ignore[arg-type]
    )


def test_two_arms_take_turns_and_count(compiled) -> None:  # type: ignore[no-untyped-def]
    report = run(compiled("fifo"), "wakeup", "duration=300ms", "warmup=50ms", pairs=2)
    assert [(one.arm, one.warmup) for one in report.runs] == [
        ("eevdf", True), ("fifo", True), ("eevdf", False), ("fifo", False), ("eevdf", False),
        ("fifo", False),
    ]
    assert report.void_runs == ()
    assert {one.metric for one in report.comparisons} >= {"wakeup_p99", "throughput"}
    assert all(one.ratio is not None and one.ratio.n == 2 for one in report.comparisons)
    verdict = report.runs[-1].outcome.verdict
    # The policy really scheduled the workload: it saw at least a wake-up for each request.
    assert verdict is not None and verdict.good
    assert verdict.classes[0].enqueued > 20


def test_a_starving_scheduler_is_void_with_who_and_how_long(compiled) -> None:  # type: ignore[no-untyped-def]
    report = run(compiled("starver"), "wakeup", "duration=500ms", pairs=5)
    assert report.scheduler_failed
    # Two chances, both void; the rest is not run.
    assert [one.arm for one in report.void_runs] == ["starver", "starver"]
    assert all(one.policy is None for one in report.comparisons)
    for one in report.void_runs:
        void = one.outcome.void
        assert void is not None and void.stall is not None
        assert void.code == "E0803"
        assert void.stall.task == "worker"
        assert 1.5 <= void.stall.seconds < 30
    (found,) = diagnostics(report)
    assert "`worker` starved" in found.message


def test_the_instruction_clock_gives_the_same_figures_twice(compiled) -> None:  # type: ignore[no-untyped-def]
    policy = compiled("fifo")

    def figures() -> list[object]:
        report = run(policy, "batch", "shorts=3", "short=2ms", "long=5ms", pairs=1,
                     clock="icount")
        assert report.void_runs == ()
        return [
            (one.arm, one.seed, one.outcome.result.values)
            for one in report.runs if one.outcome.result is not None
        ]

    first = figures()
    assert len(first) == 4
    # Both arms and both seeds: they must differ from each other, and be the same again.
    assert len({str(one) for one in first}) == 4
    assert figures() == first


QUICK = {
    "audio": ("duration=300ms", "warmup=0ms"),
    "batch": ("shorts=4", "short=3ms", "long=20ms"),
    "compile": ("jobs=6", "compiler=1ms", "linker=2ms"),
    "cyclictest": ("loops=40",),
    "forkstorm": ("duration=300ms",),
    "game": ("duration=300ms", "warmup=0ms"),
    "hackbench": ("groups=1", "loops=20"),
    "mixed": ("duration=300ms", "warmup=0ms"),
    "pinned": ("duration=300ms",),
    "priority": ("duration=300ms",),
    "request": ("duration=300ms", "warmup=0ms"),
    "schbench": ("duration=300ms", "warmup=0ms"),
    "shares": ("duration=300ms", "warmup=0ms"),
    "stress": ("duration=1s",),
    "sysbench": ("duration=1s",),
    "wakeup": ("duration=300ms", "warmup=0ms"),
}


@pytest.mark.parametrize("name", registry.names())
def test_every_workload_gives_its_metrics(name: str, compiled) -> None:  # type: ignore[no-untyped-def]
    report = run(compiled("fifo"), name, *QUICK[name], pairs=1, alone=True)
    assert report.void_runs == (), [one.outcome.void for one in report.void_runs]
    found, _, _ = registry.find(name)
    assert found is not None
    measured = {one.metric for one in report.comparisons if one.policy}
    # A victim that never waited 50 us has no percentile of its waits.
    assert measured >= set(found.metrics) - {"victim_wait_p99"}


THIRD = """\
format = 1
name = "third"
description = "a task that works 30% of the time, and a job's worth of children"
metrics = ["victim_share", "throughput", "forks"]

[params.duration]
default = "1s"
doc = "measured time"

[params.warmup]
default = "200ms"
doc = "time before"

[groups.beat]
role = "victim"
loop = "forever"
phases = [
  { do = "sleep", time = "20ms", schedule = true },
  { do = "run", time = "6ms" },
  { do = "count" },
]

[groups.parent]
task = "process"
loop = "forever"
phases = [{ do = "fork", group = "child" }, { do = "join" }, { do = "sleep", time = "50ms" }]

[groups.child]
task = "process"
start = "forked"
phases = [{ do = "run", time = "1ms" }, { do = "count", what = "forks" }]
"""


def test_a_run_of_phases_takes_its_time(compiled, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "third.toml"
    path.write_text(THIRD)
    # By the clock of instructions: by the host's, a busy host would make its work take longer.
    report = run(compiled("fifo"), str(path), pairs=1, alone=True, clock="icount")
    assert report.void_runs == ()
    values = report.runs[-1].outcome.result.values  # type: ignore[union-attr]
    # 6 ms of every 20 ms on a machine with a cpu to spare.
    assert 0.28 <= values["victim_share"] <= 0.35
    assert 45 <= values["throughput"] <= 51
    assert 8 <= values["forks"] <= 21


def test_a_program_that_the_guest_lacks_is_the_workloads_fault(
    compiled, tmp_path: Path  # type: ignore[no-untyped-def]
) -> None:
    shipped = Path(registry.__file__).parent / "data" / "hackbench.toml"
    text = shipped.read_text(encoding="utf-8")
    mine = tmp_path / "mine.toml"
    mine.write_text(text.replace('program = "hackbench"', 'program = "nosuch"'))
    report = run(compiled("fifo"), str(mine), pairs=1)
    # Both arms, the runs that are thrown away too.
    assert len(report.void_runs) == 4
    assert not report.scheduler_failed
    for one in report.void_runs:
        assert one.outcome.void is not None and one.outcome.void.code == "E1211"
        assert "127" in one.outcome.void.reason


def command(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "schedc", "vm", "run", "--kernel", KERNEL, *args],
        capture_output=True, text=True, timeout=300, env={**os.environ, "NO_COLOR": "1"},
    )


def test_the_command_streams_json_and_exits_with_0(compiled, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "fifo.o"
    path.write_bytes(compiled("fifo").object)
    done = command(str(path), "-w", "batch", "-p", "shorts=2", "-p", "short=1ms", "-p", "long=5ms",
                   "--runs", "1", "--json")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["type"] for line in lines] == ["run"] * 4 + ["report"]
    assert lines[-1]["comparisons"][0]["verdict"] == "too few runs"


def test_the_command_reports_a_starving_policy_and_exits_with_4(
    compiled, tmp_path: Path  # type: ignore[no-untyped-def]
) -> None:
    path = tmp_path / "starver.o"
    path.write_bytes(compiled("starver").object)
    done = command(str(path), "-w", "wakeup", "-p", "duration=300ms", "--runs", "1",
                   "--against", "none")
    assert done.returncode == 4
    assert "E0803" in done.stderr
    assert "`worker` starved for" in done.stderr
    assert "2 of 2 runs void" in done.stdout
