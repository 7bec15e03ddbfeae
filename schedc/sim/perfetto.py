"""One run as a Perfetto trace: who ran where, who woke whom, and what lay in which DSQ.

Input: a `Trace`. Output: the bytes of a `.pftrace` file for ui.perfetto.dev and trace processor.
Invariant: per cpu, times never go back, and each switch's previous task is the one that the switch
before it brought in; every pid but 0 is in the process tree; names are interned before their use.

Switches and wake-ups are written as the kernel's ftrace events in Perfetto's compact form, so that
its scheduling view, its thread states and its SQL tables (`sched`, `thread_state`) work as they do
for a recorded trace. A group of tasks is shown as a process. DSQs are track events: a counter each
for their lengths, and an instant for each insertion and move. Field numbers are those of
`protos/perfetto/trace/` in Perfetto; `tests/sim/test_perfetto.py` holds them against its schema.

Three things that trace processor does must be known here. It takes the first compact switch of a
cpu for the initial state only, and drops wake-ups before it: so each cpu begins with a switch to
idle at 0. It reads all switches of a bundle before its wake-ups, and sorts by time alone: so where
a switch follows a wake-up at the same instant, a new bundle begins. It reads `R+`, preempted, as
bit 0x100 of the state from Linux 4.14 on, and takes a trace without a version for one of 4.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field

from schedc.records import dataclass
from schedc.sim import trace as records
from schedc.sim.protobuf import chunk, integer, packed, text
from schedc.sim.trace import Trace, tasks_of

_SLEEPS, _DEAD, _PREEMPTED = 0x01, 0x10, 0x100
_HARDIRQ = 0x08
"""In `common_flags` of a wake-up: made by an interrupt (a timer), not by the running task."""
_PRIO = 120
_GROUP_PID = 1 << 22
"""Pids of tasks are below the kernel's limit; groups, as processes, are numbered from there."""
_BUNDLE = 4096
"""So many events go into one bundle at most: a packet of some 40 kB."""
_SEQUENCE = 1
_CLEARED, _NEEDS_STATE = 1, 2
_TAIL = integer(10, _SEQUENCE) + integer(13, _NEEDS_STATE)
"""The end of every packet after the one that clears the sequence's state."""
_INSTANT, _COUNTER = 3, 4
_LOCAL, _GLOBAL, _BYPASS = 1 << 63 | 2, 1 << 63 | 1, 1 << 63 | 3
_LOCAL_ON = 1 << 63 | 1 << 62


def pftrace(trace: Trace, *, scheduler: str, queues: Sequence[str] = ()) -> bytes:
    """The trace in Perfetto's format. `queues`: the names of a compiled policy's queues; its DSQs
    are numbered by queue, from 1, in the upper half of 32 bits, and by domain in the lower."""
    return b"".join(chunk(1, packet) for packet in _Writer(trace, scheduler, queues).write())


@dataclass(slots=True)
class _Bundle:
    """Events of one cpu that are not written yet; times are as they are, not yet deltas."""

    cpu: int
    switches: list[tuple[int, int, int, int]] = field(default_factory=list)
    wakings: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    comms: dict[str, int] = field(default_factory=dict)

    def comm(self, name: str) -> int:
        return self.comms.setdefault(name, len(self.comms))

    def switch(self, at: int, state: int, pid: int, comm: str) -> None:
        self.switches.append((at, state, pid, self.comm(comm)))

    def waking(self, at: int, pid: int, target: int, flags: int, comm: str) -> None:
        self.wakings.append((at, pid, target, flags, self.comm(comm)))

    def full(self, at: int) -> bool:
        """Whether a switch at this instant must go into another bundle."""
        tie = bool(self.wakings) and self.wakings[-1][0] == at
        return tie or len(self.switches) + len(self.wakings) >= _BUNDLE

    def packet(self) -> bytes:
        """A TracePacket with an FtraceEventBundle; the bundle is empty afterwards."""
        body = b""
        if self.switches:
            at, states, pids, comms = zip(*self.switches, strict=True)
            body += packed(1, _deltas(at)) + packed(2, states) + packed(3, pids)
            body += packed(4, [_PRIO] * len(pids)) + packed(6, comms)
        if self.wakings:
            at, pids, targets, flags, comms = zip(*self.wakings, strict=True)
            body += packed(7, _deltas(at)) + packed(8, pids) + packed(9, targets)
            body += packed(10, [_PRIO] * len(pids)) + packed(11, comms) + packed(12, flags)
        names = b"".join(text(5, name) for name in self.comms)
        self.switches, self.wakings, self.comms = [], [], {}
        bundle = integer(1, self.cpu) + chunk(4, body + names)
        return chunk(1, bundle) + integer(10, _SEQUENCE)


