"""Every refutation is repeated by the generated C: a second opinion on the prover's model.

The run says who is on each cpu after each step; a native build of the policy's C, under the
simulated kernel, has to do the same, and the victim has to wait longer than was promised.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from schedc.cli import run as schedc
from schedc.cli.failure import Exit
from schedc.sim import build, replay_show
from schedc.sim.replay import Unplayable, script_of
from schedc.sim.script import machine_text
from tests.refute.policies import FOLDERS, ROOT
from tests.sim.refutations import (
    SAMPLE,
    compiled,
    fresh_run,
    replayed,
    run_against,
    sampled,
    steps,
)

STRICT = ROOT / "examples/refuted/strict_priority/flawed.sched"


def flawed(folder: Path) -> str:
    return (folder / "flawed.sched").read_text(encoding="utf-8")


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_example_is_confirmed(folder: Path) -> None:
    text = flawed(folder)
    run = fresh_run(text)
    found = replayed(run, text)
    assert found.why_not == "", replay_show.told(found, compiled(text)[0], folder.name)
    assert found.confirmed
    if run["wait_ns"] is not None:
        assert found.played.waited_ns == run["wait_ns"] > run["promise_ns"]
    else:
        assert found.ejected or found.played.waited_ns > run["promise_ns"]
        assert found.played.turns > 1 or len(run["blocks"][-1]["steps"]) > 100


@pytest.mark.parametrize(("stem", "kind", "words"), SAMPLE)
def test_mutants_are_confirmed(stem: str, kind: str, words: str) -> None:
    mutant = sampled(stem, kind, words)
    run = run_against(mutant.policy)
    assert run is not None, f"{mutant.name} is not refuted any more"
    assert replayed(run, mutant.text).why_not == ""


@pytest.mark.slow
def test_all_refuted_mutants_are_confirmed() -> None:
    """Those that the prover's campaign has refuted by a run (tests/prove/mutants.md)."""
    from tests.prove.test_mutants import TABLE, campaign

    rows = [line.split(" | ") for line in TABLE.read_text().splitlines() if " | refuted | " in line]
    refuted = {(row[0][2:], row[2]) for row in rows if " waits " in row[-1]}
    refuted -= {(row[0][2:], row[2]) for row in rows if "a cpu idles" in row[-1]}
    confirmed, wrong = 0, []
    for mutant in campaign():
        if (mutant.base.stem, mutant.what) not in refuted:
            continue
        run = run_against(mutant.policy)
        why_not = replayed(run, mutant.text).why_not if run is not None else "there is no run"
        wrong += [f"{mutant.name}: {why_not}"] if why_not else []
        confirmed += not why_not
    assert not wrong, "\n".join(wrong)
    assert confirmed == len(refuted) >= 30


# --- what is not so is seen -----------------------------------------------------------------------


def another_runs(run: dict[str, Any]) -> str:
    run["blocks"][-1]["steps"][-1]["runs"] = ["victim"]
    return "cpu 0 runs `a`, the run says `victim`"


def before_the_end_of_the_slice(run: dict[str, Any]) -> str:
    run["blocks"][-1]["steps"][0]["after_ns"] -= 1
    return "1 ns of the slice are left"


def asleep_before_it_is_woken(run: dict[str, Any]) -> str:
    run["blocks"][0]["steps"].append({"after_ns": 0, "do": "wake", "task": "a", "runs": ["a"]})
    return "task 0 does not sleep"


def of_equal_rank(run: dict[str, Any]) -> str:
    profiles = run["profiles"]
    profiles[1] = dict(profiles[0])
    return "4000000 ns of the slice are left"


@pytest.mark.parametrize(
    "change", [another_runs, before_the_end_of_the_slice, asleep_before_it_is_woken, of_equal_rank]
)
def test_a_changed_run_is_not_confirmed(change: Any) -> None:
    text = STRICT.read_text(encoding="utf-8")
    run = fresh_run(text)
    expected = change(run)
    found = replayed(run, text)
    assert not found.confirmed
    assert expected in found.why_not


def test_the_corrected_policy_refuses_the_run() -> None:
    corrected = STRICT.with_name("corrected.sched").read_text(encoding="utf-8")
    found = replayed(fresh_run(STRICT.read_text(encoding="utf-8")), corrected)
    assert "cpu 0 runs `victim`, the run says `a`" in found.why_not


def test_a_kept_promise_is_not_confirmed() -> None:
    text = (ROOT / "examples/refuted/weighted_fair/flawed.sched").read_text(encoding="utf-8")
    run = fresh_run(text)
    run["promise_ns"] = run["wait_ns"]
    assert "and the promise is" in replayed(run, text).why_not
    run["wait_ns"] += 1
    assert "the victim waits" in replayed(run, text).why_not


