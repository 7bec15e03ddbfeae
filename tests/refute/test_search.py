"""The search: what it finds in other policies, what it must not, that it is always the same."""

import json
import re
from pathlib import Path

import pytest

from schedc.model import Machine, Program
from schedc.model.replay import why_not
from schedc.prove.parameters import declared
from schedc.prove.prove import prove
from schedc.refute import breadth, refute
from schedc.refute.profiles import shapes, thresholds, weight_of
from schedc.refute.strategies import casts, topologies
from tests.refute.policies import ROOT, policy_of, run_of, source_of, typed

CROWD = """policy crowd 1.0.0
assume runnable <= 4096 per cpu
queue all fifo
class everyone
enqueue everyone to all slice 20ms
dispatch { take all }
"""

NAMES = """policy names 1.0.0
queue upper fifo
queue lower fifo
class quick when comm "fast*" and uid == 42
class rest
enqueue quick to upper slice 4ms
enqueue rest to lower slice 8ms
dispatch {
  take upper
  take lower
}
"""

SLEEPERS = """policy sleepers 1.0.0
queue upper fifo
queue lower fifo
state task.typical : time in 0ms..100ms = 50ms
class short when max(task.typical, burst) < 2ms
class rest
on sleep { task.typical = ewma(task.typical, burst, 1/4) }
place { idle prev }
enqueue short to upper slice 4ms
enqueue rest to lower slice 8ms
dispatch {
  take upper
  take lower
}
"""

BANDS = """policy three 1.0.0
queue a fifo
queue b fifo
queue c fifo
class first when nice < -5
class second when nice < 5
class third
enqueue first to a slice 4ms
enqueue second to b slice 4ms
enqueue third to c slice 4ms
dispatch {
  take a at most 40% every 40ms
  take b
  take c
}
"""


def test_a_crowd_passes_the_watchdog() -> None:
    """The formula allows 1250 contenders; the run has few more, and as many as are needed."""
    run = run_of(CROWD)
    assert run is not None
    assert run["kind"] == "crowd"
    forks = sum(step["do"] == "fork" for block in run["blocks"] for step in block["steps"])
    assert 1251 <= forks <= 1256
    assert run["wait_ns"] > 30_000_000_000
    assert why_not(run, policy_of(CROWD)) is None


def test_a_class_by_name_and_user() -> None:
    run = run_of(NAMES)
    assert run is not None
    assert run["profiles"][1]["comm"] == "fast"
    assert run["profiles"][1]["uid"] == 42
    assert (run["kind"], run["victim_class"]) == ("lasso", "rest")


def test_a_class_that_is_kept_by_short_bursts() -> None:
    """It takes competitors that have slept often enough to pass as short."""
    run = run_of(SLEEPERS)
    assert run is not None
    assert run["kind"] == "lasso"
    assert why_not(run, policy_of(SLEEPERS)) is None
    turn = run["blocks"][-1]["steps"]
    assert any(step.get("how") == "sleep" for step in turn)


@pytest.mark.parametrize("folder", ["refuted/strict_priority", "stalls/scx_2268"])
def test_breadth_first_needs_no_script(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("schedc.refute.search.scenarios", lambda *_: iter(()))
    policy = typed(source_of(ROOT / "examples" / folder / "flawed.sched"))
    parameters = declared(policy)
    run = refute(policy, parameters, prove(policy, parameters))
    assert run is not None
    assert run.kind == "lasso"
    assert why_not(run.as_json(), policy) is None


def test_breadth_first_finds_nothing_in_a_fifo() -> None:
    policy = policy_of(CROWD)
    (topology,) = topologies(policy)
    program = Program(policy, topology, {})
    for profiles in casts(policy, topology, ("everyone",)):
        assert breadth.search(program, declared(policy), profiles) is None


def test_a_line_that_lost_its_bound() -> None:
    """In a policy of several disciplines, whose states never come back to the same values."""
    text = (ROOT / "stdlib_policies" / "interactive.sched").read_text(encoding="utf-8")
    text = text.replace("take own at most 20% every 40ms", "take own")
    run = run_of(text)
    assert run is not None
    assert run["victim_class"] in ("interactive", "batch")
    assert why_not(run, policy_of(text)) is None
    start, end, _ = run["blame"][0]["span"]
    assert text[start:end] == "take own"
    assert run["help"][0]["proves"]


def test_who_is_starved_is_below_the_unbounded_line() -> None:
    run = run_of(BANDS)
    assert run is not None
    assert run["victim_class"] == "third"
    (first, *_) = run["blame"]
    start, end, _ = first["span"]
    assert BANDS[start:end] == "take b"


def test_the_same_run_every_time() -> None:
    policy = policy_of(BANDS)
    parameters = declared(policy)
    runs = [refute(policy, parameters, None) for _ in range(2)]
    first, second = (json.dumps(run.as_json()) for run in runs if run is not None)
    assert first == second


@pytest.mark.parametrize("name", ["fifo", "fair", "tickless"])
def test_a_proved_policy_is_not_refuted(name: str) -> None:
    """The search is asked in spite of the proof, for all classes."""
    policy = typed(source_of(ROOT / "stdlib_policies" / f"{name}.sched"))
    assert refute(policy, declared(policy), None) is None


def test_shapes_match_their_classes() -> None:
    """A task of a shape, forked, is of the class that it was made for, where no state decides."""
    policy = policy_of(NAMES)
    for name, found in shapes(policy, 1).items():
        for shape in found.light:
            machine = Machine(policy)
            assert machine.class_name(machine.fork(shape.profile)) == name


def test_weights_are_the_kernels() -> None:
    assert [weight_of(nice) for nice in (-20, 0, 19)] == [8668, 100, 1]


def test_thresholds_of_conditions() -> None:
    assert thresholds(policy_of(SLEEPERS)) == (2_000_000,)


def test_no_clock_is_read() -> None:
    """Limits are steps: a slow machine finds the same."""
    for path in (Path(ROOT) / "schedc" / "refute").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"^(import|from) (time|random|datetime)\b", text, re.MULTILINE)
