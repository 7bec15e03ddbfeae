"""Profiles as files: JSON, checked when read.

Input: a `Profile`, or the bytes of a file, which may be anybody's. Output: the other. Invariant:
`parse(text(p)) == p`; whatever is not a profile raises `ProfileError` (E1224) that says what is
wrong, and no name comes in that isn't plain.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from schedc.atomic import write_atomically
from schedc.profile.counts import LAST_BUCKET
from schedc.profile.errors import DAMAGED, ProfileError
from schedc.profile.model import (
    COLLECTORS,
    FORMAT,
    NOT_A_TASK,
    GroupProfile,
    Histogram,
    Machine,
    Profile,
)
from schedc.profile.names import is_plain

MAX_FILE = 64 << 20
MAX_GROUPS = 4096
_TEXT = re.compile(r"[ -~]{0,400}")
_BIG = 1 << 64


def read_profile(path: Path) -> Profile:
    """A file's profile; E1224 if it is none, or can't be read."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as failure:
        raise ProfileError(
            DAMAGED, f"the profile {path} can't be read: {failure.strerror}"
        ) from failure
    return parse(data, str(path))


def write_profile(profile: Profile, path: Path) -> None:
    """Replace the file as a whole."""
    try:
        write_atomically(path, text(profile).encode())
    except OSError as failure:
        raise ProfileError(
            DAMAGED, f"the profile can't be written to {path}: {failure.strerror}"
        ) from failure


def text(profile: Profile) -> str:
    """One JSON object; the same profile gives the same text."""
    return json.dumps(as_json(profile), separators=(",", ":")) + "\n"


def parse(data: bytes, name: str = "<profile>") -> Profile:
    """The profile in a file's bytes."""
    try:
        if len(data) > MAX_FILE:
            raise ValueError(f"longer than {MAX_FILE >> 20} MiB")
        return _profile(json.loads(data))
    except RecursionError:
        reason = "too deeply nested"
    except KeyError as missing:
        reason = f"{missing} is missing"
    except (ValueError, TypeError, OverflowError) as bad:
        reason = str(bad)[:160]
    raise ProfileError(
        DAMAGED, f"{name} is not a profile", notes=(reason,),
        help="make one with `schedc profile -o p.json`",
    )  # fmt: skip


# --- writing ------------------------------------------------------------------------------------


def as_json(profile: Profile) -> dict[str, Any]:
    """The profile as plain values."""
    machine = profile.machine
    return {
        "format": profile.format, "collector": profile.collector, "target": profile.target,
        "why_not": [list(one) for one in profile.why_not], "seconds": profile.seconds,
        "kernel": profile.kernel, "cpus": profile.cpus, "complete": profile.complete,
        "dropped": profile.dropped, "notes": list(profile.notes),
        "machine": {
            "busy": machine.busy, "psi_some": machine.psi_some, "psi_full": machine.psi_full,
            "switches_s": machine.switches_s, "migrations_s": machine.migrations_s,
            "runq": _histogram_json(machine.runq),
        },
        "groups": [_group_json(group) for group in profile.groups],
        "wakes": [list(one) for one in profile.wakes],
    }  # fmt: skip


def _group_json(group: GroupProfile) -> dict[str, Any]:
    return {
        "name": group.name, "comm": group.comm, "tasks": group.tasks, "nice": group.nice,
        "share": group.share, "wakeups_s": group.wakeups_s, "switches_s": group.switches_s,
        "migrations_s": group.migrations_s, "born_s": group.born_s, "hogs": group.hogs,
        "hog_share": group.hog_share, "bursts": _histogram_json(group.bursts),
        "sleeps": _histogram_json(group.sleeps), "runq": _histogram_json(group.runq),
    }  # fmt: skip


def _histogram_json(histogram: Histogram) -> dict[str, Any]:
    return {
        "count": histogram.count, "sum": histogram.sum, "max": histogram.max,
        "estimated": histogram.estimated,
        "buckets": [[index, histogram.counts[index]] for index in sorted(histogram.counts)],
    }  # fmt: skip