def test_a_weight_that_no_nice_gives() -> None:
    run = fresh_run(STRICT.read_text(encoding="utf-8"))
    run["profiles"][0]["weight"] = 101
    with pytest.raises(Unplayable, match="has the weight 101"):
        script_of(run, ())


def test_tasks_that_fork_and_exit_pass_their_name_on() -> None:
    text = (ROOT / "examples/stalls/fork_churn/flawed.sched").read_text(encoding="utf-8")
    run = fresh_run(text)
    assert any(step["task"].endswith("'") for step in steps(run))
    assert replayed(run, text).confirmed


# --- the script -----------------------------------------------------------------------------------


def refused(text: str, tmp_path: Path) -> str:
    """What the runtime says about a script that it can't read."""
    from schedc.model import Topology

    (tmp_path / "script").write_text(text)
    (tmp_path / "machine").write_text(machine_text(Topology((0, 0))))
    command = [str(build.runtime()), "--scheduler", "fifo", "--script", str(tmp_path / "script"),
               "--machine", str(tmp_path / "machine"), "--until", "1000"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 2
    assert done.stderr.startswith("schedc-sim: ") and done.stderr.count("\n") == 1
    return done.stderr.split("script:", 1)[1].strip()


PROFILE = "profile 0 0 0 0 0 100 3 61"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["script 2"], "1: not a script that this program reads"),
        (["script 1", "victim 0 0"], "2: a word is missing"),
        (["script 1", "jump 3"], "2: jump is not known here"),
        (["script 1", "start -1"], "2: -1 is not a number up to 18446744073709551615"),
        (["script 1", "pass 1 ?"], "2: a step before the first block"),
        (["script 1", "block 1 0"], "2: a block without a step"),
        (["script 1", "block 0 0"], "2: for ever, but nobody waits"),
        (["script 1", "profile 20 0 0 0 0 100 3 -"], "2: 20 is not a number from -20 to 19"),
        (["script 1", "profile 0 0 0 0 0 100 4 -"], "2: cpu 2 is not on this machine"),
        (["script 1", "profile 0 0 0 0 0 100 0 -"], "2: no cpu"),
        (["script 1", "profile 0 0 0 0 0 100 1 616"], "2: a name has up to 15 bytes"),
        (["script 1", "block 1 0", "fork 0 0 0 0 ?"], "3: no profile yet"),
        (["script 1", PROFILE, "block 1 0", "fork 0 0 0 2 ?"], "4: 2 is not a number up to 1"),
        (["script 1", PROFILE, "block 1 0", "fork 0 0 0 0 0"], "4: who runs is to be told of 2"),
        (["script 1", PROFILE, "block 1 0", "fork 0 0 0 0 0,9"], "4: not a task: 9"),
        (["script 1", "block 1 0", "pass 1 ? more"], "3: too many words: more"),
        (["script 1", "block 1 0", "stop 0 0 0 dies ?"], "3: dies is not known here"),
    ],
)
def test_a_bad_script_is_refused(lines: list[str], message: str, tmp_path: Path) -> None:
    assert message in refused("\n".join([*lines, ""]), tmp_path)


# --- for people -----------------------------------------------------------------------------------


def shown(capfd: pytest.CaptureFixture[str], *arguments: str, code: int) -> tuple[str, str]:
    assert schedc(["--no-config", *arguments]) == code
    captured = capfd.readouterr()
    return captured.out, captured.err


def test_from_the_proof_to_the_replay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("flawed.sched").write_text(STRICT.read_text(encoding="utf-8"))
    Path("other.sched").write_text(STRICT.with_name("corrected.sched").read_text(encoding="utf-8"))
    shown(capfd, "prove", "flawed.sched", "--run", "run.json", code=Exit.findings)
    out, err = shown(capfd, "sim", "--replay", "run.json", code=Exit.fine)
    assert err == ""
    lines = out.splitlines()
    assert lines[2].split() == ["step", "ms", "cpu", "0", "what", "is", "done", "who", "waits,",
                                "key", "in", "ms"]  # fmt: skip
    assert lines[-1].endswith("confirmed by the generated C") or "would have ended" in lines[-1]
    assert max(map(len, lines)) <= 100
    found = json.loads(shown(capfd, "sim", "--replay", "run.json", "--json", code=Exit.fine)[0])
    assert found["confirmed"] and found["waited_ns"] > found["promise_ns"]
    out, _ = shown(capfd, "sim", "--replay", "run.json", "other.sched", code=Exit.refused)
    assert "not confirmed: step" in out
    Path("run.json").write_text("{}")
    _, err = shown(capfd, "sim", "--replay", "run.json", "flawed.sched", code=Exit.usage)
    assert "is no run" in err
    _, err = shown(capfd, "sim", "--replay", "run.json", code=Exit.usage)
    assert "say whose run it is" in err
    _, err = shown(capfd, "sim", "--replay", "none.json", code=Exit.usage)
    assert "can't read `none.json`" in err
