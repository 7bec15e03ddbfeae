"""A refutation for people: who takes part, a table of time and cpus, what repeats, what to edit.

Input: a run as JSON values, the policy, its source. Output: plain text, at most 100 columns wide,
the same in every run. Invariant: nothing is said that the machine did not do; a first-time reader
needs no other page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from textwrap import wrap
from typing import Any

from schedc.ir import nodes as ir
from schedc.refute.blame import above
from schedc.refute.retell import EDGE, Place, Retold, Row, Scene, retell
from schedc.refute.words import duration, milliseconds, offset, plural
from schedc.source import Source, Span

_WIDTH = 100
_MOST_WAITING = 2
_DOES = {
    "slice": "uses up its slices",
    "sleep": "sleeps after each stint, and is woken",
    "exit": "forks a child and exits, each time",
    "yield": "yields after each stint",
    "rename": "changes its name",
}


def tell(run: Mapping[str, Any], policy: ir.Policy, source: Source, *, alone: bool = True) -> str:
    """See the module. Not `alone`, below a diagnostic that has them: no blame and no help."""
    told = retell(run, policy)
    lines = [
        _headline(run),
        "",
        *_cast(run, told),
        "",
        *_table(run, policy, source, told),
        "",
        *wrap(" ".join(_moral(run, policy, told)), _WIDTH),
        "",
        *(_blame(run, source) if alone else ()),
        *(_help(run, source) if alone else ()),
        f"replay: schedc prove {source.name} --run run.json",
        f"        schedc prove {source.name} --replay run.json",
    ]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _headline(run: Mapping[str, Any]) -> str:
    cls, count = run["victim_class"], _contenders(run)
    machine = plural(len(run["topology"]["llc_of"]), "cpu")
    if run["wait_ns"] is None:
        shown = f"{plural(count, 'task')} on {machine} show it"
        return f"a task of class `{cls}` can wait for ever: {shown}"
    wait, promise = duration(run["wait_ns"]), duration(run["promise_ns"])
    if wait == promise:
        wait = f"{run['wait_ns'] / 1e9:.6g} s"
    return (
        f"a task of class `{cls}` can wait {wait}, longer than {promise}: "
        f"{plural(count, 'task')} on {machine} show it"
    )


def _contenders(run: Mapping[str, Any]) -> int:
    """Tasks that take part; a parent and its child count once."""
    forks = (s["task"] for b in run["blocks"] for s in b["steps"] if s["do"] == "fork")
    return len({name.rstrip("'") for name in forks})


# --- who takes part ------------------------------------------------------------------------------


def _cast(run: Mapping[str, Any], told: Retold) -> Iterator[str]:
    """Tasks that are alike are one line."""
    rows: dict[tuple[str, str, bool], list[str]] = {}
    for block in run["blocks"]:
        for step in block["steps"]:
            if step["do"] != "fork" or step["task"].endswith("'"):
                continue
            name = step["task"]
            about = _about(run["profiles"][step["profile"]])
            names = rows.setdefault((told.classes.get(name, ""), about, name == run["victim"]), [])
            if name not in names:
                names.append(name)
    cells = [
        (_several(names), f"class {cls}", about, "waits" if waits else _does(names, told))
        for (cls, about, waits), names in rows.items()
    ]
    widths = [max(len(row[column]) for row in cells) for column in range(3)]
    for *row, does in sorted(cells, key=lambda row: row[3] == "waits"):
        known = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"  {known}  {does}"


def _several(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{names[0]} .. {names[-1]} ({len(names)})"


def _about(profile: Mapping[str, Any]) -> str:
    words = [f"nice {profile['nice']}, weight {profile['weight']}"]
    if profile["kthread"]:
        words.append("kernel thread")
    if profile["allowed"]:
        words.append(f"cpu {', '.join(map(str, profile['allowed']))} only")
    if profile["comm"] != "task":
        words.append(f'"{profile["comm"]}"')
    return ", ".join(words)


def _does(names: list[str], told: Retold) -> str:
    acts = dict.fromkeys(act for name in names for act in told.behaviour.get(name, ()))
    return "; ".join(_DOES[act] for act in acts if act in _DOES) or "runs"


# --- the table -----------------------------------------------------------------------------------


def _table(
    run: Mapping[str, Any], policy: ir.Policy, source: Source, told: Retold
) -> Iterator[str]:
    """The columns are as wide as they must be; the last one is cut."""
    cpus = [f"cpu {cpu}" for cpu in range(len(run["topology"]["llc_of"]))]
    rows: list[tuple[str, ...]] = [("step", "ms", *cpus, "what happens", "who waits, in order")]
    notes: dict[int, str] = {}
    for scene in told.scenes:
        for row in _shown(scene):
            rows.append(
                _cells(row, policy, source, run["victim"])
                if row
                else ("…", "", *("" for _ in cpus), "", "")
            )
        if scene.times != 1:
            notes[len(rows) - 1] = _repeats(scene, run)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for number, cells in enumerate(rows):
        step, ms, *rest = (cell.ljust(width) for cell, width in zip(cells, widths, strict=False))
        line = f"{step.strip():>{widths[0]}} {ms.strip():>{widths[1]}}  {'  '.join(rest)}"
        yield _cut(f"  {line}  {cells[-1]}", _WIDTH)
        if number in notes:
            yield f"  {'':>{widths[0]}} {'':>{widths[1]}}  ^ {notes[number]}"


def _shown(scene: Scene) -> list[Row | None]:
    """The rows of a scene; None for those in the middle of many."""
    rows = scene.rows
    return [*rows] if len(rows) <= 2 * EDGE else [*rows[:EDGE], None, *rows[-EDGE:]]


def _cells(row: Row, policy: ir.Policy, source: Source, victim: str) -> tuple[str, ...]:
    runs = tuple(name or "-" for name in row.runs)
    what = _happens(row, policy, source)
    return str(row.number), milliseconds(row.at_ns), *runs, what, _waiting(row.waiting, victim)


def _repeats(scene: Scene, run: Mapping[str, Any]) -> str:
    first, last = scene.rows[0].number, scene.rows[-1].number
    if scene.times is None:
        steps = f"step {first} repeats" if first == last else f"steps {first} to {last} repeat"
        return f"{steps} for ever"
    which = f"step {first}" if first == last else f"steps {first} to {last}"
    text = f"{which}: {scene.times} times, {duration(scene.turn_ns * scene.times)}"
    if scene.waiting and scene.nearer_ns > 0:
        per_turn = scene.nearer_ns // max(1, scene.times - 1)
        text += f"; each turn brings `{run['victim']}` {duration(per_turn)} nearer"
    return text


def _happens(row: Row, policy: ir.Policy, source: Source) -> str:
    step, name = row.step, row.step["task"]
    match step["do"]:
        case "fork":
            return f"{name} is forked{_got_cpu(row, name)}"
        case "wake":
            return f"{name} wakes{_got_cpu(row, name)}"
        case "pass":
            return "time passes"
        case "rename":
            return f"{name} calls itself {step['how']}"
    ends = {"slice": f"{name}'s slice is over", "sleep": f"{name} sleeps", "exit": f"{name} exits"}
    return ends.get(step["how"], f"{name} {step['how']}s") + _next(row, policy, source)


def _got_cpu(row: Row, name: str) -> str:
    return ", and runs at once" if name in row.runs else ""


def _next(row: Row, policy: ir.Policy, source: Source) -> str:
    """Who runs next, and which line says so."""
    cpu = row.step["cpu"]
    chosen = row.runs[cpu]
    if not chosen:
        return f"; cpu {cpu} is idle"
    for event in reversed(row.events):
        if event.kind in ("pick", "keep") and event.cpu == cpu:
            if event.line < 0:
                return "; nobody else, it goes on"
            again = " again" if chosen == row.step["task"] else ""
            return f"; {_line(policy.dispatch[event.line].span, source)} takes {chosen}{again}"
    return ""


def _line(span: Span, source: Source) -> str:
    if span.file:
        return f"`{span.file}`"
    return f"line {source.position(span.start)[0]}"


def _waiting(places: tuple[Place, ...], victim: str) -> str:
    """Queue by queue; of a keyed one with the keys, less the clock."""
    queues: dict[str, list[str]] = {}
    for place in places:
        key = f" {offset(place.offset)}" if place.offset is not None else ""
        queues.setdefault(place.queue, []).append(f"{place.name}{key}")
    return "; ".join(f"{queue}: {_shortened(names, victim)}" for queue, names in queues.items())


def _shortened(names: list[str], victim: str) -> str:
    """All of two; of more, the victim and how many are before and behind it."""
    if len(names) <= _MOST_WAITING:
        return ", ".join(names)
    at = next((i for i, name in enumerate(names) if name.split()[0] == victim), None)
    if at is None:
        return f"{names[0]}, {len(names) - 1} more"
    behind = len(names) - 1 - at
    return f"{at} ahead, {names[at]}" + (f", {behind} behind" if behind else "")


# --- what it means -------------------------------------------------------------------------------


def _moral(run: Mapping[str, Any], policy: ir.Policy, told: Retold) -> Iterator[str]:
    victim, promise = run["victim"], run["promise_ns"]
    limit = (
        "the kernel ends a scheduler that lets a task wait for 30 s"
        if promise == 30_000_000_000
        else f"the promise is {duration(promise)}"
    )
    match run["kind"]:
        case "lasso":
            yield "After each turn everything is as it was before it: the same tasks, in the same"
            yield f"order. `{victim}` is no nearer, and can wait for ever; {limit}."
        case "drift":
            wait = duration(run["wait_ns"])
            if above(policy, told):
                yield f"Others are served all the time, and after {wait} `{victim}` still waits;"
                yield f"{limit}."
                return
            yield f"`{victim}` does come nearer, but after {wait} it still waits; {limit}."
        case _:
            ahead, wait = _contenders(run) - 1, duration(run["wait_ns"])
            yield f"{plural(ahead, 'task')} are ahead of `{victim}`, and each runs before it does."
            yield f"After {wait} it still waits; {limit}."
    if any(place.offset is not None for scene in told.scenes for row in scene.rows
           for place in row.waiting):  # fmt: skip
        yield "(Behind a name: its key, less the clock of its queue; the lowest runs first.)"


def _blame(run: Mapping[str, Any], source: Source) -> Iterator[str]:
    if not run["blame"]:
        return
    yield "to blame:"
    for one in run["blame"]:
        span = Span(*one["span"])
        if span.file:
            yield f"  in {span.file}: {one['note']}"
            continue
        number = source.position(span.start)[0]
        text = " ".join(source.text[span.start : span.end].split())
        yield _cut(f"  line {number:>3}:  {_cut(text, 38):<38}  {one['note']}", _WIDTH)
    yield ""


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _help(run: Mapping[str, Any], source: Source) -> Iterator[str]:
    for one in run["help"]:
        places = [Span(*edit["span"]) for edit in one["edits"]]
        numbers = sorted({source.position(span.start)[0] for span in places if not span.file})
        where = f"line {' and '.join(map(str, numbers))}: " if numbers else ""
        text = f"help: {where}{one['text']}"
        yield from wrap(text, _WIDTH, subsequent_indent="      ")
        yield f"      ({_outcome(one)})"


def _outcome(one: Mapping[str, Any]) -> str:
    if not one["proves"]:
        return "this alone does not prove"
    if one["bound_ns"] is None:
        return "then it proves"
    return f"then it proves: nobody waits longer than {duration(one['bound_ns'])}"
