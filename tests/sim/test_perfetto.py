"""The Perfetto trace, held against Perfetto's own schema and against the run that it shows.

Trace processor itself is fetched from the net by the `perfetto` package, so it is used only where
it is there already (`SCHEDC_TRACE_PROCESSOR`: the path of `trace_processor_shell`).
"""

from __future__ import annotations

import os
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from schedc.sim import trace as records
from schedc.sim.perfetto import pftrace
from schedc.sim.trace import Trace, read_trace
from tests.sim.made_trace import BATCH, INTERACTIVE, LOCAL_ON, MadeTrace, busy

schema: Any = pytest.importorskip(
    "perfetto.protos.perfetto.trace.perfetto_trace_pb2",
    reason="needs the `perfetto` package (extra `dev`)",
)

Switch = tuple[int, int, int, str]


def parsed(data: bytes) -> Any:
    """The trace by the schema; a field that the schema doesn't know is an error."""
    trace = schema.Trace()
    trace.ParseFromString(data)
    _known(trace)
    return trace


def _known(message: Any) -> None:
    from google.protobuf.unknown_fields import UnknownFieldSet

    assert len(UnknownFieldSet(message)) == 0, message.DESCRIPTOR.name
    for descriptor, value in message.ListFields():
        if descriptor.message_type is not None:
            many = value if hasattr(value, "__len__") else [value]
            for one in many:
                _known(one)


def switches(trace: Any) -> dict[int, list[Switch]]:
    """Per cpu: time, state of the previous task, next pid, its name."""
    found: dict[int, list[Switch]] = defaultdict(list)
    for packet in trace.packet:
        sched = packet.ftrace_events.compact_sched
        at = 0
        columns = zip(
            sched.switch_timestamp,
            sched.switch_prev_state,
            sched.switch_next_pid,
            sched.switch_next_prio,
            sched.switch_next_comm_index,
            strict=True,
        )
        for delta, state, pid, _, comm in columns:
            at += delta
            found[packet.ftrace_events.cpu].append((at, state, pid, sched.intern_table[comm]))
    return found


def wakings(trace: Any) -> list[tuple[int, int, int, int, int]]:
    """Time, cpu of the waker, pid, target, flags."""
    found = []
    for packet in trace.packet:
        sched = packet.ftrace_events.compact_sched
        at = 0
        columns = zip(
            sched.waking_timestamp,
            sched.waking_pid,
            sched.waking_target_cpu,
            sched.waking_prio,
            sched.waking_comm_index,
            sched.waking_common_flags,
            strict=True,
        )
        for delta, pid, target, _, comm, flags in columns:
            at += delta
            assert sched.intern_table[comm]
            found.append((at, packet.ftrace_events.cpu, pid, target, flags))
    return sorted(found)


def made(seed: int = 1, steps: int = 2000) -> tuple[Trace, Any]:
    trace = read_trace(busy(seed=seed, steps=steps))
    return trace, parsed(pftrace(trace, scheduler="fair", queues=("interactive", "batch")))


@pytest.mark.parametrize("seed", range(5))
def test_cpu_times_are_those_of_the_run(seed: int) -> None:
    """Each task's time on each cpu, added up from the switches, is what the records say."""
    trace, shown = made(seed)
    wanted: dict[tuple[int, int], int] = defaultdict(int)
    current = dict.fromkeys(range(trace.nr_cpus), (0, 0))
    changes = [r for r in trace.records() if r[1] in (records.RUN, records.IDLE)]
    end = [(trace.ended_ns, records.IDLE, 0, cpu, 0, 0, 0) for cpu in range(trace.nr_cpus)]
    for at, kind, _, cpu, a, _, _ in [*changes, *end]:
        pid, since = current[cpu]
        if pid:
            wanted[pid, cpu] += at - since
        current[cpu] = (a if kind == records.RUN else 0, at)
    got: dict[tuple[int, int], int] = defaultdict(int)
    for cpu, list_of in switches(shown).items():
        for (at, _, pid, _), (until, _, _, _) in pairwise(list_of):
            if pid:
                got[pid, cpu] += until - at
        assert list_of[-1][2] == 0, "every switch closes"
    assert {k: v for k, v in got.items() if v} == {k: v for k, v in wanted.items() if v}
    assert sum(got.values()) > 0


