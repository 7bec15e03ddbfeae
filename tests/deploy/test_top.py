"""`top`, rates between two looks, and hostile answers of a loader."""

import json
from dataclasses import replace
from typing import Any

import pytest

import schedc.cli
from schedc.deploy import rates, state as states, top
from schedc.load.errors import LoadError
from tests.deploy.machine import Place, write_policy


def reply(**changed: Any) -> dict[str, Any]:
    """An answer to `status`, as serve.py gives it."""
    hist = [0] * 32
    hist[10], hist[14] = 90, 10
    named = {"name": "calm", "version": "1.0.0", "object": "a" * 64, "source": "b" * 64,
             "settings": "", "bounds": [{"class": "all", "text": "1 ms + 1 ms N", "at_n": 64,
                                         "wait_ms": 65.0, "promise_ms": 30000.0}]}  # fmt: skip
    return {
        "ok": True,
        "kernel": {"release": "7.0", "state": "enabled", "ops": "calm", "enable_seq": 3,
                   "nr_rejected": 0, "events": {"SCX_EV_ENQ_SLICE_DFL": 4}},
        "policy": {**named, "stage": "confirmed", "since": 1000.0, "by": "somebody (uid 0)"},
        "previous": None,
        "counters": {
            "classes": [{"name": "all", "enqueued": 100, "direct": 5, "run": 100, "preempted": 7,
                         "ran_ns": 500_000_000, "wait_ns": 40_000_000, "wait_max_ns": 1_500_000,
                         "wait_hist": hist}],
            "queues": [{"name": "one", "inserted": 95, "taken": 90, "stolen": 5, "skipped": 0}],
        },
        "waits": [], "programs": [{"name": "calm_enqueue", "insns": 9, "run_cnt": 0,
                                   "run_time_ns": 0}],
        "quarantined": [], "notes": [], **changed,
    }  # fmt: skip


def later(**changed: Any) -> dict[str, Any]:
    """The same, two seconds on."""
    after = reply()
    one = after["counters"]["classes"][0]
    one.update(enqueued=300, run=300, preempted=27, ran_ns=2_500_000_000, wait_max_ns=6_500_000)
    one["wait_hist"][10] += 150
    one["wait_hist"][16] += 50
    after["counters"]["queues"][0].update(inserted=295, taken=280, stolen=15)
    after["programs"][0].update(run_cnt=2000, run_time_ns=1_000_000)
    after["kernel"]["events"]["SCX_EV_ENQ_SLICE_DFL"] = 9
    return {**after, **changed}


def test_rates() -> None:
    found = rates.between(states.read(reply()), states.read(later()), 2.0)
    assert found is not None
    (one,) = found.classes
    assert (one.enqueued, one.run, one.preempted, one.share) == (100, 100, 10, 1.0)
    # Of the 200 waits of the interval three quarters are in bucket 10, the rest in bucket 16.
    assert one.p50 is not None and 1 << 16 <= one.p50 <= 1 << 17
    assert one.p99 is not None and one.longest is not None and 1 << 22 <= one.p99 <= one.longest
    assert one.longest == 6_500_000 and one.of_bound == pytest.approx(0.1)
    assert found.queues[0].stolen == 5
    assert found.calls == 1000 and found.cost == pytest.approx(0.0005)
    assert found.per_call_ns == 500
    assert found.events == {"SCX_EV_ENQ_SLICE_DFL": 5}


def test_no_rates_over_a_change() -> None:
    then, now = states.read(reply()), states.read(later())
    again = replace(now, kernel=replace(now.kernel, enable_seq=4))
    assert rates.between(then, again, 2.0) is None
    assert now.policy is not None
    other = replace(now, policy=replace(now.policy, object="c" * 64))
    assert rates.between(then, other, 2.0) is None
    assert rates.between(then, replace(now, policy=None), 2.0) is None
    assert rates.between(then, now, 0.0) is None


def test_lines() -> None:
    then, now = states.read(reply()), states.read(later())
    shown = top.lines(now, rates.between(then, now, 2.0), 1060.0, 8)
    assert shown[0] == "calm 1.0.0 runs for 60 s, by somebody (uid 0); over 2.0 s"
    assert shown[2].split() == ["class", "enqueued/s", "run/s", "preempted/s", "cpus", "wait",
                                "p50", "p99", "max", "proved", "max", "of", "it"]  # fmt: skip
    row = shown[3].split()
    assert row[:5] == ["all", "100", "100", "10", "1.00"]
    assert row[-5:] == ["6.5", "ms", "65", "ms", "10%"]
    cost = next(line for line in shown if line.startswith("  the policy itself: "))
    assert cost.startswith("  the policy itself: 0.05% of one cpu, 0.006")
    assert cost.endswith("% of all 8; 1000 callbacks/s of 500 ns")
    assert shown[-1] == "  events: SCX_EV_ENQ_SLICE_DFL 5"


def test_a_cost_that_nobody_counts_is_not_0() -> None:
    then, now = states.read(reply()), states.read(later(programs=reply()["programs"]))
    now = replace(now, programs=then.programs)
    shown = "\n".join(top.lines(now, rates.between(then, now, 2.0), 1060.0, 8))
    assert "the policy itself: not counted: sudo sysctl kernel.bpf_stats_enabled=1" in shown


@pytest.mark.parametrize(
    "changed",
    [
        {"kernel": None}, {"policy": []}, {"counters": {"classes": [{}], "queues": []}},
        {"programs": [{"name": "x", "run_cnt": "many", "run_time_ns": 0}]},
        {"quarantined": [{"source": 3}]}, {"counters": {"classes": 7, "queues": []}},
    ],
)
def test_an_answer_of_another_form_is_an_error(changed: dict[str, Any]) -> None:
    with pytest.raises(LoadError) as failure:
        states.read(reply(**changed))
    assert failure.value.code == "E0849"


def test_names_move_no_cursor() -> None:
    nasty = "\x1b[2Jx\u202e"
    answer = reply()
    answer["policy"].update(name=nasty, by=nasty)
    answer["kernel"]["ops"] = nasty
    answer["counters"]["classes"][0]["name"] = nasty
    answer["quarantined"] = [
        {"source": "c" * 64, "policy": nasty, "count": 2, "why": [nasty], "since": 5}
    ]
    state = states.read(answer)
    shown = "\n".join(top.lines(state, None, 1060.0, 8))
    assert "\x1b" not in shown and "\u202e" not in shown and "<U+001B>[2Jx" in shown


def test_once(machine: Place, capfd: pytest.CaptureFixture[str]) -> None:
    assert schedc.cli.run(["load", write_policy("calm"), "--yes", "--for", "1s"]) == 0
    capfd.readouterr()
    assert schedc.cli.run(["top", "--once", "-n", "500ms"]) == 0
    out = capfd.readouterr().out
    assert out.startswith("calm 1.0.0 runs for ") and "  everyone " in out
    assert "callbacks/s of 500 ns" in out
    assert schedc.cli.run(["top", "--once", "--json", "-n", "500ms"]) == 0
    values = json.loads(capfd.readouterr().out)
    assert values["rates"]["classes"][0]["run"] > 0 and values["rates"]["cost"] > 0
