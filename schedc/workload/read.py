"""Workload files: TOML text to a typed `Workload`, with E12xx diagnostics.

Input: a `Source`. Output: a workload (None if anything is wrong) and all diagnostics. Invariant:
a workload that is returned is complete and consistent, as `model` says; nothing is ignored: a key
that the reader doesn't know is an error.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any, Literal

from schedc.diagnostics.model import Diagnostic, error
from schedc.source import Source, Span
from schedc.workload import locate
from schedc.workload.check import SUPPLIED, check_references
from schedc.workload.metrics import METRICS, ROLES
from schedc.workload.model import (
    CPUS,
    Arg,
    Channel,
    Command,
    Group,
    Number,
    Param,
    ParamKind,
    Ref,
    Setting,
    Workload,
)
from schedc.workload.phases import number, read_phase
from schedc.workload.plan import MAX_CPUS
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
    order = top.choice("order", ("file", "drawn"), "file")
    cases = _cases(top, params)
    if not groups:
        top.missing("groups", "a table [groups.NAME] for each kind of task")
    return Workload(
        name, top.text("description", example='"one line"'), params, _metrics(top), channels,
        groups, commands, limit, "drawn" if order == "drawn" else "file",
        cases,
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


def _cases(top: Table, params: dict[str, Param]) -> dict[str, dict[str, Setting]]:
    """Settings by case; the parameter `case` chooses one, the first by default."""
    cases: dict[str, dict[str, Setting]] = {}
    for name, table in _named(top, "cases").items():
        cases[name] = {}
        for key in table.data:
            value, param = table.raw(key), params.get(key)
            if param is None:
                table.fail("E1206", f"no parameter is called `{key[:40]}`", key,
                           help=near(key, params))
            elif (setting := setting_of(param, str(value))) is None:
                table.fail("E1205", f"this is nothing that `{key}` can be", key)
            else:
                cases[name][key] = setting
    if cases and "case" in params:
        top.fail("E1207", "`case` is the parameter that chooses among the cases", "cases")
    elif cases:
        names = tuple(cases)
        params["case"] = Param("case", "choice", names[0], 0, 0, names, "which of the cases")
    return cases


def setting_of(param: Param, text: str) -> Setting | None:
    """What a user wrote for a parameter; None if it can't be that."""
    value: int | None
    match param.kind:
        case "choice":
            return text if text in param.choices else None
        case "time":
            value = parse_time(text)
        case "percent":
            value = parse_percent(text)
        case "count":
            if text == CPUS:
                return text
            value = int(text) if text.lstrip("-").isdecimal() and len(text) <= 12 else None
    return value if value is not None and param.low <= value <= param.high else None


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
    elif default == CPUS or (isinstance(default, int) and not isinstance(default, bool)):
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
    channel = Channel(
        name, table.text("per", ""), number(table, "capacity", 0), table.boolean("keep", True)
    )
    table.done()
    return channel


def _group(table: Table, name: str) -> Group:
    count = number(table, "count", 1)
    per = table.text("per", "")
    comm = _comm(table, name)
    nice = _nice(table)
    cgroup = table.text("cgroup", "/")
    if not re.fullmatch(r"(/[A-Za-z0-9_.\-]{1,64})+|/", cgroup) or "/.." in cgroup:
        table.fail("E1204", "`cgroup` must be a path such as \"/apps/web\"", "cgroup")
    affinity = _affinity(table, per)
    start = table.choice("start", ("begin", "forked"), "begin")
    forever = table.raw("loop") == "forever"
    loop = None if forever else number(table, "loop", 1)
    phases = tuple(read_phase(phase) for phase in table.tables("phases"))
    if not phases:
        table.missing("phases", 'phases = [ { do = "run", time = "1ms" } ]')
    kind = table.choice("task", ("thread", "process", "kernel"), "thread")
    role = table.choice("role", ("", *ROLES), "")
    weight, delay = number(table, "weight", 100), number(table, "delay", 0)
    if isinstance(weight, int) and not 1 <= weight <= 10000:
        table.fail("E1205", f"`weight` is {weight}, outside 1..10000", "weight")
    table.done()
    return Group(
        name, count, per, comm, nice, cgroup, affinity,
        "forked" if start == "forked" else "begin", loop, tuple(one for one in phases if one),
        "process" if kind == "process" else "kernel" if kind == "kernel" else "thread",
        role, weight, delay,
    )


def _comm(table: Table, name: str) -> str | Ref:
    comm = table.text("comm", name[:15])
    if comm.startswith("$"):
        return Ref(comm[1:])
    if not comm or len(comm.encode("utf-8", "replace")) > 15 or not comm.isprintable():
        table.fail("E1204", "`comm` must be 1 to 15 printable bytes", "comm")
    return comm


def _nice(table: Table) -> Number:
    value = table.raw("nice")
    if isinstance(value, str) and value.startswith("$"):
        return Ref(value[1:])
    return table.integer("nice", 0, -20, 19)


def _affinity(table: Table, per: str) -> Literal["any", "own"] | tuple[int, ...]:
    value = table.raw("affinity")
    if isinstance(value, list):
        cpus = tuple(one for one in value if isinstance(one, int) and 0 <= one < MAX_CPUS)
        if not cpus or len(cpus) != len(value):
            table.wrong("affinity", f"a list of cpus in 0..{MAX_CPUS - 1}")
        return tuple(sorted(set(cpus))) or "any"
    if table.choice("affinity", ("any", "own"), "any") == "any":
        return "any"
    if per != "cpu":
        table.fail("E1204", "only a group that is `per = \"cpu\"` has cpus of its own", "affinity",
                   help='write per = "cpu", or affinity = "any"')
    return "own"


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
