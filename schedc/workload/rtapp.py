"""rt-app's JSON as a workload.

Input: the text of a file for rt-app (its tutorial.txt describes them; comments, repeated keys and
commas at the end are allowed, as for workgen). Output: a `Workload`, or an E1213 diagnostic for
the first thing that has no counterpart. Invariant: nothing that changes what a task does is left
out silently.

A task becomes a group: its phases one after another, each repeated as its `loop` says. A condition
variable becomes a channel that keeps no posts; `suspend` waits on one that bears the task's name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from schedc.diagnostics.model import Diagnostic, error
from schedc.source import Source, Span
from schedc.workload.model import (
    Barrier,
    Channel,
    Count,
    Fixed,
    Fork,
    Group,
    Lock,
    Param,
    Phase,
    Run,
    Sleep,
    Unlock,
    Wait,
    Wake,
    Workload,
    Yield,
)
from schedc.workload.quantity import MAX_TIME, UNITS

CODE = "E1213"
MAX_PHASES = 4096
"""Of one task, when the loops of its phases are written out."""
ENDLESS = 3 * UNITS["s"]
"""How long a workload runs that has no duration and doesn't end by itself."""

Pairs = list[tuple[str, Any]]

_EVENTS = (
    "run", "sleep", "timer", "lock", "unlock", "wait", "signal", "broad", "sync",
    "barrier", "suspend", "resume", "yield", "fork",
)
_EVENT = re.compile(rf"({'|'.join(_EVENTS)})[0-9_]*")
_PROPERTIES = ("loop", "instance", "delay", "cpus", "priority", "policy", "taskgroup", "phases")
_LAST_COMMA = re.compile(r'"(?:\\.|[^"\\])*"|,(?=\s*[}\]])', re.DOTALL)
_COMMENT = re.compile(r'"(?:\\.|[^"\\])*"|/\*.*?\*/|//[^\n]*', re.DOTALL)
_BAD_NAME = re.compile(r"[^a-z0-9_]")


class _Unfit(Exception):
    """Something that can't be taken over, and the keys that lead to it."""

    def __init__(self, message: str, *path: str, help: str | None = None) -> None:
        super().__init__(message)
        self.path = path
        self.help = help


def is_rtapp(text: str) -> bool:
    """Whether a file looks like JSON rather than TOML."""
    return _strip(text).lstrip().startswith("{")


def read_rtapp(source: Source) -> tuple[Workload | None, tuple[Diagnostic, ...]]:
    """The workload that an rt-app file describes, or None with the reason."""
    try:
        data = json.loads(_strip(source.text), object_pairs_hook=list)
        return _Reader(source).workload(data), ()
    except json.JSONDecodeError as failure:
        at = min(failure.pos, len(source.text))
        found = error(CODE, "the file is not JSON", Span(at, at + 1), label=failure.msg.lower())
    except RecursionError:
        found = error(CODE, "the file is nested too deeply", None)
    except _Unfit as unfit:
        found = error(CODE, str(unfit), _place(source.text, unfit.path), help=unfit.help)
    return None, (found,)


def _strip(text: str) -> str:
    """Without comments and commas at the end, and with every other character where it was."""
    def blank(match: re.Match[str]) -> str:
        found = match[0]
        return found if found.startswith('"') else re.sub(r"[^\n]", " ", found)

    return _LAST_COMMA.sub(blank, _COMMENT.sub(blank, text))


def _place(text: str, path: tuple[str, ...]) -> Span | None:
    """The last key of the path, after the ones before it."""
    at, span = 0, None
    for key in path:
        found = re.compile(rf'"{re.escape(key)}"\s*:').search(text, at)
        if found is None:
            break
        at = found.end()
        span = Span(found.start(), found.start() + len(key) + 2)
    return span


def _pairs(value: object, *path: str) -> Pairs:
    # Objects come as lists of pairs; JSON's own lists hold no tuples.
    if isinstance(value, list) and all(isinstance(one, tuple) for one in value):
        return value
    raise _Unfit(f"`{path[-1] if path else 'the file'}` must be an object", *path)


