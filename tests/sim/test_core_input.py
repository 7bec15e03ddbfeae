"""schedc-sim's input: the machine file, the command line; and the same bytes from every build."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from schedc.sim.build import Variant, runtime
from tests.sim.probe import attempt

PLAN = (
    """schedc-plan 1
seed 7
warmup 10000000
duration 200000000
group sleeper
comm sleeper
loop forever
run exponential 200000
sleep wakeup exponential 1000000
group hog
comm hog
nice 5
loop forever
run fixed 1000000
"""
    + "".join(f"task 0 {number} - -\n" for number in range(16))
    + "task 1 0 - -\ntask 1 1 - -\n"
)

MACHINE = """# two caches, siblings, two slow cores
cpus 8
cpu 0 core 0
cpu 1 core 0
cpu 2 core 1
cpu 3 core 1
cpu 4 core 2 llc 1 node 1
cpu 5 core 2 llc 1 node 1
cpu 6 core 3 llc 1 node 1 capacity 512   # slow
cpu 7 core 3 llc 1 node 1 capacity 512
hz 1000
smt_speed 600
skew_tick 1
tick_phase 1500000
cost context_switch 1500
cost idle_exit 2000
cost kick 1500
cost wake 800
cost tick 500
cost migrate_core 1000
cost migrate_llc 5000
cost migrate_node 9000
cost timer_slack 50000
"""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("cpus 0", "'0' is no number from 1 to 512"),
        ("cpus 513", "'513' is no number from 1 to 512"),
        ("cpus", "a number is missing"),
        ("cpus two", "'two' is no number from 1 to 512"),
        ("cpus -1", "'-1' is no number from 1 to 512"),
        ("cpus 99999999999999999999999", "is no number from 1 to 512"),
        ("cpu 8 core 1", "'8' is no number from 0 to 7"),
        ("cpu 1 core", "a number is missing"),
        ("cpu 1 socket 1", "a cpu has no 'socket'"),
        ("cpu 1 capacity 2048", "'2048' is no number from 1 to 1024"),
        ("cpu", "'cpu' is not understood"),
        ("hz 9", "'9' is no number from 10 to 10000"),
        ("cost kicks 1", "there is no cost 'kicks'"),
        ("cost kick", "'cost' is not understood"),
        ("cores 4", "'cores' is not understood"),
        ("cpu " + "1 " * 20, "too many words"),
    ],
)
def test_a_machine_that_cannot_be(line: str, message: str) -> None:
    done = attempt(f"machine {line}")
    assert done.returncode == 2
    (said,) = done.stderr.splitlines()
    assert said.startswith("schedc-sim: ")
    assert said.endswith(message)
    assert ":1: " in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--scheduler is missing"),
        (["--scheduler", "fifo"], "one of --plan, --script and --adversary is needed"),
        (["--scheduler", "fifo", "--plan", "-", "--script", "x"], "one of --plan, --script and"),
        (["--scheduler"], "--scheduler: not known, or its value is missing"),
        (["--speed", "1"], "--speed: there is no such option"),
        (["--seed", "1x"], "--seed: '1x' is no number"),
        (["--scheduler", "fifo", "--plan", "/nonexistent"], "/nonexistent: can't be read"),
        (["--scheduler", "fifo", "--plan", "-", "--machine", "/nonexistent"], "can't be read"),
        (["--scheduler", "fifo", "--plan", "-", "--trace", "/nonexistent/x"], "can't be written"),
        (["--scheduler", "fifo", "--plan", "-"], "-: "),
    ],
)
def test_a_command_line_that_cannot_be(options: list[str], message: str) -> None:
    done = subprocess.run(
        [runtime("asan"), *options], input="", capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    (said,) = done.stderr.splitlines()
    assert said.startswith("schedc-sim: ")
    assert message in said
    assert done.stdout == ""


def outcome(variant: Variant, scheduler: str, folder: Path, seed: int = 3) -> tuple[str, bytes]:
    """A run's result and its trace."""
    (folder / "plan").write_text(PLAN)
    (folder / "machine").write_text(MACHINE)
    done = subprocess.run(
        [
            runtime(variant), "--scheduler", scheduler, "--plan", folder / "plan", "--machine",
            folder / "machine", "--trace", folder / "trace", "--seed", str(seed),
        ],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout, (folder / "trace").read_bytes()


@pytest.mark.parametrize("scheduler", ["fifo", "eevdf"])
def test_a_seed_gives_the_same_bytes_whatever_the_build(scheduler: str, tmp_path: Path) -> None:
    release = outcome("release", scheduler, tmp_path)
    assert outcome("release", scheduler, tmp_path) == release
    assert outcome("asan", scheduler, tmp_path) == release
    assert outcome("release", scheduler, tmp_path, seed=4) != release
