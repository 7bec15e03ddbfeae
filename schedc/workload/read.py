"""Workload files: TOML text to a typed `Workload`, with E12xx diagnostics.

Input: a `Source`. Output: a workload (None if anything is wrong) and all diagnostics. Invariant:
a workload that is returned is complete and consistent, as `model` says; nothing is ignored: a key
that the reader doesn't know is an error.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

from schedc.diagnostics.model import Diagnostic, error
from schedc.source import Source, Span
from schedc.workload import locate
from schedc.workload.check import SUPPLIED, check_references
from schedc.workload.metrics import METRICS
from schedc.workload.model import (
    Arg,
    Channel,
    Command,
    Group,
    Param,
    ParamKind,
    Setting,
    Workload,
)
from schedc.workload.phases import number, read_phase
from schedc.workload.quantity import MAX_TIME, parse_percent, parse_time
from schedc.workload.table import MAX_COUNT, Findings, Table, constant, near

FORMAT = 1
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_PROGRAM = re.compile(r"[a-z][a-z0-9_\-]{0,31}")
_PLACE = re.compile(r"\(at line (\d+), column (\d+)\)")


def read_workload(source: Source) -> tuple[Workload | None, tuple[Diagnostic, ...]]:
    """The workload that a file describes, or None with the reasons."""
    try:
        data: dict[str, Any] = tomllib.loads(source.text)
    except tomllib.TOMLDecodeError as failure:
        return None, (_not_toml(source, str(failure)),)
    except RecursionError:
        return None, (error("E1201", "the file is nested too deeply", None),)
    findings = Findings(locate.scan(source))
    top = Table(data, (), findings)
    workload = _workload(top)
    top.done()
    if not findings.found:
        check_references(workload, findings)
    found = tuple(findings.found)
    return (None if found else workload), found


def _not_toml(source: Source, message: str) -> Diagnostic:
    place = _PLACE.search(message)
    at = source.offset(int(place[1]), int(place[2])) if place else len(source.text)
    text = _PLACE.sub("", message).strip()
    text = text[:1].lower() + text[1:]
    return error("E1201", "the file is not TOML", Span(at, at + 1), label=text)


def _workload(top: Table) -> Workload:
    top.integer("format", None, FORMAT, FORMAT)
    name = top.text("name", example='"wakeup"')
    if not _NAME.fullmatch(name):
        top.fail("E1204", f'"{name[:40]}" is no name for a workload', "name",
                 help="a small letter, then small letters, digits and _, at most 32 in all")
    limit = constant(top.raw("limit") or "60s")
    if limit is None or not 0 < limit <= MAX_TIME:
        top.wrong("limit", 'a time such as "60s"')
        limit = MAX_TIME
    params = {key: _param(table, key) for key, table in _named(top, "params").items()}
    channels = {key: _channel(table, key) for key, table in _named(top, "channels").items()}
    groups = {key: _group(table, key) for key, table in _named(top, "groups").items()}
    commands = tuple(_command(table) for table in top.tables("command"))
    if not groups:
        top.missing("groups", "a table [groups.NAME] for each kind of task")
    return Workload(
        name, top.text("description", example='"one line"'), params, _metrics(top), channels,
        groups, commands, limit,
    )


def _named(top: Table, key: str) -> dict[str, Table]:
    """The sub-tables of a table whose keys are names."""
    outer = top.table(key)
    result = {}
    for name in outer.data:
        table = outer.table(name)
        if not _NAME.fullmatch(name):
            outer.fail("E1204", f"`{name[:40]}` is no name", name,
                       help="a small letter, then small letters, digits and _, at most 32 in all")
        result[name] = table
    return result


def _metrics(top: Table) -> tuple[str, ...]:
    names = top.strings("metrics")
    if not names:
        top.missing("metrics", 'metrics = ["wakeup_p50", "throughput"]')
    for name in names:
        if name not in METRICS:
            top.fail("E1206", f"no metric is called `{name[:40]}`", "metrics",
                     help=near(name, METRICS))
    if len(set(names)) != len(names):
        top.fail("E1207", "a metric is listed twice", "metrics")
    return names


def _param(table: Table, name: str) -> Param:
    default = table.raw("default")
    choices = table.strings("choices")
    kind, value = _default(table, default, choices)
    low, high = _bound(table, "min", kind, 0), _bound(table, "max", kind, MAX_COUNT)
    if kind == "time" and not table.has("max"):
        high = MAX_TIME
    if low > high:
        table.fail("E1205", f"the range of `{name}` is empty", "min", help="swap `min` and `max`")
    elif isinstance(value, int) and not low <= value <= high:
        table.fail("E1205", f"the default of `{name}` is outside its range", "default")
    doc = table.text("doc", example='"what it does"')
    if name in SUPPLIED:
        table.findings.report("E1207", f"`{name}` is a name that schedc supplies", table.path)
    table.done()
    return Param(name, kind, value, low, high, choices, doc)


def _default(
    table: Table, default: object, choices: tuple[str, ...]
) -> tuple[ParamKind, Setting]:
    """The kind of a parameter follows from how its default is written."""
    if default is None:
        table.missing("default", "default = 4, or a time such as \"1ms\"")
    elif choices:
        if default in choices and isinstance(default, str):
            return "choice", default
        table.fail("E1204", "the default is none of the choices", "default",
                   help=near(str(default), choices))
    elif isinstance(default, str) and parse_percent(default) is not None:
        return "percent", parse_percent(default) or 0
    elif isinstance(default, str) and parse_time(default) is not None:
        return "time", parse_time(default) or 0
    elif isinstance(default, int) and not isinstance(default, bool):
        return "count", default
    else:
        table.wrong("default", 'a whole number, a time such as "1500us" or a share such as "30%"')
    return "count", 0


def _bound(table: Table, key: str, kind: ParamKind, default: int) -> int:
    value = table.raw(key)
    if value is None:
        return default
    parsed: int | None = None
    match kind:
        case "count":
            ok = isinstance(value, int) and not isinstance(value, bool)
            parsed = value if ok and abs(value) <= MAX_COUNT else None
        case "time":
            parsed = parse_time(value) if isinstance(value, str) else None
        case "percent":
            parsed = parse_percent(value) if isinstance(value, str) else None
        case "choice":
            table.fail("E1204", f"a choice has no `{key}`", key, help="delete it")
            return default
    if parsed is None or parsed > MAX_TIME:
        table.wrong(key, f"written like the default: a {kind}")
        return default
    return parsed


def _channel(table: Table, name: str) -> Channel:
    per = table.text("per", "")
    table.done()
    return Channel(name, per)


def _group(table: Table, name: str) -> Group:
    count = number(table, "count", 1)
    per = table.text("per", "")
    comm = table.text("comm", name[:15])
    if not comm or len(comm.encode("utf-8", "replace")) > 15 or not comm.isprintable():
        table.fail("E1204", "`comm` must be 1 to 15 printable bytes", "comm")
    nice = table.integer("nice", 0, -20, 19)
    cgroup = table.text("cgroup", "/")
    if not re.fullmatch(r"(/[A-Za-z0-9_.\-]{1,64})+|/", cgroup) or "/.." in cgroup:
        table.fail("E1204", "`cgroup` must be a path such as \"/apps/web\"", "cgroup")
    affinity = table.choice("affinity", ("any", "own"), "any")
    if affinity == "own" and per != "cpu":
        table.fail("E1204", "only a group that is `per = \"cpu\"` has cpus of its own", "affinity",
                   help='write per = "cpu", or affinity = "any"')
    start = table.choice("start", ("begin", "forked"), "begin")
    forever = table.raw("loop") == "forever"
    loop = None if forever else number(table, "loop", 1)
    phases = tuple(read_phase(phase) for phase in table.tables("phases"))
    if not phases:
        table.missing("phases", 'phases = [ { do = "run", time = "1ms" } ]')
    table.done()
    return Group(
        name, count, per, comm, nice, cgroup, "own" if affinity == "own" else "any",
        "forked" if start == "forked" else "begin", loop, tuple(one for one in phases if one),
    )


def _command(table: Table) -> Command:
    program = table.text("program", example='"wl-wakeup"')
    if not _PROGRAM.fullmatch(program):
        table.fail("E1204", "`program` must be the bare name of a program", "program")
    args = []
    for text in table.strings("args"):
        args.append(Arg(text))
    optional = table.table("optional")
    for param in optional.data:
        args += [Arg(text, param) for text in optional.strings(param)]
    command = Command(
        program, tuple(args), table.text("parser", ""), table.boolean("spin_rate", False)
    )
    table.done()
    return command
