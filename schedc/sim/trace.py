"""What happened in one run, as the simulator wrote it.

Input: the bytes of `schedc-sim --trace`: a header of 32 bytes, then records of 32 bytes each, all
little-endian. Output: a `Trace`, whose records come out as plain tuples. Invariant: whatever is
read has times in order and cpus of the machine; a file that breaks off in the middle of a run is
read up to there and says so (`complete`), and one of another program is refused.

    header   8 bytes "schedtr1", u32 size of a record, u32 cpus, u32 Hz, u32 0, u64 seed
    record   u64 time (ns), u8 kind, u8 n, s16 cpu (-1: none), u32 a, u64 b, u64 c

A text is written in pieces of 16 bytes (kind 255: `a` its number, `n` bytes of `b` and `c`) before
the record that uses it. The last record (kind 254) has the end of the run in its time.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterator, Mapping
from itertools import compress, islice
from operator import le

from schedc.records import dataclass

MAGIC = b"schedtr1"
HEADER = struct.Struct("<8sIIIIQ")
RECORD = struct.Struct("<QBBhIQQ")

# Kinds of records: one more than `enum trace_kind` in sim.h, so that 0 is never one.
TASK = 1
"""A task is there, or has another name: `a` pid, `b` group, `c` text."""
RUN = 2
"""A cpu takes a task: `a` pid."""
IDLE = 3
WAKE = 4
"""`a` pid, `b` the waker's pid or 0 (a timer); `cpu`: where the task is put."""
SLEEP = 5
EXIT = 6
QUEUE = 7
"""A task enters a DSQ: `a` pid, `b` DSQ, `c` its key or all ones."""
MOVE = 8
"""A task goes from the DSQ `b` to the local DSQ of `cpu`: `a` pid."""
KICK = 9
"""`a` flags."""
ERROR = 10
"""The scheduler was thrown out: `c` text."""
GROUP = 11
"""The name of a group of tasks: `b` group, `c` text."""
END = 254
TEXT = 255

Record = tuple[int, int, int, int, int, int, int]
"""time, kind, n, cpu, a, b, c"""

NO_KEY = 2**64 - 1
"""`c` of a record of `QUEUE` for a DSQ that is a plain fifo."""


class BadTrace(ValueError):
    """Not a trace, or one that the simulator would not write."""


@dataclass(frozen=True, slots=True)
class Trace:
    """`body`: the records as bytes. `texts`: by number. `ended_ns`: the end of the run, or of what
    there is of it."""

    nr_cpus: int
    hz: int
    seed: int
    body: bytes
    texts: Mapping[int, str]
    ended_ns: int
    complete: bool

    def records(self, *kinds: int) -> Iterator[Record]:
        """The records of these kinds, else all but texts and the end, in order of time."""
        wanted = kinds or range(END)
        mask = self.body[8 :: RECORD.size].translate(bytes(kind in wanted for kind in range(256)))
        return compress(RECORD.iter_unpack(self.body), mask)


def read_trace(data: bytes) -> Trace:
    """The trace in a file's bytes; raises `BadTrace`."""
    if len(data) < HEADER.size:
        raise BadTrace("too short for a trace")
    magic, size, nr_cpus, hz, _, seed = HEADER.unpack_from(data)
    if magic != MAGIC:
        raise BadTrace("not a trace of the simulator")
    if size != RECORD.size or not 0 < nr_cpus <= 1 << 15:
        raise BadTrace(f"a trace of another version: records of {size} bytes, {nr_cpus} cpus")
    whole = (len(data) - HEADER.size) // RECORD.size * RECORD.size
    body = data[HEADER.size : HEADER.size + whole]
    times = _column(body, "Q", 0)
    if not all(map(le, times, islice(times, 1, None))):
        raise BadTrace("times run backwards")
    cpus = _column(body, "h", 5)
    if cpus and not -1 <= min(cpus) <= max(cpus) < nr_cpus:
        raise BadTrace(f"a cpu outside 0..{nr_cpus - 1}")
    complete = bool(body) and body[-RECORD.size + 8] == END
    return Trace(nr_cpus, hz, seed, body, _texts(body), times[-1] if times else 0, complete)


def _column(body: bytes, code: str, offset: int) -> array[int]:
    """One member of every record: `offset` counts items of `code`."""
    items = array(code)
    items.frombytes(body)
    column = items[offset :: RECORD.size // items.itemsize]
    if sys.byteorder == "big":
        column.byteswap()
    return column


def _texts(body: bytes) -> dict[int, str]:
    kinds = body[8 :: RECORD.size]
    pieces: dict[int, bytes] = {}
    at = kinds.find(TEXT)
    while at >= 0:
        start = at * RECORD.size
        _, _, n, _, number, _, _ = RECORD.unpack_from(body, start)
        piece = body[start + 16 : start + 16 + min(n, 16)]
        pieces[number] = pieces.get(number, b"") + piece
        at = kinds.find(TEXT, at + 1)
    return {number: text.decode("utf-8", "replace") for number, text in pieces.items()}


@dataclass(frozen=True, slots=True)
class Tasks:
    """Who the pids are. A task that changed its name goes by its last one."""

    comm: Mapping[int, str]
    group: Mapping[int, int]
    group_name: Mapping[int, str]


def tasks_of(trace: Trace) -> Tasks:
    """The tasks of a run. A group without a name of its own is called as its first task was."""
    comm: dict[int, str] = {}
    group: dict[int, int] = {}
    named: dict[int, str] = {}
    fallback: dict[int, str] = {}
    for _, kind, _, _, a, b, c in trace.records(TASK, GROUP):
        if kind == TASK:
            comm[a] = trace.texts.get(c, f"task {a}")
            group[a] = b
            fallback.setdefault(b, comm[a])
        else:
            named[b] = trace.texts.get(c, f"group {b}")
    return Tasks(comm, group, fallback | named)