def test_order_and_first_switch_of_each_cpu() -> None:
    """Trace processor takes a cpu's first switch for its initial state, and drops what is before:
    so it is one to idle at 0, on every cpu, also one that never runs anything."""
    trace, shown = made()
    found = switches(shown)
    assert sorted(found) == list(range(trace.nr_cpus))
    for list_of in found.values():
        assert list_of[0][:3] == (0, 0, 0)
        times = [one[0] for one in list_of]
        assert times == sorted(times)
    for packet in shown.packet:
        assert all(delta >= 0 for delta in packet.ftrace_events.compact_sched.switch_timestamp)


def test_wakeups_stand_on_the_wakers_cpu() -> None:
    """Trace processor takes the bundle's cpu for the waker's; a timer's wake-up stands where the
    task is put, and is marked as an interrupt's."""
    trace, shown = made(steps=4000)
    order = [r for r in trace.records() if r[1] in (records.WAKE, records.RUN, records.IDLE)]
    waker_at: dict[tuple[int, int], int] = {}
    runs_on: dict[int, int] = {}
    for at, kind, _, cpu, a, b, _ in order:
        if kind == records.WAKE:
            waker_at[at, a] = runs_on.get(b, -1) if b else -1
        else:
            runs_on = {pid: where for pid, where in runs_on.items() if where != cpu}
            if kind == records.RUN:
                runs_on[a] = cpu
    for at, cpu, pid, target, flags in wakings(shown):
        waker = waker_at[at, pid]
        assert cpu == (waker if waker >= 0 else target)
        assert flags == (0 if waker >= 0 else 8)
    assert len(waker_at) > 500


def test_bundles_replayed_in_trace_processors_order_name_the_right_wakers() -> None:
    """Trace processor infers who woke from who runs on the bundle's cpu at that point. Redone here:
    stable sort by time over packets, in a packet the switches first. With a wake-up and a switch
    at one instant in one packet they would swap, and the next task would be the waker."""
    trace, shown = made(steps=4000)
    per_cpu: dict[int, list[tuple[int, str, int]]] = defaultdict(list)
    for packet in shown.packet:
        bundle = packet.ftrace_events
        for kind, times, pids in (
            ("switch", bundle.compact_sched.switch_timestamp, bundle.compact_sched.switch_next_pid),
            ("waking", bundle.compact_sched.waking_timestamp, bundle.compact_sched.waking_pid),
        ):
            at = 0
            for delta, pid in zip(times, pids, strict=True):
                at += delta
                per_cpu[bundle.cpu].append((at, kind, pid))
    inferred = {}
    for events in per_cpu.values():
        running = None
        for at, kind, pid in sorted(events, key=lambda event: event[0]):
            if kind == "switch":
                running = pid
            else:
                inferred[at, pid] = running
    checked = 0
    for at, kind, _, _, a, b, _ in trace.records():
        if kind == records.WAKE and b:
            assert inferred[at, a] == b
            checked += 1
    assert checked > 300


@pytest.mark.parametrize(
    ("leave", "state"), [(records.SLEEP, 0x01), (records.EXIT, 0x10), (None, 0x100)]
)
def test_how_a_task_left_its_cpu(leave: int | None, state: int) -> None:
    """S, X and R+ as Linux reports them since 4.14 (REPORT_TASK_MAX is 0x100)."""
    run = MadeTrace()
    run.task(0, 1, "one")
    run.task(0, 2, "two")
    run.put(10, records.RUN, 0, 1)
    if leave is not None:
        run.put(30, leave, 0, 1)
    run.put(30, records.RUN, 0, 2)
    shown = parsed(pftrace(read_trace(run.data(50)), scheduler="eevdf"))
    assert switches(shown)[0] == [
        (0, 0, 0, "swapper"),
        (10, 0, 1, "one"),
        (30, state, 2, "two"),
        (50, 0x100, 0, "swapper"),
    ]
    release = next(p for p in shown.packet if p.HasField("system_info")).system_info.utsname.release
    assert tuple(map(int, release.split(".")[:2])) >= (4, 14)


def test_a_task_that_is_picked_again_does_not_switch() -> None:
    run = MadeTrace(nr_cpus=1)
    run.task(0, 1, "one")
    run.put(10, records.RUN, 0, 1)
    run.put(20, records.RUN, 0, 1)
    shown = parsed(pftrace(read_trace(run.data(30)), scheduler="fifo"))
    assert [one[:3] for one in switches(shown)[0]] == [(0, 0, 0), (10, 0, 1), (30, 0x100, 0)]