# --- reading ------------------------------------------------------------------------------------


def _profile(data: Any) -> Profile:
    if not isinstance(data, dict):
        raise ValueError("it is not a JSON object")
    if data["format"] != FORMAT:
        raise ValueError(f"its format is {data['format']!r:.20}, and this schedc reads {FORMAT}")
    if data["collector"] not in COLLECTORS:
        raise ValueError("no such collector")
    groups = tuple(_group(one) for one in _list(data["groups"], MAX_GROUPS))
    names = {group.name for group in groups}
    if len(names) != len(groups):
        raise ValueError("two groups have one name")
    return Profile(
        data["collector"], _text(data["target"]),
        tuple(_pair(one) for one in _list(data["why_not"], 8)), _real(data["seconds"], 0, 1e6),
        _text(data["kernel"]), _whole(data["cpus"], 1, 65536), _machine(data["machine"]), groups,
        tuple(_wake(one, names | {NOT_A_TASK}) for one in _list(data["wakes"], 1 << 16)),
        _whole(data["dropped"], 0, _BIG), _truth(data["complete"]),
        tuple(_text(one) for one in _list(data["notes"], 32)),
    )  # fmt: skip


def _machine(data: Any) -> Machine:
    return Machine(
        _real(data["busy"], 0, 65536), _real(data["psi_some"], -1, 1),
        _real(data["psi_full"], -1, 1), _real(data["switches_s"], -1, 1e12),
        _real(data["migrations_s"], -1, 1e12), _histogram(data["runq"]),
    )  # fmt: skip


def _group(data: Any) -> GroupProfile:
    name, comm = _text(data["name"]), _text(data["comm"])
    if not is_plain(name) or (comm and not is_plain(comm)):
        raise ValueError("a group's name is not plain")
    return GroupProfile(
        name, comm, _whole(data["tasks"], 1, 1 << 32), _whole(data["nice"], -20, 19),
        _real(data["share"], 0, 65536), _real(data["wakeups_s"], -1, 1e12),
        _real(data["switches_s"], -1, 1e12), _real(data["migrations_s"], -1, 1e12),
        _histogram(data["bursts"]), _histogram(data["sleeps"]), _histogram(data["runq"]),
        _real(data["born_s"], 0, 1e9), _whole(data["hogs"], 0, 1 << 32),
        _real(data["hog_share"], 0, 65536),
    )  # fmt: skip


def _histogram(data: Any) -> Histogram:
    counts: dict[int, int] = {}
    for pair in _list(data["buckets"], LAST_BUCKET + 1):
        index, count = _list(pair, 2)
        counts[_whole(index, 0, LAST_BUCKET)] = _whole(count, 1, _BIG)
    found = Histogram(
        counts, _whole(data["sum"], 0, 1 << 80), _whole(data["max"], 0, _BIG),
        _truth(data["estimated"]),
    )
    if found.count != data["count"]:
        raise ValueError("a histogram's count is not that of its buckets")
    return found


def _list(value: Any, longest: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > longest:
        raise ValueError("a list of another form")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not _TEXT.fullmatch(value):
        raise ValueError("a text that is too long or not printable")
    return value


def _pair(value: Any) -> tuple[str, str]:
    first, second = _list(value, 2)
    return _text(first), _text(second)


def _wake(value: Any, names: set[str]) -> tuple[str, str, int]:
    source, target, count = _list(value, 3)
    if source not in names or target not in names:
        raise ValueError("a wake-up of an unknown group")
    return source, target, _whole(count, 0, _BIG)


def _whole(value: Any, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{value!r:.40} is not a whole number in {low}..{high}")
    return value


def _real(value: Any, low: float, high: float) -> float:
    if type(value) not in (int, float) or not math.isfinite(value) or not low <= value <= high:
        raise ValueError(f"{value!r:.40} is not a number in {low}..{high}")
    return float(value)


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r:.40} is not true or false")
    return value
