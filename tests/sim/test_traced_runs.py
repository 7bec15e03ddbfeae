"""The trace against what the runtime counted itself, in the same run.

The runtime adds up waits and cpu times as it goes; the timeline is made of nothing but the trace's
switches and wake-ups. So both must come to the same figures, to the nanosecond.
"""

from __future__ import annotations

from collections import defaultdict

import pytest

from schedc.cli.sim_arms import arms
from schedc.sim import trace as records
from schedc.sim.html import page
from schedc.sim.perfetto import pftrace
from schedc.sim.results import RunResult
from schedc.sim.run import Report
from schedc.sim.timeline import Timeline, timeline
from schedc.sim.trace import Trace, read_trace
from tests.sim.conftest import Simulated, scenario

WITHOUT_WARMUP = (("batch",), ("pinned", "duration=400ms"), ("forkstorm", "duration=100ms"))
"""Where the runtime counts from the beginning, as the trace does."""


@pytest.fixture(scope="module", params=WITHOUT_WARMUP, ids=lambda param: param[0])
def report(request: pytest.FixtureRequest, simulated: Simulated) -> Report:
    where = scenario(*request.param, cpus=4)
    return simulated(*arms("interactive", "fair,eevdf,fifo", ()), where=where, runs=1, traced=True)


def traced(report: Report) -> list[tuple[str, Trace, Timeline, RunResult]]:
    found = []
    for run in report.runs:
        assert run.result is not None and run.void is None, run.void
        trace = read_trace(run.trace)
        assert trace.complete
        found.append((run.arm, trace, timeline(trace), run.result))
    return found


def test_cpu_time_by_group_is_the_runtimes(report: Report) -> None:
    for arm, _, line, result in traced(report):
        spent: dict[str, int] = defaultdict(int)
        for start, end, _, pid in line.spans:
            spent[line.tasks.group_name[line.tasks.group[pid]]] += end - start
        assert spent == {group.name: group.cpu_ns for group in result.groups if group.cpu_ns}, arm


def test_the_longest_wait_is_the_runtimes(report: Report) -> None:
    for arm, _, line, result in traced(report):
        assert line.longest is not None
        assert line.longest.ns == result.system["longest_wait"], arm


def test_a_task_is_on_one_cpu_and_a_cpu_has_one_task(report: Report) -> None:
    for arm, _, line, _ in traced(report):
        for which in (2, 3):
            until: dict[int, int] = defaultdict(int)
            for span in line.spans:
                assert span[0] >= until[span[which]], arm
                until[span[which]] = span[1]


def test_a_task_is_moved_from_the_dsq_that_it_was_put_into(report: Report) -> None:
    """Of the policies: each move names the DSQ of the last insertion; who runs was in a local DSQ
    or had its cpu before."""
    moves = 0
    for arm, trace, _, _ in traced(report):
        place: dict[int, int] = {}
        for _, kind, _, _, a, b, _ in trace.records(records.QUEUE, records.MOVE):
            if kind == records.QUEUE:
                place[a] = b
            else:
                moves += 1
                assert place[a] == b, arm
    assert moves > 0


def test_the_page_and_the_perfetto_trace_are_made_of_it(report: Report) -> None:
    text = page(report, command="schedc sim", version="1")
    assert text.count('<svg class="lane"') == 4
    for arm, trace, _, _ in traced(report):
        schema = pytest.importorskip("perfetto.protos.perfetto.trace.perfetto_trace_pb2")
        shown = schema.Trace()
        shown.ParseFromString(pftrace(trace, scheduler=arm))
        switches = sum(
            len(packet.ftrace_events.compact_sched.switch_timestamp) for packet in shown.packet
        )
        assert switches >= sum(1 for _ in trace.records(records.RUN))
