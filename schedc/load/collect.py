"""The profiler's privileged process: loads our own tracing object and prints what it counted.

Input on stdin: one JSON line, `{"object": base64, "seconds": 10, "target": {"kind": "all"|
"process"|"cgroup"|"tree", "pid": …, "cgroup": …}}`. Output on stdout: `{"ready": true}`
once it watches, then, after the time or as soon as stdin ends, one line with the counts (or
`{"ok": false, …}` as the loader's replies have it). Invariant: nothing stays in the kernel
afterwards, and names of tasks leave it only as hexadecimal digits.
"""

from __future__ import annotations

import base64
import json
import os
import select
import signal
import struct
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from schedc.load.errors import BAD_REQUEST, CANNOT_LOAD, LoadError
from schedc.load.libbpf import Map, Object

MAX_REQUEST = 8 << 20
MAX_SECONDS = 86_400.0
TARGETS = {"all": 0, "process": 1, "cgroup": 2, "tree": 3}
NEEDED = (1, 1)
"""Of libbpf, for tracing programs."""

OPTIONAL = "on_waking"
"""Needs a symbol that not every kernel shows; without it, who wakes whom isn't known."""

_GROUP = struct.Struct("<16siI16sIiiI")
_TASK = struct.Struct("<4QII16sBB6x")
_BUCKET = struct.Struct("<IHH")


def main() -> int:
    """One request, from stdin to stdout."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started this decides when it ends
    try:
        reply = _serve(sys.stdin.buffer.readline(MAX_REQUEST))
    except LoadError as failure:
        reply = failure.as_json()
    say(reply)
    return 0 if reply.get("ok", True) else 2


def say(reply: Mapping[str, Any]) -> None:
    with suppress(BrokenPipeError):
        sys.stdout.write(json.dumps(reply, separators=(",", ":")) + "\n")
        sys.stdout.flush()


def _serve(line: bytes) -> dict[str, Any]:
    data, seconds, target = _request(line)
    with _load(data, target, leave_out=()) as loaded:
        links = [program.attach() for program in loaded.programs if program.fd >= 0]
        began = time.monotonic()
        nudge()
        say({"ready": True})
        wait(seconds)
        nudge()
        took = time.monotonic() - began
        for link in links:
            link.destroy()
        return {"ok": True, "seconds": took, **counts(loaded)}


def _request(line: bytes) -> tuple[bytes, float, dict[str, Any]]:
    try:
        asked = json.loads(line)
        data = base64.b64decode(asked["object"], validate=True)
        seconds, target = float(asked["seconds"]), dict(asked["target"])
        kind = TARGETS[target["kind"]]
        numbers = {key: int(target.get(key, 0)) for key in ("pid", "cgroup")}
    except (ValueError, KeyError, TypeError, OverflowError) as bad:
        raise LoadError(BAD_REQUEST, f"no request of a profile: {type(bad).__name__}") from bad
    if not 0 < seconds <= MAX_SECONDS:
        raise LoadError(BAD_REQUEST, f"a profile takes up to {MAX_SECONDS:.0f} s")
    return data, seconds, {"kind": kind, **numbers}


def _load(data: bytes, target: dict[str, Any], leave_out: tuple[str, ...]) -> Object:
    """Open and load the object; once more without what this kernel may lack."""
    opened = Object(data, "profile", NEEDED)
    try:
        constants = opened.constants()
        constants.set("target", target["kind"])
        constants.set("target_tgid", target["pid"])
        constants.set("target_cgroup", target["cgroup"])
        constants.set("own_tgid", os.getpid())
        for program in opened.programs:
            if program.name in leave_out:
                program.leave_out()
        opened.load()
        return opened
    except LoadError:
        opened.close()
        if leave_out:
            raise
        return _load(data, target, (OPTIONAL,))


def nudge() -> None:
    """Run on each cpu for a moment: a task that never gives its cpu up is seen then."""
    allowed = os.sched_getaffinity(0)
    for cpu in sorted(allowed):
        with suppress(OSError):
            os.sched_setaffinity(0, {cpu})
    with suppress(OSError):
        os.sched_setaffinity(0, allowed)


def wait(seconds: float) -> None:
    """Until the time is over or stdin ends."""
    select.select([sys.stdin.buffer], [], [], seconds)


# --- reading the maps ---------------------------------------------------------------------------


def counts(loaded: Object) -> dict[str, Any]:
    def named(name: str) -> Map:
        found = loaded.map(name)
        if found is None:
            raise LoadError(CANNOT_LOAD, f"the profiler's object has no map {name}")
        return found

    used = _used(loaded)
    groups = list(_groups(named("groups"), named("counted"), used))
    sums = [
        [group, kind, *values[:3]]
        for group in range(used)
        for kind in range(3)
        if (values := _per_cpu(named("sums"), struct.pack("<I", group * 3 + kind), (2,)))[0]
    ]
    buckets = [
        [*_BUCKET.unpack(key), _words(value, ())[0]] for key, value in named("buckets").items()
    ]
    edges = [
        [*struct.unpack("<II", key), _words(value, ())[0]] for key, value in named("edges").items()
    ]
    migrations, dropped = _per_cpu(named("machine"), bytes(4), ())
    return {
        "groups": groups, "sums": sums, "buckets": buckets, "edges": edges,
        "tasks": list(_tasks(named("tasks"))), "migrations": migrations, "dropped": dropped,
        "wakers": any(p.name == OPTIONAL and p.fd >= 0 for p in loaded.programs),
    }  # fmt: skip


def _used(loaded: Object) -> int:
    """How many groups there are."""
    names, groups = loaded.map("names"), loaded.map("groups")
    if names is None or groups is None:
        raise LoadError(CANNOT_LOAD, "the profiler's object has other maps")
    found = [int.from_bytes(value, "little") for _, value in names.items()]
    return min(max(found, default=-1) + 1, groups.entries)


def _groups(groups: Map, counted: Map, used: int) -> Iterator[list[Any]]:
    for number in range(used):
        key = struct.pack("<I", number)
        stem, nice, _, comm, several, _, most, born = _GROUP.unpack(groups.lookup(key) or bytes(56))
        cpu, wakeups, switches, migrations = _per_cpu(counted, key, ())
        yield [
            _hex(stem), _hex(comm), nice, several, most, born, cpu, wakeups, switches, migrations
        ]  # fmt: skip


def _tasks(tasks: Map) -> Iterator[list[int]]:
    """Of each task in a burst: its group, the cpu time of it, and whether it was in it when the
    profile began."""
    for _, value in tasks.items():
        ran, _, _, slept, group, _, _, whole, _ = _TASK.unpack(value)
        if ran and not slept:
            yield [group, ran, int(not whole)]


def _hex(name: bytes) -> str:
    return name.split(b"\0")[0].hex()


def _per_cpu(map_: Map, key: bytes, largest: tuple[int, ...]) -> list[int]:
    value = map_.lookup(key)
    return _words(value, largest, map_.value_size) if value else [0] * (map_.value_size // 8)


def _words(value: bytes, largest: tuple[int, ...], size: int = 8) -> list[int]:
    """The words of a per-cpu value, summed over the cpus (those in `largest`: the largest)."""
    words = struct.unpack(f"<{len(value) // 8}Q", value)
    columns = [words[at :: size // 8] for at in range(size // 8)]
    return [max(one) if at in largest else sum(one) for at, one in enumerate(columns)]


if __name__ == "__main__":
    raise SystemExit(main())
