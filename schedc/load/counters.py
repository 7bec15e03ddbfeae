"""What a loaded scheduler counted: per class and queue, waits, and why it ended.

Input: the maps of a loaded object (their layout is that of backends/bpf/include/counters.h and
runtime.h). Output: plain values. Invariant: a map of another shape than agreed is left out rather
than misread.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

from schedc.load.libbpf import Map, Object
from schedc.records import dataclass

CLASS_WORDS = 40  # 8 counters and 32 buckets
CLASS_NAMES = ("enqueued", "direct", "run", "preempted", "ran_ns", "wait_ns", "wait_max_ns")
WAIT_MAX = 6
QUEUE_NAMES = ("inserted", "taken", "stolen", "skipped")
FIRST_BUCKET = 6
"""Bucket i holds waits of 2^(i + 6) ns up to twice that; the first and last hold the rest."""
_EXIT = struct.Struct("<qII128s1024s")
FIRST_ERROR = 1024
STALL = 1026
RESTART = 1 << 48


@dataclass(frozen=True, slots=True)
class Exit:
    """What the kernel told `ops.exit`. Kinds below 1024 are orderly ends: by its holder, by a
    person (SysRq), or because a cpu came or went."""

    kind: int
    code: int
    reason: str
    msg: str

    @property
    def is_error(self) -> bool:
        return self.kind >= FIRST_ERROR

    @property
    def wants_restart(self) -> bool:
        return not self.is_error and bool(self.code & RESTART)

    def words(self) -> str:
        return ": ".join(filter(None, (self.reason, self.msg)))

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Exit:
        """From the holder's words."""
        return cls(int(told.get("kind", 0)), int(told.get("code", 0)),
                   str(told.get("reason", "")), str(told.get("msg", "")))  # fmt: skip


def read_exit(object_: Object) -> Exit | None:
    """Why it ended; None as long as it runs."""
    map_ = object_.map("exit_info")
    if map_ is None or map_.fd < 0 or map_.value_size != _EXIT.size:
        return None
    raw = map_.lookup(bytes(4))
    if raw is None:
        return None
    code, kind, done, reason, message = _EXIT.unpack(raw)
    return Exit(kind, code, _text(reason), _text(message)) if done else None


def _text(raw: bytes) -> str:
    text = raw.partition(b"\0")[0].decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "?" for c in text)


def read_counters(
    object_: Object, classes: Sequence[str], queues: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """`classes` and `queues`: each a list of counts with a name, in the policy's order."""
    found: dict[str, list[dict[str, Any]]] = {"classes": [], "queues": []}
    for number, words in enumerate(_rows(object_, "class_stats", CLASS_WORDS, WAIT_MAX)):
        found["classes"].append({
            "name": _name(classes, number), **dict(zip(CLASS_NAMES, words, strict=False)),
            "wait_hist": words[8:],
        })  # fmt: skip
    for number, words in enumerate(_rows(object_, "queue_stats", len(QUEUE_NAMES), -1)):
        found["queues"].append({
            "name": _name(queues, number), **dict(zip(QUEUE_NAMES, words, strict=True)),
        })  # fmt: skip
    return found


def _name(names: Sequence[str], number: int) -> str:
    return names[number] if number < len(names) else str(number)


def _rows(object_: Object, name: str, words: int, maximum: int) -> list[list[int]]:
    map_ = object_.map(name)
    if map_ is None or map_.fd < 0 or map_.value_size != words * 8:
        return []
    return [row for key in range(min(map_.entries, 64))
            if (row := _summed(map_, key, words, maximum)) is not None]  # fmt: skip


def _summed(map_: Map, key: int, words: int, maximum: int) -> list[int] | None:
    """One entry over all cpus; the word at `maximum` is the largest instead of the sum."""
    raw = map_.lookup(key.to_bytes(4, "little"))
    if raw is None:
        return None
    values = struct.unpack(f"<{len(raw) // 8}Q", raw)
    columns = [values[i::words] for i in range(words)]
    return [max(one) if i == maximum else sum(one) for i, one in enumerate(columns)]


def waits(classes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each class: buckets, median, 99th percentile and maximum of its waits, in ns."""
    return [
        {
            "class": one["name"], "histogram": one["wait_hist"],
            "p50": quantile(one["wait_hist"], 0.5, one["wait_max_ns"]),
            "p99": quantile(one["wait_hist"], 0.99, one["wait_max_ns"]),
            "max": one["wait_max_ns"],
        }
        for one in classes
    ]  # fmt: skip


def quantile(histogram: Sequence[int], q: float, longest: int | None = None) -> int:
    """The q-quantile in ns, straight between the edges of its bucket; 0 if nothing was counted.
    `longest`: no answer is above it."""
    total = sum(histogram)
    wanted, seen = q * total, 0
    for i, count in enumerate(histogram):
        if count and seen + count >= wanted:
            low = (1 << (i + FIRST_BUCKET)) if i else 0
            high = 1 << (i + FIRST_BUCKET + 1)
            value = int(low + (high - low) * (wanted - seen) / count)
            return value if longest is None else min(value, longest)
        seen += count
    return 0


def read_programs(object_: Object) -> list[dict[str, Any]]:
    """Each program: instructions as verified, runs and time (0 unless the kernel counts them)."""
    rows = []
    for program in object_.programs:
        info = program.info()
        if info is not None:
            rows.append({"name": program.name, "insns": info.verified, "run_cnt": info.run_cnt,
                         "run_time_ns": info.run_time_ns})  # fmt: skip
    return rows
