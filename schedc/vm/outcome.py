"""What one run left behind, judged: a result that counts, or a void with its reason.

Input: the files of a run (`load.json` of the loader if a policy ran, `status`, `measured`,
`stderr`). Output: an `Outcome`. Invariant: what the guest wrote is checked before it is used; a
file that is missing or damaged makes the run void and never raises.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from schedc.vm.measure import ClassCount, Outcome, QueueCount, Starved, Void
from schedc.workload.command import RESULT
from schedc.workload.results import BadOutput, Result, parse_result

Names = tuple[tuple[str, ...], tuple[str, ...]]
"""Names of classes and of queues, by index."""

_STARVED = re.compile(r"(?:^|[\s:])([^\n:]{1,40})\[(\d+)\] failed to run for ([0-9]+\.[0-9]+)s")


def find_starved(text: str) -> Starved | None:
    """Who starved, in the kernel's words: `victim[156] failed to run for 2.488s`."""
    match = _STARVED.search(text)
    if match is None:
        return None
    return Starved(match[1].strip(), int(match[2]), float(match[3]))


def read_outcome(
    out: Mapping[str, bytes], parser: str, names: Names | None, timed_out: bool, seconds: float
) -> Outcome:
    """Judge one run. `names` is None for the arm without a policy."""
    classes: tuple[ClassCount, ...] = ()
    queues: tuple[QueueCount, ...] = ()
    void: Void | None = None
    if names is not None:
        load = _json(out.get("load.json", b""))
        void = _judge_load(load)
        classes = _classes(load.get("classes"), names[0])
        queues = _queues(load.get("queues"), names[1])
        if void is None and _number(load.get("command_status")) != 0:
            void = Void(_program_failed(out, _number(load.get("command_status"))), False)
    if void is None and timed_out:
        void = Void("the workload did not end in time", names is not None)
    result, wrong = _result(out, parser)
    if void is None and names is None and out.get("status", b"").strip() != b"0":
        void = Void(_program_failed(out, out.get("status", b"?").decode(errors="replace")), False)
    if void is None and wrong:
        void = Void(wrong, False)
    return Outcome(result, void, classes, queues, seconds)


def _judge_load(load: Mapping[str, Any]) -> Void | None:
    """Whether the policy was the kernel's scheduler all the time."""
    if not load:
        return Void("the loader left no report", True)
    problem = str(load.get("problem") or "no reason given").strip().splitlines()[0][:200]
    if not load.get("loads"):
        return Void(f"the kernel did not load it: {problem}", True)
    if not load.get("attaches"):
        return Void(f"the kernel did not take it: {problem}", True)
    if not load.get("stayed"):
        end = load.get("exit")
        message = str(end.get("msg", "")) if isinstance(end, dict) else ""
        starved = find_starved(message) or find_starved(str(load.get("kmsg", "")))
        said = f": {message[:200]}" if message and starved is None else ""
        return Void(f"{problem}{said}", True, starved)
    if not load.get("detached"):
        return Void("the default scheduler did not come back afterwards", True)
    return None


def _program_failed(out: Mapping[str, bytes], status: object) -> str:
    lines = out.get("stderr", b"").decode(errors="replace").strip().splitlines()
    said = f": {lines[-1][:200]}" if lines else ""
    return f"the workload's program ended with status {str(status).strip()}{said}"


def _result(out: Mapping[str, bytes], parser: str) -> tuple[Result | None, str]:
    data = out.get(RESULT)
    if data is None:
        return None, "the workload left no result"
    try:
        return parse_result(parser, data.decode(errors="replace")), ""
    except BadOutput as failure:
        return None, f"the workload's result can't be read: {failure}"


def _json(data: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _number(value: object) -> int:
    return value if isinstance(value, int) else -1


def _count(entry: Mapping[str, Any], key: str) -> int:
    value = entry.get(key)
    return value if isinstance(value, int) and value >= 0 else 0


def _name(names: tuple[str, ...], index: int) -> str:
    return names[index] if index < len(names) else f"#{index}"


def _classes(found: object, names: tuple[str, ...]) -> tuple[ClassCount, ...]:
    entries = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    counts = []
    for index, entry in enumerate(entries):
        buckets = entry.get("wait_hist")
        hist = tuple(n for n in buckets if isinstance(n, int)) if isinstance(buckets, list) else ()
        counts.append(
            ClassCount(
                _name(names, index),
                _count(entry, "enqueued"),
                _count(entry, "direct"),
                _count(entry, "run"),
                _count(entry, "preempted"),
                _count(entry, "ran_ns"),
                _count(entry, "wait_ns"),
                _count(entry, "wait_max_ns"),
                hist,
            )
        )
    return tuple(counts)


def _queues(found: object, names: tuple[str, ...]) -> tuple[QueueCount, ...]:
    entries = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    return tuple(
        QueueCount(
            _name(names, index),
            *(_count(entry, key) for key in ("inserted", "taken", "stolen", "skipped")),
        )
        for index, entry in enumerate(entries)
    )
