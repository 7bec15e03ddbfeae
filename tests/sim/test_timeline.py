"""Spans, waits and the window of the report, out of traces."""

from __future__ import annotations

import pytest

from schedc.sim import trace as records
from schedc.sim.timeline import Timeline, Wait, timeline, visible, window
from schedc.sim.trace import read_trace, tasks_of
from tests.sim.made_trace import MadeTrace, busy


def line_of(made: MadeTrace, ended: int) -> Timeline:
    return timeline(read_trace(made.data(ended)))


def test_waits_begin_at_the_wakeup_or_the_loss_of_the_cpu() -> None:
    made = MadeTrace(nr_cpus=1)
    made.put(10, records.WAKE, 0, 1)
    made.put(15, records.RUN, 0, 1)
    made.put(20, records.WAKE, 0, 2)
    made.put(40, records.RUN, 0, 2)  # 1 is preempted
    made.put(70, records.SLEEP, 0, 2)
    made.put(70, records.RUN, 0, 1)  # 1 has waited 30, 2 had waited 20
    line = line_of(made, 100)
    assert line.spans == ((15, 40, 0, 1), (40, 70, 0, 2), (70, 100, 0, 1))
    assert line.longest == Wait(1, 40, 70)


def test_who_still_waits_at_the_end_counts() -> None:
    made = MadeTrace(nr_cpus=1)
    made.put(10, records.WAKE, 0, 1)
    made.put(10, records.WAKE, 0, 2)
    made.put(12, records.RUN, 0, 2)
    assert line_of(made, 50).longest == Wait(1, 10, 50, over=False)


def test_who_runs_at_the_end_does_not_wait_from_then_on() -> None:
    made = MadeTrace(nr_cpus=1)
    made.put(0, records.WAKE, 0, 1)
    made.put(3, records.RUN, 0, 1)
    assert line_of(made, 500).longest == Wait(1, 0, 3)


def test_who_sleeps_does_not_wait() -> None:
    made = MadeTrace(nr_cpus=1)
    made.put(0, records.WAKE, 0, 1)
    made.put(1, records.RUN, 0, 1)
    made.put(5, records.SLEEP, 0, 1)
    made.put(5, records.IDLE, 0)
    made.put(400, records.WAKE, 0, 1)
    made.put(402, records.RUN, 0, 1)
    line = line_of(made, 410)
    assert line.longest == Wait(1, 400, 402)
    assert line.spans == ((1, 5, 0, 1), (402, 410, 0, 1))


def test_a_task_that_is_picked_again_keeps_its_span() -> None:
    made = MadeTrace(nr_cpus=1)
    made.put(0, records.RUN, 0, 1)
    made.put(5, records.RUN, 0, 1)
    line = line_of(made, 9)
    assert line.spans == ((0, 9, 0, 1),) and line.longest is None


@pytest.mark.parametrize("seed", range(6))
def test_spans_never_overlap(seed: int) -> None:
    """On a cpu, and of a task: it is on one cpu at a time."""
    line = timeline(read_trace(busy(seed=seed)))
    for which in (2, 3):
        until: dict[int, int] = {}
        for span in line.spans:
            assert span[0] < span[1] <= line.ended_ns
            assert span[0] >= until.get(span[which], 0)
            until[span[which]] = span[1]
    assert len(line.spans) > 300


def test_the_window_is_round_small_enough_and_holds_the_wait() -> None:
    lines = [timeline(read_trace(busy(seed=seed, steps=6000))) for seed in (1, 2)]
    longest = lines[0].longest
    assert longest is not None
    for most in (50, 200, 1000):
        start, end = window(lines, most)
        assert str(end - start).strip("0") in ("1", "2", "5")
        assert all(sum(start <= one[0] < end for one in line.spans) <= most for line in lines)
        assert start <= longest.end <= end
    start, end = window(lines, 200)
    bigger = [(end - start) * 2, (end - start) * 5 // 2]
    assert max(sum(0 <= one[0] - start < length for one in lines[0].spans)
               for length in bigger) > 200 or longest.ns > end - start  # fmt: skip


def test_a_run_that_fits_is_shown_whole() -> None:
    line = timeline(read_trace(busy(steps=100)))
    assert window([line]) == (0, line.ended_ns)
    assert visible(line, 0, line.ended_ns) == list(line.spans)


def test_spans_are_cut_to_the_window() -> None:
    made = MadeTrace(nr_cpus=2)
    made.put(0, records.RUN, 0, 1)
    made.put(10, records.RUN, 1, 2)
    made.put(20, records.IDLE, 1)
    line = line_of(made, 100)
    assert visible(line, 5, 15) == [(5, 15, 0, 1), (10, 15, 1, 2)]
    assert visible(line, 20, 30) == [(20, 30, 0, 1)]


def test_a_cut_trace_ends_where_it_was_cut() -> None:
    data = busy(steps=400)
    trace = read_trace(data[: len(data) // 2])
    line = timeline(trace)
    assert line.ended_ns == trace.ended_ns
    assert max(span[1] for span in line.spans) <= trace.ended_ns
    assert line.tasks == tasks_of(trace)
