"""Two of the stalls of `examples/stalls`, shown in a real kernel, and their corrections.

Who waits is a spinning task; how long, by its own clock. What the flawed policies make of it
follows from their text and is predicted; the corrected ones are proved, and here only a few tasks
compete. The kernel's watchdog says the same of the flawed ones, if it is made short.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from schedc.vm.machine import Machine
from schedc.vm.verdict import Outcome
from tests.vm.trials import Seen, compiled, machine, trial

pytestmark = [pytest.mark.vm, pytest.mark.quiet, pytest.mark.timeout(300)]

STALLS = Path(__file__).parents[2] / "examples" / "stalls"
SECOND = 1_000_000_000
WATCHDOG_MS = 4000

HIGH_NS = 100_000_000
"""The upper edge of the window: how much debt the waiting task is left with."""
WEIGHT = 8668
"""Of nice -20."""

# The victim is alone on cpu 1 until the hogs come; cpu 0 is left to this script. All others have
# nice -20 too: any task moves the clock on, one of nice 0 eighty times as far. (This renice adds.)
NICE = """
for task in /proc/[0-9]*; do renice -n -20 -p ${{task#/proc/}} > /dev/null 2>&1; done
taskset 2 wl-pinned --hogs-per-cpu 0 --victims 1 --duration-ms {ms} --spin-rate 20000 \\
	> out/victim.json &
victim=$!
sleep 0.5
for task in /proc/$victim/task/*; do renice -n 39 -p ${{task##*/}} > /dev/null; done
hog alpha {hogs} taskset 2
sleep {s}
kill $pids
wait $victim
"""

# Each link of a chain forks the next one and exits. The victim has long been old by then. Who ends
# it is as young as the links: this script may not be, on a busy host, and would wait too.
FORKS = """
wl-pinned --hogs-per-cpu 0 --victims 1 --duration-ms {ms} --spin-rate 20000 > out/victim.json &
victim=$!
sleep 1.5
link() {{ [ -e stop ] || link & }}
(sleep {s}; touch stop) &
for chain in $(seq 24); do link; done
wait $victim
"""
YOUNG = ("burst < 20ms", "burst < 500ms")
"""Where the host stops the machine for a moment, that too is counted as a burst."""


@pytest.fixture(scope="module")
def two_cpus() -> Iterator[Machine]:
    with machine() as booted:
        yield booted


def stall(name: str, form: str) -> str:
    text = (STALLS / name / f"{form}.sched").read_text()
    if name == "fork_churn":
        assert YOUNG[0] in text
        text = text.replace(*YOUNG)
    return text


def longest(seen: Seen) -> float:
    """The victim's longest wait, in s."""
    return float(json.loads(seen.out["victim.json"])["victim_longest_ns"]) / SECOND


def impatient(c_text: str) -> str:
    """A watchdog that bites early."""
    changed, count = re.subn(r"\.timeout_ms = \d+,", f".timeout_ms = {WATCHDOG_MS},", c_text)
    assert count == 1
    return changed


def nice(seconds: int, hogs: int) -> str:
    return NICE.format(ms=seconds * 1000 + 1000, s=seconds, hogs=hogs)


def forks(seconds: int) -> str:
    return FORKS.format(ms=seconds * 1000 + 1500, s=seconds)


def test_nice_19_waits_as_predicted(two_cpus: Machine) -> None:
    """The hog, of weight w, goes on until its vtime is past the victim's: HIGH · w / 100."""
    policy = compiled(stall("nice_19_against_minus_20", "flawed"))
    seen = trial(two_cpus, policy, nice(9, 1))
    assert seen.verdict.good, seen.verdict
    predicted = HIGH_NS * WEIGHT / 100 / SECOND
    print(f"predicted {predicted:.1f} s, seen {longest(seen):.1f} s")
    assert longest(seen) > 0.7 * predicted


def test_nice_19_is_served_by_the_corrected_policy(two_cpus: Machine) -> None:
    policy = compiled(stall("nice_19_against_minus_20", "corrected"))
    seen = trial(two_cpus, policy, nice(6, 2))
    assert seen.verdict.good, seen.verdict
    print(f"seen {longest(seen):.2f} s")
    assert longest(seen) < 1.5


def test_forks_before_all_others(two_cpus: Machine) -> None:
    """Predicted: the victim waits for as long as tasks are forked."""
    policy = compiled(stall("fork_churn", "flawed"))
    seen = trial(two_cpus, policy, forks(7))
    assert seen.verdict.good, seen.verdict
    print(f"predicted 7 s, seen {longest(seen):.1f} s")
    assert longest(seen) > 5


def test_forks_and_the_corrected_policy(two_cpus: Machine) -> None:
    policy = compiled(stall("fork_churn", "corrected"))
    seen = trial(two_cpus, policy, forks(6))
    assert seen.verdict.good, seen.verdict
    print(f"seen {longest(seen):.2f} s")
    assert longest(seen) < 1.5


@pytest.mark.parametrize(
    ("name", "script"),
    [("nice_19_against_minus_20", nice(8, 2)), ("fork_churn", forks(8))],
    ids=["nice", "forks"],
)
def test_the_watchdog_agrees(name: str, script: str, two_cpus: Machine) -> None:
    seen = trial(two_cpus, compiled(stall(name, "flawed"), impatient), script)
    assert seen.verdict.outcome is Outcome.ejected, seen.verdict
    assert seen.verdict.stall is not None
    assert seen.verdict.stall.task == "victim", seen.verdict.stall
    assert seen.verdict.stall.seconds * 1000 >= WATCHDOG_MS
