"""Reading the simulator's trace files: whole ones, cut ones, damaged ones."""

from __future__ import annotations

import pytest

from schedc.sim import trace as records
from schedc.sim.trace import HEADER, MAGIC, RECORD, BadTrace, read_trace, tasks_of
from tests.sim.made_trace import MadeTrace, busy


def test_records_come_out_as_they_went_in() -> None:
    made = MadeTrace(nr_cpus=3, hz=1000, seed=2**63 + 5)
    made.task(0, 1, "a", 4)
    made.put(5, records.WAKE, 2, 1, 0)
    made.put(9, records.QUEUE, -1, 1, 2**63 | 1, 2**64 - 1)
    trace = read_trace(made.data(20))
    assert (trace.nr_cpus, trace.hz, trace.seed) == (3, 1000, 2**63 + 5)
    assert trace.complete and trace.ended_ns == 20
    assert [record for record in trace.records() if record[1] != records.TASK] == [
        (5, records.WAKE, 0, 2, 1, 0, 0),
        (9, records.QUEUE, 0, -1, 1, 2**63 | 1, 2**64 - 1),
    ]


@pytest.mark.parametrize("text", ["", "x", "x" * 16, "x" * 17, "x" * 100, "größer als 16 Bytes, λ"])
def test_texts_of_any_length(text: str) -> None:
    made = MadeTrace()
    made.task(0, 7, text)
    assert tasks_of(read_trace(made.data(1))).comm == {7: text}


def test_the_last_name_of_a_task_counts_and_groups_have_names() -> None:
    made = MadeTrace()
    made.group(0, 1, "workers")
    made.task(0, 1, "bash", 0)
    made.task(0, 2, "w", 1)
    made.task(5, 1, "cc1", 0)
    tasks = tasks_of(read_trace(made.data(9)))
    assert tasks.comm == {1: "cc1", 2: "w"}
    assert tasks.group_name == {0: "bash", 1: "workers"}


def test_a_file_cut_anywhere_is_read_up_to_there() -> None:
    data = busy(steps=60)
    whole = list(read_trace(data).records())
    assert read_trace(data).complete
    for length in range(HEADER.size, len(data)):
        cut = read_trace(data[:length])
        assert not cut.complete
        got = list(cut.records())
        assert got == whole[: len(got)]
        tasks_of(cut)


def test_what_is_no_trace_is_refused() -> None:
    good = busy(steps=20)
    with pytest.raises(BadTrace, match="too short"):
        read_trace(b"schedtr1")
    with pytest.raises(BadTrace, match="not a trace"):
        read_trace(b"schedtr2" + good[8:])
    with pytest.raises(BadTrace, match="records of 40 bytes"):
        read_trace(HEADER.pack(MAGIC, 40, 2, 250, 0, 1))
    with pytest.raises(BadTrace, match="backwards"):
        read_trace(good + RECORD.pack(1, records.IDLE, 0, 0, 0, 0, 0))
    with pytest.raises(BadTrace, match=r"a cpu outside 0\.\.3"):
        read_trace(good + RECORD.pack(1 << 60, records.IDLE, 0, 4, 0, 0, 0))


def test_unknown_kinds_are_passed_through() -> None:
    """A newer simulator may write more kinds; who doesn't know them skips them."""
    made = MadeTrace()
    made.put(3, 77, 1, 1, 2, 3)
    assert list(read_trace(made.data(4)).records()) == [(3, 77, 0, 1, 1, 2, 3)]