def _deltas(times: tuple[int, ...]) -> list[int]:
    return [later - earlier for later, earlier in zip(times, (0, *times[:-1]), strict=True)]


class _Writer:
    """Goes through the records once; `_out` are the packets in order of writing."""

    def __init__(self, trace: Trace, scheduler: str, queues: Sequence[str]) -> None:
        self._trace = trace
        self._scheduler = scheduler
        self._queues = queues
        self._tasks = tasks_of(trace)
        self._out: list[bytes] = []
        self._bundles = [_Bundle(cpu) for cpu in range(trace.nr_cpus)]
        self._current = [0] * trace.nr_cpus
        self._runs_on: dict[int, int] = {}
        self._left: dict[int, int] = {}
        self._place: dict[int, int] = {}
        self._length: dict[int, int] = {}
        self._tracks: dict[str, int] = {}
        self._names: dict[str, int] = {}
        self._counters: dict[tuple[int, int], bytes] = {}
        self._moves: dict[tuple[int, int, int], bytes] = {}
        self._stamped = -1, b""

    def write(self) -> list[bytes]:
        self._system()
        self._process_tree()
        for bundle in self._bundles:
            bundle.switch(0, 0, 0, "swapper")
        for at, kind, _, cpu, a, b, c in self._trace.records():
            if cpu < 0 and kind in (records.RUN, records.IDLE, records.WAKE, records.MOVE):
                continue
            match kind:
                case records.RUN:
                    self._enters(at, a, None)
                    self._switch(at, cpu, a)
                case records.IDLE:
                    self._switch(at, cpu, 0)
                case records.SLEEP | records.EXIT:
                    self._enters(at, a, None)
                    self._left[a] = _SLEEPS if kind == records.SLEEP else _DEAD
                case records.WAKE:
                    self._waking(at, a, b, cpu)
                case records.QUEUE:
                    dsq = self._resolved(b, cpu)
                    self._enters(at, a, dsq)
                    self._inserted(at, a, dsq, c)
                case records.MOVE:
                    self._moved(at, a, self._resolved(b, cpu), cpu)
                    self._enters(at, a, _LOCAL_ON | cpu)
                case records.KICK:
                    self._instant(at, "kicks", f"kick cpu {cpu}", _note("flags", a))
                case records.ERROR:
                    self._instant(at, "errors", self._trace.texts.get(c, "thrown out"), b"")
        self._close()
        return self._out

    # --- switches and wake-ups

    def _comm(self, pid: int) -> str:
        return self._tasks.comm.get(pid, f"task {pid}") if pid else "swapper"

    def _switch(self, at: int, cpu: int, pid: int) -> None:
        previous = self._current[cpu]
        if previous == pid and previous not in self._left:
            return
        state = self._left.pop(previous, _PREEMPTED) if previous else 0
        bundle = self._bundles[cpu]
        if bundle.full(at):
            self._out.append(bundle.packet())
        bundle.switch(at, state, pid, self._comm(pid))
        if self._runs_on.get(previous) == cpu:
            del self._runs_on[previous]
        self._current[cpu] = pid
        if pid:
            self._runs_on[pid] = cpu

    def _waking(self, at: int, pid: int, waker: int, target: int) -> None:
        cpu = self._runs_on.get(waker) if waker else None
        flags = _HARDIRQ if cpu is None else 0
        bundle = self._bundles[target if cpu is None else cpu]
        bundle.waking(at, pid, target, flags, self._comm(pid))

    def _close(self) -> None:
        """Ends what still runs; the open bundles are written."""
        for cpu, bundle in enumerate(self._bundles):
            if self._current[cpu]:
                self._switch(self._trace.ended_ns, cpu, 0)
            self._out.append(bundle.packet())

    # --- who is who

    def _system(self) -> None:
        name = text(1, "Linux") + text(3, "6.18.0") + text(4, "schedc-sim")
        self._out.append(chunk(45, chunk(1, name) + integer(3, self._trace.hz)))

    def _process_tree(self) -> None:
        tasks = self._tasks
        groups = sorted(set(tasks.group.values()))
        tree = b"".join(
            chunk(1, integer(1, _GROUP_PID + group) + text(3, tasks.group_name[group]))
            for group in groups
        )
        for pid in sorted(tasks.comm):
            tgid = _GROUP_PID + tasks.group[pid]
            tree += chunk(2, integer(1, pid) + text(2, tasks.comm[pid]) + integer(3, tgid))
        self._out.append(integer(8, 0) + chunk(2, tree) + integer(10, _SEQUENCE))

    # --- DSQs

    def _resolved(self, dsq: int, cpu: int) -> int:
        return _LOCAL_ON | cpu if dsq == _LOCAL and cpu >= 0 else dsq

    def _queue_name(self, dsq: int) -> str:
        if 0 < dsq >> 16 <= len(self._queues):
            return f"{self._queues[(dsq >> 16) - 1]} {dsq & 0xFFFF:03d}"
        if dsq >> 62 == 3:
            return f"local, cpu {dsq & 0xFFFFFFFF:03d}"
        builtin = {_GLOBAL: "global", _LOCAL: "local", _BYPASS: "bypass"}
        return builtin.get(dsq, f"DSQ {dsq:#x}")

    def _enters(self, at: int, pid: int, dsq: int | None) -> None:
        """The task leaves the DSQ that it is in, if any, and enters this one, if any."""
        before = self._place.pop(pid, None)
        if before == dsq:
            if dsq is not None:
                self._place[pid] = dsq
            return
        if before is not None:
            self._count(at, before, -1)
        if dsq is not None:
            self._place[pid] = dsq
            self._count(at, dsq, 1)

    def _count(self, at: int, dsq: int, change: int) -> None:
        length = self._length[dsq] = self._length.get(dsq, 0) + change
        event = self._counters.get((dsq, length))
        if event is None:
            track = self._track(f"{self._queue_name(dsq)}: tasks", counter=True)
            event = integer(9, _COUNTER) + integer(11, track) + integer(30, length)
            event = self._counters[dsq, length] = chunk(11, event) + _TAIL
        self._out.append(self._stamp(at) + event)

    def _stamp(self, at: int) -> bytes:
        """A packet's time; many in a row have the same."""
        if at != self._stamped[0]:
            self._stamped = at, integer(8, at)
        return self._stamped[1]

    # --- instants

    def _inserted(self, at: int, pid: int, dsq: int, key: int) -> None:
        head = self._moves.get((pid, dsq, -1))
        if head is None:
            head = self._head(f"{self._queue_name(dsq)}: moves", f"insert {self._comm(pid)}")
            head = self._moves[pid, dsq, -1] = head + _note("pid", pid)
        note = _note("key", key) if key != records.NO_KEY else b""
        self._out.append(self._stamp(at) + chunk(11, head + note) + _TAIL)

    def _moved(self, at: int, pid: int, dsq: int, cpu: int) -> None:
        event = self._moves.get((pid, dsq, cpu))
        if event is None:
            head = self._head(f"{self._queue_name(dsq)}: moves", f"move {self._comm(pid)}")
            notes = _note("pid", pid) + _note("to cpu", cpu)
            event = self._moves[pid, dsq, cpu] = chunk(11, head + notes) + _TAIL
        self._out.append(self._stamp(at) + event)

    def _instant(self, at: int, track: str, name: str, notes: bytes) -> None:
        event = chunk(11, self._head(track, name) + notes) + _TAIL
        self._out.append(self._stamp(at) + event)

    def _head(self, track: str, name: str) -> bytes:
        """What all events of a name on a track begin with; the name is interned at its first."""
        uuid = self._track(track)
        if name not in self._names:
            iid = self._names[name] = len(self._names) + 1
            interned = chunk(12, chunk(2, integer(1, iid) + text(2, name)))
            self._out.append(interned + _TAIL)
        return integer(9, _INSTANT) + integer(11, uuid) + integer(10, self._names[name])

    def _track(self, name: str, counter: bool = False) -> int:
        """The uuid of a track, described at its first use below the scheduler's own."""
        if not self._tracks:
            self._tracks[""] = 1
            root = integer(1, 1) + text(2, f"sched_ext: {self._scheduler}")
            self._out.append(chunk(60, root) + integer(10, _SEQUENCE) + integer(13, _CLEARED))
        if name not in self._tracks:
            uuid = self._tracks[name] = len(self._tracks) + 1
            body = integer(1, uuid) + integer(5, 1) + text(2, name)
            body += chunk(8, integer(3, 2)) if counter else b""
            self._out.append(chunk(60, body) + _TAIL)
        return self._tracks[name]


def _note(name: str, value: int) -> bytes:
    """A debug annotation: what the details of an event show."""
    return chunk(4, integer(3, value) + text(10, name))