def _whole(value: object, low: int, high: int, *path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise _Unfit(f"`{path[-1]}` must be a whole number in {low}..{high}", *path)
    return value


def _text(value: object, *path: str) -> str:
    if not isinstance(value, str):
        raise _Unfit(f"`{path[-1]}` must be text", *path)
    return value


def _time(value: object, *path: str) -> int:
    """Microseconds, as nanoseconds."""
    return UNITS["us"] * _whole(value, 0, MAX_TIME // UNITS["us"], *path)


class _Reader:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.names: dict[str, str] = {}
        self.channels: dict[str, Channel] = {}
        self.forked: set[str] = set()
        self.timers: dict[str, str] = {}

    def workload(self, data: object) -> Workload:
        top = dict(_pairs(data))
        for key in top:
            if key not in ("tasks", "global", "resources"):
                raise _Unfit(f"`{key[:40]}` has no counterpart", key)
        tasks = _pairs(top.get("tasks", []), "tasks")
        if not tasks:
            raise _Unfit("the file has no `tasks`")
        self.names = {}
        for key, _ in tasks:
            if key in self.names:
                raise _Unfit(f"two tasks are called `{key[:40]}`", "tasks", key)
            self.names[key] = self._name(key)
        groups: dict[str, Group] = {}
        for key, value in tasks:
            group = self._group(key, _pairs(value, "tasks", key))
            groups[group.name] = group
        groups |= self._forked_groups(groups)
        return self._whole(top.get("global", []), groups)

    def _whole(self, general: object, groups: dict[str, Group]) -> Workload:
        values = dict(_pairs(general, "global"))
        if values.get("default_policy", "SCHED_OTHER") != "SCHED_OTHER":
            raise _Unfit("only SCHED_OTHER has a counterpart", "global", "default_policy")
        seconds = _whole(values.get("duration", -1), -1, 3600, "global", "duration")
        endless = any(group.loop is None for group in groups.values())
        if seconds <= 0 and not endless:
            groups = {name: replace(group, role="job") for name, group in groups.items()}
            return self._made(groups, {}, ("makespan", "mean_completion"))
        length = seconds * UNITS["s"] if seconds > 0 else ENDLESS
        duration = Param("duration", "time", length, 1, MAX_TIME, (), "measured time")
        return self._made(groups, {"duration": duration}, ())

    def _made(
        self, groups: dict[str, Group], params: dict[str, Param], metrics: tuple[str, ...]
    ) -> Workload:
        phases = [phase for group in groups.values() for phase in group.phases]
        if any(isinstance(one, Sleep | Wait) for one in phases):
            metrics = ("wakeup_p50", "wakeup_p99", "wakeup_p999", *metrics)
        self._check(groups)
        name = self.source.name.rpartition("/")[2].partition(".")[0] or "rtapp"
        return Workload(
            name, f"{name}, from rt-app's JSON", params, (*metrics, "throughput"), self.channels,
            groups, (), 300 * UNITS["s"],
        )

    def _check(self, groups: dict[str, Group]) -> None:
        phases = [phase for group in groups.values() for phase in group.phases]
        woken = {phase.channel for phase in phases if isinstance(phase, Wake)}
        for group in groups.values():
            for phase in group.phases:
                match phase:
                    case Wait(channel=channel) if channel not in woken:
                        what = channel.partition("_")[2]
                        raise _Unfit(f"nothing wakes those who wait for `{what}`", "tasks")
                    case Barrier(name=name) if group.start == "forked":
                        raise _Unfit(f"a forked task can't come to the barrier `{name}`", "tasks")
                    case _:
                        pass

    def _name(self, key: str) -> str:
        """A name as ours are, unlike any other."""
        base = _BAD_NAME.sub("_", key.lower())[:22]
        base = base if base[:1].isalpha() else f"t{base}"
        base = f"{base}_t" if base.endswith("_forked") else base
        name, number = base, 1
        while name in self.names.values():
            number += 1
            name = f"{base}_{number}"
        return name

    def _group(self, key: str, pairs: Pairs) -> Group:
        path = ("tasks", key)
        values = dict(pairs)
        loop = _whole(values.get("loop", -1), -1, 10**9, *path, "loop")
        if "phases" in values:
            parts = [
                (name, _pairs(value, *path, "phases", name))
                for name, value in _pairs(values["phases"], *path, "phases")
            ]
            own = [pair for pair in pairs if pair[0] in _PROPERTIES]
            if len(own) != len(pairs):
                stray = next(name for name, _ in pairs if name not in _PROPERTIES)
                raise self._no_counterpart(stray, *path)
            phases, loop = self._phases(key, parts, loop)
        else:
            phases = self._events(key, pairs, *path)
        if not phases:
            raise _Unfit(f"the task `{key[:40]}` does nothing", *path)
        comm = "".join(c for c in key if c.isascii() and c.isprintable())[:15] or "task"
        return Group(
            self.names[key], _whole(values.get("instance", 1), 0, 10**6, *path, "instance"), "",
            comm, self._nice(values, *path), self._cgroup(values, *path),
            self._cpus(key, values, *path), "begin", None if loop < 0 else loop,
            (*phases, Count("throughput")),
            delay=_time(values.get("delay", 0), *path, "delay"),
        )

    def _phases(
        self, key: str, parts: list[tuple[str, Pairs]], loop: int
    ) -> tuple[list[Phase], int]:
        """All phases in a row, and how often all of them."""
        result: list[Phase] = []
        for name, pairs in parts:
            path = ("tasks", key, "phases", name)
            values = dict(pairs)
            for own in ("cpus", "priority", "policy", "taskgroup"):
                if own in values:
                    raise _Unfit(f"`{own}` of a single phase has no counterpart", *path, own,
                                 help="set it for the task")
            events = self._events(key, pairs, *path)
            times = _whole(values.get("loop", 1), -1, 10**9, *path, "loop")
            if len(parts) == 1:
                endless = loop < 0 or times < 0
                return events, -1 if endless else min(loop * times, 10**9)
            if times < 0 or len(result) + times * len(events) > MAX_PHASES:
                raise _Unfit(f"the loop of this phase is too long (beside others, {MAX_PHASES} "
                             "events in all)", *path, "loop")
            result += events * times
        return result, loop

    def _events(self, key: str, pairs: Pairs, *path: str) -> list[Phase]:
        phases: list[Phase] = []
        for name, value in pairs:
            if name in _PROPERTIES:
                continue
            match = _EVENT.fullmatch(name)
            if match is None:
                raise self._no_counterpart(name, *path)
            phases += _MAKE[match[1]](self, key, value, (*path, name))
        return phases

    def _no_counterpart(self, name: str, *path: str) -> _Unfit:
        # `runtime` ends at a time of the clock, whether the task had the cpu or not.
        help = "use `run`" if name.startswith("runtime") else f"known: {', '.join(_EVENTS)}"
        return _Unfit(f"`{name[:40]}` has no counterpart", *path, name, help=help)

    def _nice(self, values: dict[str, Any], *path: str) -> int:
        if values.get("policy", "SCHED_OTHER") != "SCHED_OTHER":
            raise _Unfit("only SCHED_OTHER has a counterpart", *path, "policy")
        return _whole(values.get("priority", 0), -20, 19, *path, "priority")

    def _cgroup(self, values: dict[str, Any], *path: str) -> str:
        group = _text(values.get("taskgroup", ""), *path, "taskgroup") or "/"
        if not re.fullmatch(r"(/[A-Za-z0-9_\-]{1,64})+|/", group):
            raise _Unfit("`taskgroup` must be a path such as /apps", *path, "taskgroup")
        return group

    def _cpus(self, key: str, values: dict[str, Any], *path: str) -> Any:
        cpus = values.get("cpus")
        if cpus is None:
            return "any"
        if not isinstance(cpus, list) or not cpus:
            raise _Unfit("`cpus` must be a list of cpus", *path, "cpus")
        return tuple(sorted({_whole(cpu, 0, 511, *path, "cpus") for cpu in cpus}))

    # --- events ---------------------------------------------------------------------------------

    def _channel(self, kind: str, name: str) -> str:
        channel = kind + _BAD_NAME.sub("_", name.lower())[:26]
        self.channels.setdefault(channel, Channel(channel, "", 0, keep=False))
        return channel

    def _timer(self, key: str, value: object, path: tuple[str, ...]) -> list[Phase]:
        values = dict(_pairs(value, *path))
        ref = _text(values.get("ref", ""), *path, "ref")
        mode = values.get("mode", "relative")
        if mode not in ("relative", "absolute"):
            raise _Unfit("`mode` must be relative or absolute", *path, "mode")
        if not ref.startswith("unique") and self.timers.setdefault(ref, key) != key:
            raise _Unfit(f"the timer `{ref[:40]}` belongs to two tasks", *path, "ref",
                         help='begin its name with "unique": each task then has its own')
        mine = self.timers.setdefault(f"of {key}", ref)
        if mine != ref:
            raise _Unfit("a task can have one timer", *path, "ref", help=f"use `{mine}`")
        period = Fixed(_time(values.get("period"), *path, "period"))
        return [Sleep(period, True, "wakeup", mode == "relative")]

    def _wait(self, key: str, value: object, path: tuple[str, ...]) -> list[Phase]:
        values = dict(_pairs(value, *path))
        channel = self._channel("c_", _text(values.get("ref"), *path, "ref"))
        mutex = _lock(_text(values.get("mutex"), *path, "mutex"))
        return [Wait(channel, 1, "wakeup", mutex), Lock(mutex)]

    def _sync(self, key: str, value: object, path: tuple[str, ...]) -> list[Phase]:
        # rt-app's own text has the mutex taken here; its code leaves that to `lock` and `unlock`.
        ref = _text(dict(_pairs(value, *path)).get("ref"), *path, "ref")
        return [Wake(self._channel("c_", ref), 1, "now"), *self._wait(key, value, path)]

    def _suspend(self, key: str, value: object, path: tuple[str, ...]) -> list[Phase]:
        name = _text(value, *path) or key
        return [Wait(self._channel("s_", name), 1, "wakeup")]

    def _resume(self, key: str, value: object, path: tuple[str, ...]) -> list[Phase]:
        return [Wake(self._channel("s_", _text(value, *path)), "all", "now")]

    def _fork(self, key: str, value: object, path: tuple[str, ...]) -> list[Phase]:
        name = _text(value, *path)
        if name not in self.names:
            raise _Unfit(f"no task is called `{name[:40]}`", *path)
        self.forked.add(name)
        return [Fork(f"{self.names[name]}_forked", 1)]

    def _forked_groups(self, groups: dict[str, Group]) -> dict[str, Group]:
        """A second group of each task that is forked: the first is there from the beginning."""
        return {
            (name := f"{self.names[key]}_forked"): replace(
                groups[self.names[key]], name=name, count=1, start="forked"
            )
            for key in sorted(self.forked)
        }


def _lock(name: str) -> str:
    return "m_" + _BAD_NAME.sub("_", name.lower())[:26]




_Maker = Callable[[_Reader, str, Any, tuple[str, ...]], list[Phase]]

_MAKE: dict[str, _Maker] = {
    "run": lambda r, k, v, p: [Run(Fixed(_time(v, *p)))],
    "sleep": lambda r, k, v, p: [Sleep(Fixed(_time(v, *p)), False, "wakeup")],
    "timer": _Reader._timer,
    "lock": lambda r, k, v, p: [Lock(_lock(_text(v, *p)))],
    "unlock": lambda r, k, v, p: [Unlock(_lock(_text(v, *p)))],
    "wait": _Reader._wait,
    "signal": lambda r, k, v, p: [Wake(r._channel("c_", _text(v, *p)), 1, "now")],
    "broad": lambda r, k, v, p: [Wake(r._channel("c_", _text(v, *p)), "all", "now")],
    "sync": _Reader._sync,
    "barrier": lambda r, k, v, p: [Barrier("b_" + _BAD_NAME.sub("_", _text(v, *p).lower())[:26])],
    "suspend": _Reader._suspend,
    "resume": _Reader._resume,
    "yield": lambda r, k, v, p: [Yield()],
    "fork": _Reader._fork,
}
