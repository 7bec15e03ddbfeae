"""Random policies against adversaries in the simulator: no proved bound is exceeded.

A sample of the campaign (bench/campaign.py; its figures are in docs/prover-measured.md). Besides,
the campaign itself is tested: that it would tell a bound which is too low, that it counts
contenders as assumption E1 says, that the same numbers give the same runs.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from bench import campaign
from bench.adversaries import KINDS, Attack, attack
from bench.campaign import Outcome, Subject, compiled, judge, random_subject, read, table
from bench.random_policies import drawn
from schedc.prove.parameters import declared
from schedc.prove.prove import prove
from schedc.prove.result import Proof
from schedc.sim.build import runtime
from schedc.sim.script import machine_text
from tests.emit.generated import from_text

ALL = range(20)
MS = 1_000_000


def proved(subject: Subject) -> Proof:
    return prove(subject.policy, declared(subject.policy))


def written(text: str) -> Subject:
    policy, c_text = from_text(text, counters=False)
    return Subject(policy.name, policy, c_text)


# --- the sample -----------------------------------------------------------------------------------


@pytest.mark.parametrize("first", range(0, 40, 10))
def test_no_bound_is_exceeded(first: int) -> None:
    outcomes = [judge(random_subject(number), ALL) for number in range(first, first + 10)]
    assert [wrong for outcome in outcomes for wrong in outcome.wrong] == []
    assert sum(outcome.verdict == "proved" for outcome in outcomes) >= 5, "else it says little"


def test_the_library_keeps_its_bounds() -> None:
    """One adversary of each kind; the campaign takes twenty."""
    for path in campaign.shipped():
        outcome = judge(campaign.shipped_subject(path), range(len(KINDS)))
        assert outcome.verdict == "proved"
        assert outcome.wrong == []


def test_a_refutation_is_repeated_by_the_generated_c() -> None:
    outcome = judge(random_subject(24), ())
    assert (outcome.verdict, outcome.replay) == ("refuted", "confirmed")


def test_a_class_that_nobody_stores_is_found_anew() -> None:
    """The search once gave this policy a run in which a task kept the class it was placed with; the
    C asks again at each insertion."""
    assert judge(random_subject(2577), ()).wrong == []


def test_what_pays_for_endless_stints_is_not_proved() -> None:
    """The campaign's one exceeded bound: 388 ms in a queue for which 83 ms had been proved."""
    outcome = judge(random_subject(480), ())
    assert outcome.verdict == "unproven"
    assert "pays for all of an unlimited stint" in outcome.reason


@pytest.mark.slow
def test_campaign() -> None:
    most = int(os.environ.get("SCHEDC_CAMPAIGN_POLICIES", "1000"))
    outcomes = list(campaign.campaign(range(most), ALL, len(os.sched_getaffinity(0)), None))
    print(table(outcomes))
    assert [wrong for outcome in outcomes for wrong in outcome.wrong] == []


# --- would it tell --------------------------------------------------------------------------------

HOGS = """\
policy hogs 1.0.0
assume runnable <= 32 per cpu
queue all fifo
class everyone
enqueue everyone to all slice {slice}
dispatch {{ take all }}
"""