def test_every_pid_is_in_the_process_tree() -> None:
    _, shown = made()
    tree = next(p.process_tree for p in shown.packet if p.HasField("process_tree"))
    threads = {thread.tid: thread for thread in tree.threads}
    processes = {process.pid: process.cmdline[0] for process in tree.processes}
    assert sorted(processes.values()) == ["hog", "messenger", "worker"]
    assert not set(threads) & set(processes)
    used = {one[2] for list_of in switches(shown).values() for one in list_of}
    used |= {one[2] for one in wakings(shown)}
    assert used - {0} <= set(threads)
    assert all(thread.tgid in processes for thread in threads.values())
    assert threads[3].name == "messenger-3"


def test_dsq_lengths_are_those_of_the_run_and_never_below_zero() -> None:
    trace, shown = made(steps=3000)
    tracks = {
        p.track_descriptor.uuid: p.track_descriptor
        for p in shown.packet
        if p.HasField("track_descriptor")
    }
    series: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for packet in shown.packet:
        event = packet.track_event
        if event.type == schema.TrackEvent.TYPE_COUNTER:
            track = tracks[event.track_uuid]
            assert track.HasField("counter") and tracks[track.parent_uuid].name == "sched_ext: fair"
            series[track.name].append((packet.timestamp, event.counter_value))
    assert {"interactive 000: tasks", "batch 001: tasks", "local, cpu 000: tasks"} <= set(series)
    for points in series.values():
        assert points == sorted(points, key=lambda point: point[0])
        assert all(value >= 0 for _, value in points)
    inside = {INTERACTIVE: 0, BATCH: 0}
    for _, kind, _, _, _, b, _ in trace.records():
        if kind == records.QUEUE:
            inside[b] += 1
        elif kind == records.MOVE:
            inside[b] -= 1
    assert series["interactive 000: tasks"][-1][1] == inside[INTERACTIVE]
    assert series["batch 001: tasks"][-1][1] == inside[BATCH]


def test_interned_names_come_before_their_use() -> None:
    _, shown = made()
    known: set[int] = set()
    instants, cleared = 0, 0
    for packet in shown.packet:
        cleared += packet.sequence_flags & 1
        known |= {one.iid for one in packet.interned_data.event_names}
        if packet.HasField("interned_data") or packet.HasField("track_event"):
            assert cleared == 1 and packet.sequence_flags & 2
            assert packet.trusted_packet_sequence_id == 1
        if packet.track_event.type == schema.TrackEvent.TYPE_INSTANT:
            instants += 1
            assert packet.track_event.name_iid in known
    assert cleared == 1 and instants > 100


def test_local_queues_kicks_and_being_thrown_out() -> None:
    run = MadeTrace()
    run.task(0, 1, "one")
    run.put(1, records.QUEUE, 1, 1, 1 << 63 | 2, 2**64 - 1)
    run.put(2, records.RUN, 1, 1)
    run.put(3, records.QUEUE, -1, 1, LOCAL_ON | 0, 2**64 - 1)
    run.put(4, records.KICK, 0, 2)
    run.put(5, records.ERROR, c=run.text(5, "runnable task stall"))
    shown = parsed(pftrace(read_trace(run.data(9)), scheduler="p"))
    names = {p.track_descriptor.name for p in shown.packet if p.HasField("track_descriptor")}
    assert {"local, cpu 001: tasks", "local, cpu 000: tasks", "kicks", "errors"} <= names
    events = {one.name for p in shown.packet for one in p.interned_data.event_names}
    assert {"insert one", "kick cpu 0", "runnable task stall"} <= events


def test_same_run_same_bytes() -> None:
    data = busy(steps=500)
    first = pftrace(read_trace(data), scheduler="fair")
    assert first == pftrace(read_trace(data), scheduler="fair")


def test_a_cut_run_still_makes_a_trace() -> None:
    data = busy(steps=300)
    shown = parsed(pftrace(read_trace(data[: len(data) // 2 + 13]), scheduler="fair"))
    assert all(list_of[-1][2] == 0 for list_of in switches(shown).values())


def test_trace_processor_reads_it(tmp_path: Path) -> None:
    shell = os.environ.get("SCHEDC_TRACE_PROCESSOR")
    if not shell:
        pytest.skip("SCHEDC_TRACE_PROCESSOR does not name a trace_processor_shell")
    from perfetto.trace_processor import TraceProcessor, TraceProcessorConfig

    trace = read_trace(busy(steps=500))
    path = tmp_path / "t.pftrace"
    path.write_bytes(pftrace(trace, scheduler="fair"))
    with TraceProcessor(trace=str(path), config=TraceProcessorConfig(bin_path=shell)) as processor:
        errors = "select name from stats where severity = 'error' and value > 0"
        assert not list(processor.query(errors))
        rows = list(processor.query("select count(*) as n from sched where dur < 0"))
        assert rows[0].n == 0
