"""`schedc sim`: what stands on the command line, what is shown, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import schedc.cli
from tests.sim.conftest import GOOD, SKELETON

QUICK = ("-w", "wakeup", "--duration", "100ms", "-p", "warmup=10ms", "--cpus", "2", "--smt", "1")


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    code = schedc.cli.run(["sim", *args])
    out, err = capsys.readouterr()
    return code, out, err


def written(path: Path, enqueue: str, members: str = "") -> str:
    path.write_text(SKELETON % ("", enqueue, members))
    return str(path)


def test_a_policy_of_the_library_beside_two_others(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "interactive", *QUICK, "--against", "eevdf,fair")
    assert (code, err) == (0, "")
    assert out.startswith("wakeup on 2 cpus, ")
    for part in ("interactive : eevdf", "interactive : fair", "medians of 10 runs, seeds 1..10",
                 "longest wait by class, beside the proved bound",
                 "interactive against eevdf:", "interactive against fair:"):  # fmt: skip
        assert part in out


def test_json_is_the_same_bytes_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    args = ("fifo", *QUICK, "--against", "fifo", "--runs", "3", "--json")
    code, out, _ = run(capsys, *args)
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [line["type"] for line in lines] == ["run"] * 6 + ["report"]
    assert {line["arm"] for line in lines[:6]} == {"fifo", "fifo (built in)"}
    assert run(capsys, *args, "--jobs", "1")[1] == out


def test_a_c_file_runs_unchanged(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = written(tmp_path / "mine.bpf.c", GOOD)
    code, out, _ = run(capsys, path, *QUICK, "--runs", "2", "--against", "none")
    assert code == 0 and "mine" in out and "beside the proved bound" not in out


def test_a_scheduler_that_starves_ends_with_4(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = written(tmp_path / "bad.c", f"\tif (p->pid != 3)\n{GOOD}", ".timeout_ms = 50,")
    code, out, err = run(capsys, path, *QUICK, "--runs", "5", "--against", "eevdf")
    assert code == 4
    assert "error[E0904]: 2 runs of `bad` void: `worker` starved for 0." in err
    assert "2 of 7 runs void" in out and "nothing to compare" in out


def test_a_policy_without_a_proof_is_simulated_with_a_note(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, err = run(
        capsys, "examples/refuted/strict_priority/flawed.sched", *QUICK, "--runs", "2"
    )
    assert "note[N0900]: `" in err and "without a proof: it is refuted" in err
    assert "schedc prove" in err
    assert "beside the proved bound" not in out
    assert code in (0, 4)


@pytest.mark.parametrize(
    ("args", "status", "text"),
    [
        (("fifo",), 2, "give a POLICY and a --workload"),
        (("fifo", "-w", "wakup"), 2, "did you mean `wakeup`?"),
        (("fifo", "-w", "wakeup", "-p", "hogs=x"), 2, "E1205"),
        (("fifo", "-w", "batch", "--duration", "1s"), 2, "E1206"),
        (("fifo", "-w", "wakeup", "--cpus", "9", "--smt", "2"), 2, "E0908"),
        (("fifo", "-w", "wakeup", "--machine", "laptop"), 2, "E0908"),
        (("fifo", "-w", "wakeup", "--cc", "/nowhere/cc"), 2, "E0901"),
        (("fifo", "-w", "wakeup", "--set", "slice=5"), 2, "--set"),
        (("nosuch", "-w", "wakeup"), 2, "E0111"),
        (("fifo", "-w", "wakeup", "--against", "nosuch.c"), 2, "E0111"),
    ],
)
def test_a_mistake_on_the_command_line_is_told_before_anything_runs(
    capsys: pytest.CaptureFixture[str], args: tuple[str, ...], status: int, text: str
) -> None:
    code, out, err = run(capsys, *args)
    assert (code, out) == (status, "")
    assert text in err


def test_c_that_does_not_compile_is_a_finding(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, _, err = run(capsys, written(tmp_path / "bad.c", "\tno C"), *QUICK)
    assert code == 1
    assert "error[E0903]: `bad`: " in err and "bad.c:" in err


def test_a_page_and_traces_are_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    page, trace = tmp_path / "r.html", tmp_path / "t.pftrace"
    code, _, err = run(
        capsys, "fifo", *QUICK, "--runs", "2", "--html", str(page), "--trace", str(trace)
    )
    assert code == 0 and f"wrote {page}" in err
    assert page.read_text().startswith("<!doctype html>")
    assert trace.stat().st_size > 1000
    assert (tmp_path / "t-eevdf.pftrace").stat().st_size > 1000


def test_ctrl_c_ends_it_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    path = written(tmp_path / "loop.c", "\tfor (;;) sink++;")
    process = subprocess.Popen(
        [sys.executable, "-m", "schedc", "sim", path, *QUICK, "--against", "none"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        # A background job of a shell ignores SIGINT, and its children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (running := simulations(tmp_path)):
        time.sleep(0.05)
    assert running, "the simulation did not begin"
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130 and "interrupted" in err
    assert time.monotonic() - began < 10
    assert not simulations(tmp_path)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["loop.c"], "no temporary files"


def simulations(tmp_path: Path) -> list[str]:
    """Processes that were given a file of this test's folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if "schedc-sim\0" in command and str(tmp_path) in command:
            found.append(command)
    return found
