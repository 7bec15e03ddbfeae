"""The guest's programs, compiled and run on this machine for a moment.

They need no guest. Times are not judged: a busy test machine may be slow. What is checked is that
the figures are there, add up, and follow the seed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from schedc.data import data_path
from schedc.workload.results import parse_result

PROGRAMS = ("calibrate", "forkstorm", "pinned", "wakeup")


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all programs, compiled with every warning an error."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler on this machine")
    folder = tmp_path_factory.mktemp("programs")
    sources = data_path("backends/vm/guest/workloads")
    assert {path.stem for path in sources.glob("*.c")} == set(PROGRAMS)
    for name in PROGRAMS:
        subprocess.run(
            [compiler, "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wshadow", "-Wconversion",
             "-Werror", "-pthread", str(sources / f"{name}.c"), "-o", str(folder / name), "-lm"],
            check=True,
        )
    return folder


def run(programs: Path, name: str, *args: str) -> tuple[str, dict[str, Any]]:
    done = subprocess.run(
        [programs / name, *args], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout, json.loads(done.stdout)


def test_calibrate(programs: Path) -> None:
    assert run(programs, "calibrate")[1]["spin_rate"] > 100


def test_wakeup_closed(programs: Path) -> None:
    text, data = run(
        programs, "wakeup", "--duration-ms", "300", "--warmup-ms", "50", "--work-us", "100",
        "--hogs", "1",
    )
    result = parse_result("wakeup", text)
    assert data["requests"] > 0
    # Every request that was done, or was open at the end, is in the histogram.
    assert result.histograms["request"].count == data["requests"] + data["censored"]
    assert result.values["throughput"] == pytest.approx(data["requests"] / 0.3)
    assert result.values["background"] > 0
    assert data["dropped"] == 0


def test_wakeup_open(programs: Path) -> None:
    text, data = run(
        programs, "wakeup", "--duration-ms", "400", "--warmup-ms", "0", "--gap-us", "2000",
        "--work-us", "100", "--messengers", "1", "--workers", "2",
    )
    # About 200 arrivals: a Poisson process leaves 120..280 less than once in a billion runs.
    assert 120 <= data["requests"] + data["censored"] <= 280
    assert parse_result("wakeup", text).histograms["request"].count == (
        data["requests"] + data["censored"]
    )


def test_an_overloaded_server_shows_its_backlog(programs: Path) -> None:
    """Ten times more work than one worker can do: most requests are open at the end, and count."""
    text, data = run(
        programs, "wakeup", "--duration-ms", "300", "--warmup-ms", "0", "--gap-us", "1000",
        "--work-us", "10000", "--spread", "0", "--messengers", "1", "--workers", "1",
    )
    assert data["censored"] > data["requests"]
    p99 = parse_result("wakeup", text).value("request_p99")
    assert p99 is not None and p99 > 100_000_000


def test_pinned(programs: Path) -> None:
    text, data = run(programs, "pinned", "--duration-ms", "300", "--hogs-per-cpu", "1")
    result = parse_result("pinned", text)
    # One hog on each cpu and a victim: somebody had to wait, and nobody had more than a cpu.
    assert 0 < result.values["victim_longest"] <= data["window_ns"]
    assert 0 < result.values["victim_share"] <= 1.01
    cpus = len(os.sched_getaffinity(0))
    assert data["hog_share_max"] * cpus + result.values["victim_share"] <= 2.2 * cpus


def test_a_victim_that_sleeps(programs: Path) -> None:
    text, _ = run(programs, "pinned", "--duration-ms", "300", "--sleep-us", "5000", "--work-us",
                  "500")
    assert parse_result("pinned", text).values["victim_share"] < 0.7


def test_forkstorm(programs: Path) -> None:
    text, data = run(programs, "forkstorm", "--duration-ms", "300", "--forkers", "2")
    result = parse_result("forkstorm", text)
    assert data["children"] > 0
    assert result.histograms["child_life"].count == data["children"]
    assert result.values["victim_longest"] <= data["window_ns"] * 2


@pytest.mark.parametrize(
    "args",
    [("--nosuch", "1"), ("--seed",), ("--seed", "x"), ("--seed", "-1"), ("seed", "1"),
     ("--seed", "1x"), ("--seed", "9" * 40)],
)
@pytest.mark.parametrize("name", ["forkstorm", "pinned", "wakeup"])
def test_wrong_options_are_refused(programs: Path, name: str, args: tuple[str, ...]) -> None:
    done = subprocess.run([programs / name, *args], capture_output=True, text=True, timeout=10)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "--" in done.stderr
