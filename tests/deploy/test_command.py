"""A guard's command: its number, and every way in which it gives none."""

import os
import sys
import time
from pathlib import Path

import pytest

from schedc.deploy.command import Failed, Probe


def once(*argv: str, timeout: float = 5.0) -> float | Failed:
    return Probe(argv, timeout).once()


def python(text: str, *, timeout: float = 5.0) -> float | Failed:
    return once(sys.executable, "-c", text, timeout=timeout)


@pytest.mark.parametrize(
    ("printed", "number"), [("5", 5), ("  -1.5e2\n", -150), ("0.25", 0.25), ("+3\n\n", 3)]
)
def test_a_number(printed: str, number: float) -> None:
    assert python(f"print({printed!r})") == number


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("pass", "printed nothing"),
        ("print('12 ms')", "printed no number but `12 ms`"),
        ("print('nan')", "printed no number but `nan`"),
        ("print('inf')", "printed no number but `inf`"),
        ("print(1); print(2)", "printed no number"),
        ("print('\\x1b[2J')", "<U+001B>[2J"),
        ("import sys; sys.exit(3)", "failed with exit code 3"),
        ("import os; os.kill(os.getpid(), 15)", "was ended by signal 15"),
        ("print('1' * 100000)", "printed more than 64 KiB"),
    ],
)
def test_no_number(text: str, why: str) -> None:
    found = python(text)
    assert isinstance(found, Failed) and why in found.why


def test_no_such_program() -> None:
    found = once("/no/such/program")
    assert found == Failed("can't be started: no such file or directory")
    assert isinstance(once("x\0y"), Failed)


def test_one_that_hangs_is_killed_with_what_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    text = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        "time.sleep(60)\n"
    )
    began = time.monotonic()
    found = python(text, timeout=2.0)
    assert isinstance(found, Failed) and "did not end within 2 s and was killed" in found.why
    assert time.monotonic() - began < 4
    for pid in map(int, pids.read_text().split()):
        wait_until_gone(pid)


def test_what_it_leaves_in_the_background_is_ended(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    text = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(pid)!r}, 'w').write(str(child.pid))\n"
        "print(7)\n"
    )
    assert python(text) == 7
    wait_until_gone(int(pid.read_text()))


def wait_until_gone(pid: int) -> None:
    """The process ends, or is a zombie that nobody reaps here."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        time.sleep(0.02)
    raise AssertionError(f"{pid} is still there")


def test_looking_never_waits_and_runs_come_one_after_the_other(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    probe = Probe(
        (sys.executable, "-c", f"open({str(runs)!r}, 'a').write('x'); "
         "import time; time.sleep(0.3); print(1)"), 5.0,
    )  # fmt: skip
    found = []
    for _ in range(30):
        began = time.monotonic()
        found.append(probe.look())
        assert time.monotonic() - began < 0.2
        time.sleep(0.05)
    probe.stop()
    assert 1.0 in found
    assert len(runs.read_text()) <= 2, "there is a second between two runs"


def test_stop_ends_it() -> None:
    probe = Probe((sys.executable, "-c", "import time; time.sleep(60)"), 60.0)
    assert probe.look() is None
    process = probe._running
    assert process is not None
    probe.stop()
    assert process.returncode == -9
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
