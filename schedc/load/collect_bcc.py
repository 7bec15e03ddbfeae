"""The bcc collector's privileged process, run by Debian's own python3.

Input and output are those of `collect`, but for the program, which comes as text. bcc compiles it
against the headers of the running kernel. Invariant: what it reads is read by `collect`'s own code,
and nothing of schedc's dependencies is needed.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.append("/usr/lib/python3/dist-packages")
sys.path.append(str(Path(__file__).resolve().parent.parent.parent))

from schedc.load import collect
from schedc.load.errors import BAD_REQUEST, CANNOT_LOAD, LoadError

MAX_TEXT = 1 << 20
HERE = "/* here */\n"
"""Where the text wants the numbers of the target."""
CFLAGS = ["-fms-extensions", "-w"]
"""The headers of kernels from 6.19 on have unnamed members with a tag."""
KALLSYMS = Path("/proc/kallsyms")


class _Map:
    """A table of bcc as `collect` reads maps."""

    def __init__(self, table: Any, name: str) -> None:
        self.name = name
        self._table = table
        leaf = getattr(table, "sLeaf", None) or table.Leaf
        self.value_size = -(-ctypes.sizeof(leaf) // 8) * 8
        self.entries = int(table.max_entries)

    def lookup(self, key: bytes) -> bytes | None:
        try:
            return bytes(self._table[self._table.Key.from_buffer_copy(key)])
        except KeyError:
            return None

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        for key, value in self._table.items():
            yield bytes(key), bytes(value)


class _Program:
    name, fd = collect.OPTIONAL, 0


class _Loaded:
    def __init__(self, bpf: Any, wakers: bool) -> None:
        self._bpf = bpf
        self.programs = [_Program] if wakers else []

    def map(self, name: str) -> _Map:
        return _Map(self._bpf[name], name)


def main() -> int:
    """One request, from stdin to stdout."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        reply = _serve(sys.stdin.buffer.readline(collect.MAX_REQUEST))
    except LoadError as failure:
        reply = failure.as_json()
    collect.say(reply)
    return 0 if reply.get("ok", True) else 2


def _serve(line: bytes) -> dict[str, Any]:
    text, seconds, target = _request(line)
    addresses = _addresses()
    head = "".join(
        f"#define {name} {value}\n"
        for name, value in {
            "target": target["kind"], "target_tgid": target["pid"],
            "target_cgroup": f"{target['cgroup']}ULL", "own_tgid": os.getpid(),
            "PREEMPT_COUNT_AT": f"{addresses['__preempt_count']}ULL",
            "PER_CPU_OFFSET_AT": f"{addresses['__per_cpu_offset']}ULL",
        }.items()
    )  # fmt: skip
    bpf = _compile(text.replace(HERE, head, 1))
    began = time.monotonic()
    collect.nudge()
    collect.say({"ready": True})
    collect.wait(seconds)
    collect.nudge()
    took = time.monotonic() - began
    for event in ("switch", "waking", "wakeup", "wakeup_new", "process_fork", "migrate_task"):
        bpf.detach_raw_tracepoint(f"sched_{event}".encode())
    loaded: Any = _Loaded(bpf, all(addresses.values()))
    return {"ok": True, "seconds": took, **collect.counts(loaded)}


def _request(line: bytes) -> tuple[str, float, dict[str, Any]]:
    try:
        asked = json.loads(line)
        text, seconds, target = str(asked["text"]), float(asked["seconds"]), asked["target"]
        kind = collect.TARGETS[target["kind"]]
        numbers = {key: int(target.get(key, 0)) for key in ("pid", "cgroup")}
    except (ValueError, KeyError, TypeError, OverflowError) as bad:
        raise LoadError(BAD_REQUEST, f"no request of a profile: {type(bad).__name__}") from bad
    if not 0 < seconds <= collect.MAX_SECONDS or len(text) > MAX_TEXT:
        raise LoadError(BAD_REQUEST, f"a profile takes up to {collect.MAX_SECONDS:.0f} s")
    return text, seconds, {"kind": kind, **numbers}


def _addresses() -> dict[str, int]:
    """Of the symbols that say whether an interrupt is being served; 0 where they aren't shown."""
    found = {"__preempt_count": 0, "__per_cpu_offset": 0}
    try:
        lines = KALLSYMS.read_text(encoding="latin-1").splitlines()
    except OSError:
        return found
    for line in lines:
        address, _, name = line.split(" ", 2)
        if name in found:
            found[name] = int(address, 16)
    return found


def _compile(text: str) -> Any:
    """Compile, load and attach. bcc prints what is wrong to stderr, which the caller shows."""
    try:
        from bcc import BPF  # type: ignore[import-not-found]
    except ImportError as missing:
        raise LoadError(CANNOT_LOAD, "this python has no bcc") from missing
    try:
        return BPF(text=text, cflags=CFLAGS)
    except Exception as failure:
        raise LoadError(CANNOT_LOAD, f"bcc did not take the program: {failure}"[:300]) from failure


if __name__ == "__main__":
    raise SystemExit(main())
