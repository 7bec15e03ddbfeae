"""Parsers of what the guest's programs print, on output that real ones printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from schedc.workload.results import PARSERS, BadOutput, parse_result

FIXTURES = Path(__file__).parent / "fixtures"

WAKEUP = {
    "program": "wakeup", "throughput": 12.5, "background_cpus": 0.5, "requests": 10,
    "censored": 1, "dropped": 0,
    "histograms": {
        "wakeup": {"sub_bits": 5, "min": 3, "max": 36, "buckets": [[3, 9], [36, 1]]},
        "request": {"sub_bits": 5, "min": 7, "max": 7, "buckets": [[7, 4]]},
    },
}
PHASES = {
    "program": "phases", "window_ns": 9, "jobs": 1, "unfinished": 0, "censored": 0,
    "values": {"makespan": 9, "mean_completion": 6, "last_short": 5, "throughput": 0.250000},
    "histograms": {"frame": {"sub_bits": 5, "min": 3, "max": 36, "buckets": [[3, 9], [36, 1]]}},
}


def fixture(name: str) -> str:
    return (FIXTURES / name).read_text(encoding="utf-8")


def test_wakeup() -> None:
    result = parse_result("wakeup", json.dumps(WAKEUP))
    assert result.value("throughput") == 12.5
    assert result.value("wakeup_p50") == 3
    assert result.value("wakeup_p99") == 36
    assert result.value("request_p999") == 7
    assert result.value("makespan") is None
    assert result.extra["censored"] == 1


def test_phases() -> None:
    result = parse_result("phases", json.dumps(PHASES))
    names = ("makespan", "mean_completion", "last_short", "throughput", "frame_p99", "wakeup_p50")
    assert [result.value(name) for name in names] == [9, 6, 5, 0.25, 36, None]


def test_a_run_with_jobs_that_were_not_done_is_no_result() -> None:
    with pytest.raises(BadOutput, match="limit"):
        parse_result("phases", json.dumps({**PHASES, "unfinished": 1}))


def test_hackbench() -> None:
    assert parse_result("hackbench", fixture("hackbench.txt")).value("makespan") == 42e6


def test_cyclictest_counts_what_is_beyond_its_histogram() -> None:
    result = parse_result("cyclictest", fixture("cyclictest.json"))
    histogram = result.histograms["wakeup"]
    # Two threads of 30 cycles; of the second, three were beyond -h 400 and count as its maximum.
    assert histogram.count == 60
    assert histogram.high == 476_000


def test_stress() -> None:
    result = parse_result("stress", fixture("stress.yaml"))
    rates = result.extra["stressors"]
    assert isinstance(rates, dict) and set(rates) == {"cpu", "switch", "fork"}
    assert result.values == {
        "throughput": rates["cpu"], "switches": rates["switch"], "forks": rates["fork"],
    }


@pytest.mark.parametrize("test", ["cpu", "threads"])
def test_sysbench(test: str) -> None:
    text = fixture(f"sysbench-{test}.txt")
    result = parse_result("sysbench", text)
    events = int(text.split("total number of events:")[1].split()[0])
    # Every event is in the histogram, and half of them are at or below the median's bucket.
    assert result.histograms["request"].count == events
    assert result.values["throughput"] == pytest.approx(
        events / float(text.split("total time:")[1].split("s")[0]), rel=0.02
    )
    p99 = result.value("request_p99")
    assert p99 is not None
    assert p99 <= 1.04e6 * float(text.split("max:")[1].split()[0])


@pytest.mark.parametrize("parser", sorted(PARSERS))
@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "Time: x", "null", "[" * 50000, "\0"])
def test_rubbish_is_refused(parser: str, text: str) -> None:
    with pytest.raises(BadOutput):
        parse_result(parser, text)


@given(
    st.sampled_from([WAKEUP, PHASES]),
    st.sampled_from(["throughput", "values", "histograms", "jobs", "program", "unfinished"]),
    st.one_of(st.none(), st.booleans(), st.integers(-5, -1), st.text(max_size=3),
              st.lists(st.integers(), max_size=2)),
)
def test_a_damaged_field_is_refused_or_not_read(
    good: dict[str, object], key: str, value: object
) -> None:
    parser = str(good["program"])
    try:
        result = parse_result(parser, json.dumps({**good, key: value}))
    except BadOutput:
        return
    assert key not in good or (key == "jobs" and value)
    assert all(figure >= 0 for figure in result.values.values())


@pytest.mark.parametrize("parser", ["wakeup", "phases", "cyclictest"])
def test_half_an_output_is_refused(parser: str) -> None:
    whole = {
        "wakeup": json.dumps(WAKEUP), "phases": json.dumps(PHASES),
        "cyclictest": fixture("cyclictest.json"),
    }[parser]
    with pytest.raises(BadOutput):
        parse_result(parser, whole[: len(whole) // 2])
