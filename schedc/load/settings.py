"""The settings of a plan: which of an object's constants are set, and to what.

Input: the text of `schedc.vm.check.Settings`: lines `set NAME VALUE`, `cgroup I PATH`, `exe
I PATH`. Output: `Setting`s. Invariant: only what a proof allows is let through: tunables within the
range that they are proved for, whether to count, and the groups and files that conditions name.
Topology is this machine's own and never comes from a plan.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from schedc.load.errors import BAD_SETTING, LoadError
from schedc.records import dataclass

MAX_REFS = 64
_PATH = 4096
_SET = re.compile(r"set ([a-z][a-z0-9_]{0,63}) (-?[0-9]{1,19})")
_REFERENCE = re.compile(r"(cgroup|exe) ([0-9]{1,3}) (\S.*)", re.DOTALL)
TUNE = "tune_"


@dataclass(frozen=True, slots=True)
class Number:
    """A constant and its value."""

    name: str
    value: int


@dataclass(frozen=True, slots=True)
class Reference:
    """A control group or an executable, by its place in the object's table."""

    kind: str
    index: int
    path: str


Setting = Number | Reference


def read_settings(text: str) -> tuple[Setting, ...]:
    """The settings of a text; E0842 names the first line that is none."""
    found: list[Setting] = []
    for line in text.split("\n"):
        if not line or line.startswith("#"):
            continue
        if set_ := _SET.fullmatch(line):
            found.append(Number(set_[1], int(set_[2])))
        elif reference := _REFERENCE.fullmatch(line):
            found.append(_reference(reference[1], int(reference[2]), reference[3]))
        else:
            raise _bad(f"not a setting: {line[:60]!r}")
    return tuple(found)


def _reference(kind: str, index: int, path: str) -> Reference:
    parts = path.split("/")
    if index >= MAX_REFS or len(path) > _PATH or "\0" in path or ".." in parts:
        raise _bad(f"no such {kind}: {path[:60]!r}")
    if kind == "exe" and not path.startswith("/"):
        raise _bad(f"an executable is named by its whole path, not {path[:60]!r}")
    return Reference(kind, index, path)


def check_settings(
    text: str, tunes: Mapping[str, Sequence[Any]], names: Mapping[str, Sequence[Any]] | None = None
) -> tuple[Setting, ...]:
    """The settings, each within what is proved. `tunes`: tunable -> [lowest, highest], and
    `names`: `cgroups` and `exes` by their numbers, both as the certificate has them."""
    settings = read_settings(text)
    for one in settings:
        if isinstance(one, Number):
            _check_number(one, tunes)
        elif names is not None and one.path not in list(names[f"{one.kind}s"])[one.index :][:1]:
            raise _bad(f"the policy's {one.kind} {one.index} is not {one.path[:60]!r}")
    return settings


def _check_number(one: Number, tunes: Mapping[str, Sequence[Any]]) -> None:
    if one.name == "counters":
        if one.value not in (0, 1):
            raise _bad(f"counters is 0 or 1, not {one.value}")
        return
    if not one.name.startswith(TUNE):
        raise _bad(f"{one.name} is nothing that a plan may set")
    name = one.name.removeprefix(TUNE)
    if name not in tunes:
        raise _bad(f"the policy is proved without a tunable {name}")
    low, high = tunes[name]
    if not low <= one.value <= high:
        raise _bad(f"{name} = {one.value} is outside of what is proved ({low} to {high})")


def _bad(message: str) -> LoadError:
    return LoadError(
        BAD_SETTING, message, help="make the plan again: `schedc plan --set NAME=VALUE`"
    )