def test_a_bound_that_is_too_low_is_exceeded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three quarters of the bound of a fifo queue are no bound, nor is a bound without its slope.
    (A slice of 5 ms is seen to be over after 8 ms; the bound takes 9 ms.)"""
    subject = written(HOGS.format(slice="5ms"))
    proof = proved(subject)
    lower = [replace(b, a_ns=b.a_ns * 3 / 4, b_ns=b.b_ns * 3 / 4) for b in proof.bounds]
    flat = [replace(b, b_ns=Fraction(0)) for b in proof.bounds]
    for bounds in (lower, flat):
        wrong = replace(proof, bounds=tuple(bounds))
        monkeypatch.setattr(campaign, "prove", lambda *_, wrong=wrong: wrong)
        found = judge(subject, range(8)).wrong
        assert found
        assert re.match(r"adversary \d+: a wait in all \(fifo\) of \d+ ns, W\(\d+\) = ", found[0])


def run_text(subject: Subject, folder: Path, text: str, cpus: int = 1) -> dict[str, object]:
    """A run of two seconds under the actors of a text."""
    from schedc.model import Topology

    machine = machine_text(Topology((0,) * cpus)).replace("hz 1000", "hz 250")
    common = "burst 1000000\nsleep 1000000\nmood 0 1 0 0 0\nbound 0 24000000 24000000\n"
    one = Attack(0, "random", machine, "", common + text, 2_000 * MS)
    shared = compiled(subject, folder)
    return campaign.run(one, shared, folder)


def worst(result: dict[str, object], queue: int = 0) -> tuple[int, int]:
    told = {one["queue"]: one["worst"] for one in result["adversary"]}  # type: ignore[attr-defined]
    return told[queue]["ns"], told[queue]["contenders"]


def test_contenders_of_hogs(tmp_path: Path) -> None:
    """Three hogs take turns of 20 ms, five ticks: each waits for the two others."""
    text = "queue 0 0 0 1 0\nprofile 0 0 0 0 0 100 1 hog\n" + "actor 0 0 2 0 0\n" * 3
    result = run_text(written(HOGS.format(slice="20ms")), tmp_path, text)
    assert worst(result) == (40 * MS, 3)


ENDLESS = """\
policy endless 1.0.0
assume runnable <= 32 per cpu
queue batch fifo
queue rest fifo
class nice when nice > 0
class rest
enqueue nice to batch slice unlimited contended 5ms
enqueue rest to rest slice 5ms
dispatch {{ {dispatch} }}
"""


@pytest.mark.parametrize(
    "dispatch", ["share batch 1, rest 1", "take batch at most 50% every 40ms\n  take rest"]
)
def test_an_endless_stint_is_paid_in_full(dispatch: str, tmp_path: Path) -> None:
    """A batch task has the cpu to itself for some 350 ms, until others come; it is served again
    only when its line has made up for all of that. So such a line has no proof."""
    text = (
        "queue 0 0 0 1 0\nqueue 1 0 0 1 0\nprofile 5 0 0 0 0 100 1 batch\n"
        "profile 0 0 0 0 0 100 1 rest\nactor 0 0 2 0 0\nactor 1 0 0 500000000 350000000\n"
    )
    subject = written(ENDLESS.format(dispatch=dispatch))
    assert worst(run_text(subject, tmp_path, text))[0] >= 300 * MS


def test_a_late_tick_is_waited_for(tmp_path: Path) -> None:
    """A slice of 5 ms ends at the second tick, after 8 ms."""
    text = "queue 0 0 0 1 0\nprofile 0 0 0 0 0 100 1 hog\n" + "actor 0 0 2 0 0\n" * 3
    result = run_text(written(HOGS.format(slice="5ms")), tmp_path, text)
    assert worst(result) == (16 * MS, 3)


def test_contenders_of_bound_tasks(tmp_path: Path) -> None:
    """A queue for two cpus; three tasks are bound to cpu 0 and two may run anywhere. For a bound
    one A is cpu 0, where all five may run; for the others A is both cpus: three for each."""
    text = (
        "queue 0 0 0 3 0\nprofile 0 0 0 0 0 100 1 bound\nprofile 0 0 0 0 0 100 3 free\n"
        + "actor 0 0 2 0 0\n" * 3 + "actor 1 1 2 0 0\n" * 2
    )  # fmt: skip
    result = run_text(written(HOGS.format(slice="20ms")), tmp_path, text, cpus=2)
    contenders = {one["worst"]["contenders"] for one in result["adversary"]}  # type: ignore[attr-defined]
    longest = {one["longest"]["contenders"] for one in result["adversary"]}  # type: ignore[attr-defined]
    assert contenders | longest <= {3, 5}
    assert 5 in longest, "who is bound waits longest"


def test_who_sleeps_does_not_contend(tmp_path: Path) -> None:
    """A hog and two tasks that sleep out of step: seldom all three are runnable."""
    text = (
        "queue 0 0 0 1 0\nprofile 0 0 0 0 0 100 1 task\nactor 0 0 2 0 0\n"
        "actor 0 0 0 1000000 1900000000\n"
    )  # fmt: skip
    result = run_text(written(HOGS.format(slice="20ms")), tmp_path, text)
    assert worst(result)[1] == 2
    text = text.replace("queue 0 0 0 1 0", "queue 0 0 0 1 1") + "actor 0 0 0 1000 1990000000\n"
    result = run_text(written(HOGS.format(slice="20ms")), tmp_path, text)
    assert worst(result)[1] == 3, "with flag 1 (E16) all count that are alive"


# --- repeatable -----------------------------------------------------------------------------------


def test_the_same_number_is_the_same_policy() -> None:
    assert drawn(7).text == drawn(7).text != drawn(8).text


def test_the_policies_cover_the_language() -> None:
    """Of what can be drawn, everything is drawn often enough to be met in a few hundred."""
    text = "\n".join(drawn(number).text for number in range(300))
    for part in (
        r"queue \w+ fifo$", "by moment", r"by vtime within \S+$", "drift 1/", "clock all",
        "per cpu", "per llc", "per node", "per cgroup", r"take \w+ at most \d+%", r"at most \d$",
        " after ", "share ", "lowest ", "keep at most", "steal ", "pick 2", "preempt ", "cap ",
        "pack until", "confine ", "prefer ", "unlimited contended", "tune ", "let ", "ewma",
        "state task", "state comm", "state cpu", "state llc", "state global", "idle prev",
        "idle core", "when busy", "promise wait", "kthread", "pinned", "comm ", "nice ", "weight ",
        "burst <", "slept >=", "wakes >=", "scale", "length", "clamp", "perf ",
    ):  # fmt: skip
        assert re.search(part, text, re.MULTILINE), part


@pytest.mark.parametrize("number", range(len(KINDS)), ids=KINDS)
def test_a_run_is_repeatable(number: int, tmp_path: Path) -> None:
    subject = random_subject(5)
    shared, one = compiled(subject, tmp_path), attack(subject.policy, proved(subject), number)
    assert one.kind == KINDS[number]
    first, second = (campaign.run(one, shared, tmp_path) for _ in range(2))
    assert first == second
    assert first["events"] > 1000


def test_lookahead_makes_the_victim_wait_longer(tmp_path: Path) -> None:
    """Ten tasks that do anything, and a victim: it waits longer if the worst of eight futures is
    taken at each of its waits than if things take their course."""
    text = (
        "queue 0 0 0 1 0\nprofile 0 0 0 0 0 100 1 victim\nprofile 0 0 0 0 0 100 1 task\n"
        "limit 20000\nactor 0 0 5 1000000 5000000\n"
    ) + "actor 1 0 3 0 0\n" * 10
    text = text.replace("limit", "burst 1000 100000 3900000\nsleep 1000 1000000 50000000\nlimit")
    text = text.replace("limit", "mood 200 1 0 1 0\nlimit")
    subject = written(HOGS.format(slice="8ms"))
    mean = []
    for look in ("", "look 1000 8 2000000000\n"):
        groups = run_text(subject, tmp_path, text + look)["groups"]
        victim = groups[0]  # type: ignore[index]
        mean.append(victim["wait_sum_ns"] / victim["runs"])
    assert mean[1] > 1.2 * mean[0]


def test_a_campaign_goes_on_where_it_ended(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "bench.campaign", "--policies", "3", "--adversaries", "2",
             "--jobs", "1", "--out", str(out), *more],
            capture_output=True, text=True, check=True, cwd=campaign.ROOT,
        )  # fmt: skip

    run()
    whole = read(out)
    lines = out.read_text().splitlines(keepends=True)
    out.write_text("".join(lines[:-1]) + lines[-1][:40])
    run("--resume")
    again = read(out)
    assert [timeless(one) for one in again] == [timeless(one) for one in whole]
    assert "3 policies: " in run("--resume").stdout


def timeless(outcome: Outcome) -> Outcome:
    return replace(outcome, seconds=0.0)


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "actors, bursts and sleeps are needed"),
        ("nonsense 1\n", "'nonsense' is not known"),
        ("actor 0 0 0 0 0\n", "no profile stands above"),
        ("profile 20 0 0 0 0 100 1 x\n", "'20' is no number in range"),
        ("profile 0 0 0 0 0 100 4 x\n", "'4' has no cpu of this machine"),
        ("limit\n", "a word is missing"),
        ("limit 1 2\n", "'2' is too much"),
        ("bound 0 x 1\n", "'x' is no number"),
        ("queue 99 0 0 1 0\n", "'99' is no number in range"),
    ],
)
def test_bad_files_are_told(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "machine").write_text("cpus 1\n")
    (tmp_path / "adversary").write_text(text)
    done = subprocess.run(
        [str(runtime()), "--scheduler", "fifo", "--machine", str(tmp_path / "machine"),
         "--adversary", str(tmp_path / "adversary")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_table_says_what_is_wrong() -> None:
    bad = Outcome("random 1", "proved", attacks=20, wrong=["adversary 3: a wait …, W(2) = 5 ns"])
    out = Outcome("random 2", "proved", attacks=20, wrong=["adversary 3: runtime error: x"])
    refuted = Outcome("random 3", "refuted", replay="confirmed")
    told = table([bad, out, refuted])
    assert "Proved bounds exceeded: 1; proved policies thrown out or broken: 1." in told
    assert "Refutations repeated by the generated C: 1 of 1." in told


def test_what_is_written_is_read(tmp_path: Path) -> None:
    file = tmp_path / "out"
    outcome = judge(written(HOGS.format(slice="8ms")), (0,))
    file.write_text(json.dumps(campaign.asdict(outcome)) + "\n{")
    assert read(file) == [outcome]
