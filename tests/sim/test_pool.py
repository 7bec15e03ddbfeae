"""Processes at once: their order, their limits, and that none outlives its caller."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from schedc.sim.pool import Done, Job, Pool


def shell(script: str, cpu_s: float = 10.0, stdin: bytes = b"") -> Job:
    return Job(("/bin/sh", "-c", script), stdin, cpu_s)


def ended(jobs: list[Job], at_once: int = 2) -> list[Done]:
    with Pool(at_once) as pool:
        return list(pool.run([lambda job=job: job for job in jobs]))


def test_results_come_in_the_order_of_the_jobs() -> None:
    found = ended([shell("sleep 0.3; echo slow"), shell("echo quick; exit 3"), shell("cat")])
    ends = [(one.status, one.stdout) for one in found]
    assert ends == [(0, b"slow\n"), (3, b"quick\n"), (0, b"")]


def test_a_job_reads_what_it_is_given_and_says_what_it_likes() -> None:
    text = b"x" * 300_000
    (found,) = ended([shell("cat; echo oh >&2", stdin=text)])
    assert (found.stdout, found.stderr, found.timed_out) == (text, b"oh\n", False)


def test_no_more_run_at_once_than_were_asked_for(tmp_path: Path) -> None:
    script = f"touch {tmp_path}/$$; ls {tmp_path} | wc -l; sleep 0.2; rm {tmp_path}/$$"
    counts = [int(one.stdout) for one in ended([shell(script)] * 6, at_once=2)]
    assert max(counts) <= 2


def test_cpu_time_has_a_limit() -> None:
    (found,) = ended([shell("while :; do :; done", cpu_s=1.0)])
    assert found.status in (-signal.SIGXCPU, -signal.SIGKILL)
    assert not found.timed_out


def test_real_time_has_a_limit_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("schedc.sim.pool.WALL_PER_CPU", 0.2)
    (found,) = ended([shell("exec sleep 60", cpu_s=1.0)])
    assert found.timed_out and found.status == -signal.SIGKILL and found.seconds < 30


def test_leaving_early_kills_what_runs_and_starts_nothing_more(tmp_path: Path) -> None:
    jobs = [lambda: shell("exec sleep 60")] * 2 + [lambda: shell(f"touch {tmp_path}/started")]
    began = time.monotonic()

    def stopped() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Pool(2) as pool:
        running = pool.run([*jobs])
        signal.signal(signal.SIGALRM, lambda *_: stopped())
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        list(running)
    assert time.monotonic() - began < 20
    assert not (tmp_path / "started").exists()


def test_ctrl_c_leaves_no_process_behind(tmp_path: Path) -> None:
    program = (
        "import sys; from schedc.sim.pool import Job, Pool\n"
        "with Pool(2) as pool:\n"
        " print('ready', flush=True)\n"
        f" list(pool.run([lambda: Job(('/bin/sh', '-c', 'echo $$ >> {tmp_path}/pids; "
        "exec sleep 60'), b'', 10.0)] * 3))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        # A background job of a shell ignores SIGINT, and its children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    pids = tmp_path / "pids"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and (
        not pids.exists() or len(pids.read_text().split()) < 2
    ):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.wait(timeout=30)
    started = [int(pid) for pid in pids.read_text().split()]
    assert len(started) == 2, "the third was never begun"
    for pid in started:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
