"""`schedc synth`, as a user types it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

import schedc.cli
from schedc.data import read_data
from tests.synth.model_server import Script, serving

DEADLINE = read_data("stdlib_policies/deadline.sched")
LATENCY = read_data("stdlib_policies/latency.sched")
BROKEN = DEADLINE.replace("dispatch", "dispach")
SMALL = (
    "--workload", "wakeup", "-p", "hogs=4", "-p", "workers=3", "-p", "duration=120ms", "-p",
    "warmup=20ms", "--cpus", "2", "--llcs", "1", "--smt", "1", "--runs", "6",
)  # fmt: skip


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SCHEDC_REPOSITORY", str(tmp_path / "kept"))
    for name in ("OPENAI_API_KEY", "OPENAI_API_KEY_FILE", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "kept"


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    code = schedc.cli.run(["synth", *args])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("--goal", "make it purple"), "E1101"),
        (("--goal", "zero p99"), "E1102"),
        (("--goal", "throughput:min"), "E1102"),
        (("--goal", "low p99", "--constraint", "throughput>=lots"), "E1103"),
        (("--objective", "wakup_p99:min"), "E1101"),
        (("--goal", "low\x1bp99"), "E1103"),
        (("--goal", "low p99", "--engine", "llm"), "E1105"),
        (("--resume", "nothing"), "E1104"),
        (("--replay", "../../etc"), "E1104"),
        (("--goal", "low p99", "--workload", "wakup"), "E1208"),
    ],
)
def test_what_can_not_begin_ends_with_a_reason_and_stores_nothing(
    capsys: pytest.CaptureFixture[str], home: Path, args: tuple[str, ...], code: str
) -> None:
    status, _, err = run(capsys, *args)
    assert status == 2
    assert f"error[{code}]" in err and "help:" in err
    assert "\x1b" not in err
    assert not home.exists()


def test_a_goal_is_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys)
    assert status == 2 and "--goal" in err


def test_a_search_from_goal_to_policy(
    capsys: pytest.CaptureFixture[str], home: Path, tmp_path: Path
) -> None:
    out_file = tmp_path / "best.sched"
    status, out, err = run(capsys, "--goal", "low p99", *SMALL, "--max-rounds", "1",
                           "-o", str(out_file))  # fmt: skip
    assert status == 0, err
    assert "no key for a model is set" in err
    for line in ("goal\n  wakeup_p99 as small as can be", "engine: search", "plan: ",
                 "better than the default beyond noise", "proved: no task waits longer than",
                 "no model asked", "kept: "):
        assert line in out, line
    assert schedc.cli.run(["check", str(out_file)]) == 0
    capsys.readouterr()
    folder = next((home / "runs").iterdir())
    status, out, _ = run(capsys, "show", folder.name)
    assert status == 0 and "best: candidate" in out and "policy " in out
    page = tmp_path / "run.html"
    assert run(capsys, "show", folder.name, "--html", str(page))[0] == 0
    text = page.read_text()
    assert "<script" not in text and "http" not in text.replace("http-equiv", "")
    status, again, _ = run(capsys, "--replay", folder.name)
    assert status == 0 and "better than the default beyond noise" in again
    status, as_json, _ = run(capsys, "--replay", folder.name, "--json")
    last = json.loads(as_json.splitlines()[-1])
    assert last["kind"] == "ended" and last["policy"] == out_file.read_text()


def test_a_constraint_that_is_broken_keeps_a_candidate_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, out, _ = run(capsys, "--goal", "low p99", "--constraint", "throughput>=50", *SMALL,
                         "--max-rounds", "1")  # fmt: skip
    assert status == 1
    assert "breaks a constraint" in out and "kept:" not in out


def environment(url: str, home: Path) -> Mapping[str, str]:
    return {**os.environ, "OPENAI_API_KEY": "sk-very-secret", "OPENAI_BASE_URL": url,
            "SCHEDC_REPOSITORY": str(home)}  # fmt: skip


def start(url: str, home: Path, *args: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "schedc", "synth", "--engine", "llm", "--model", "test",
               "--prices", "test=2,8", *args]  # fmt: skip
    return subprocess.Popen(command, env=environment(url, home), text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip


def test_a_model_by_http_and_its_bill(home: Path) -> None:
    script = Script([BROKEN, DEADLINE])
    with serving(script) as url:
        running = start(url, home, "--goal", "low p99", *SMALL, "--max-rounds", "2")
        out, _ = running.communicate(timeout=120)
    assert running.returncode == 0, out
    assert "engine: llm (test)" in out
    assert "2400 tokens, 0.0072 of money" in out
    assert "error" in out and "best" in out
    assert "sk-very-secret" not in out
    kept = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert b"sk-very-secret" not in kept


def test_ctrl_c_leaves_a_run_that_goes_on(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    script = Script([DEADLINE])
    with serving(script) as url:
        command = [sys.executable, "-c", "import signal; signal.signal(signal.SIGINT, "
                   "signal.default_int_handler); import sys, schedc.cli; "
                   "sys.exit(schedc.cli.run(sys.argv[1:]))",
                   "synth", "--engine", "search", "--goal", "low p99", *SMALL,
                   "--max-rounds", "1"]  # fmt: skip
        running = subprocess.Popen(command, env=environment(url, home), text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
        assert running.stdout is not None
        for line in running.stdout:
            if line.startswith("plan:"):
                break
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=60)
    assert running.returncode == 130 and "interrupted" in err and "Traceback" not in err
    folder = next(home.glob("runs/*"))
    assert f"schedc synth --resume {folder.name}" in err
    status, out, err = run(capsys, "--resume", folder.name)
    assert status == 0, out + err
