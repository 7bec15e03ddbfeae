"""A replayed refutation for people: a table of time, cpus, what is done, who waits with which key.

Input: a `Replayed`, the policy's queues and orders, names for the files. Output: plain text, or
plain values for JSON. Invariant: everything in the table is what the generated C did.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from schedc.ir.nodes import Policy
from schedc.refute.words import duration, milliseconds, plural
from schedc.sim.replay import Block, Replayed
from schedc.sim.script import Queue, State

_WIDTH = 100
_EDGE = 7
_MOST_WAITING = 4
_MOST_CPUS = 4
_HOW = {
    "slice": "slice is over", "sleep": "sleeps", "yield": "yields", "exit": "exits",
    "preempted_by_rt": "loses the cpu to a higher class",
}  # fmt: skip


def told(replayed: Replayed, policy: Policy, name: str) -> str:
    """See the module. `name`: the run's file."""
    rows: list[tuple[str, ...] | str] = [_header(replayed)]
    for block in _blocks(replayed):
        rows += block
    lines = [f"{name}: {_what(replayed)}, by the generated C of `{policy.name}`", ""]
    lines += _laid_out(rows)
    lines += ["", *_verdict(replayed)]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def as_json(replayed: Replayed) -> dict[str, Any]:
    """Plain values."""
    played = replayed.played
    return {
        "policy": replayed.run["policy"],
        "confirmed": replayed.confirmed,
        "why_not": replayed.why_not or None,
        "victim": replayed.run["victim"],
        "class": replayed.run["victim_class"],
        "waited_ns": played.waited_ns,
        "promise_ns": replayed.run["promise_ns"],
        "steps": played.steps,
        "turns": played.turns,
        "thrown_out": played.thrown_out or None,
    }


def _what(replayed: Replayed) -> str:
    cpus = plural(len(replayed.run["topology"]["llc_of"]), "cpu")
    return f"{plural(replayed.played.steps, 'step')} on {cpus}"


def _verdict(replayed: Replayed) -> Iterator[str]:
    run, played = replayed.run, replayed.played
    wait, promise = duration(played.waited_ns), duration(run["promise_ns"])
    if wait == promise:
        wait = f"{played.waited_ns / 1e9:.6g} s"
    waited = f"`{run['victim']}` waited {wait}, the promise was {promise}"
    if not replayed.confirmed:
        yield f"not confirmed: {replayed.why_not}"
        return
    if played.turns:
        waited += f", after {plural(played.turns, 'turn')}"
    yield f"{waited}: confirmed by the generated C"
    if replayed.ejected:
        yield f"the kernel would have ended the scheduler: {played.thrown_out}"


# --- the table ------------------------------------------------------------------------------------


def _header(replayed: Replayed) -> tuple[str, ...]:
    cpus = range(len(replayed.run["topology"]["llc_of"]))[:_MOST_CPUS]
    return ("step", "ms", *(f"cpu {cpu}" for cpu in cpus), "what is done", "who waits, key in ms")


def _blocks(replayed: Replayed) -> Iterator[list[tuple[str, ...] | str]]:
    """The first turn of each block, and how often it was done."""
    first = 0
    last = replayed.played.states[-1] if replayed.played.difference else None
    for block in replayed.blocks:
        steps = range(first, first + len(block.steps))
        first = steps.stop
        states = [s for s in replayed.played.states if s.step in steps and s.turn == 0]
        rows: list[tuple[str, ...] | str] = [_row(replayed, state) for state in states]
        if len(rows) > 2 * _EDGE:
            rows = [*rows[:_EDGE], "…", *rows[-_EDGE:]]
        if last is not None and last.step in steps and last.turn:
            rows += [f"… turn {last.turn + 1}", _row(replayed, last)]
        if rows and block.times != 1:
            rows.append(_repeats(replayed, block))
        yield rows


def _repeats(replayed: Replayed, block: Block) -> str:
    these = "this step" if len(block.steps) == 1 else f"these {len(block.steps)} steps"
    if block.times is None:
        return f"^ {these}, {plural(max(replayed.played.turns, 1), 'time')}, and so on for ever"
    return f"^ {these}, {plural(block.times, 'time')}"


def _row(replayed: Replayed, state: State) -> tuple[str, ...]:
    step = [step for block in replayed.blocks for step in block.steps][state.step]
    runs = [replayed.names[one[0]] if one else "-" for one in state.runs[:_MOST_CPUS]]
    return (
        str(state.step + 1), milliseconds(state.at_ns), *runs, _does(step),
        _waiting(replayed, state.queues),
    )  # fmt: skip


def _does(step: Mapping[str, Any]) -> str:
    match step["do"]:
        case "fork":
            return f"{step['task']} is forked"
        case "wake":
            return f"{step['task']} is woken"
        case "end":
            return f"{step['task']}'s slice is over" if step["how"] == "slice" else (
                f"{step['task']} {_HOW[step['how']]}"
            )
        case "rename":
            return f'{step["task"]} is now "{step["how"]}"'
    return "time passes"


def _waiting(replayed: Replayed, queues: tuple[Queue, ...]) -> str:
    return "; ".join(_queue(replayed, queue) for queue in queues)


def _queue(replayed: Replayed, queue: Queue) -> str:
    keyed = queue.number >= 0 and any(one.key for one in queue.waiting)
    tasks = [
        replayed.names[one.task] + (f" {milliseconds(one.key)}" if keyed else "")
        for one in queue.waiting
    ]
    if len(tasks) > _MOST_WAITING:
        victim = [i for i, one in enumerate(queue.waiting)
                  if replayed.names[one.task] == replayed.run["victim"]]  # fmt: skip
        shown = [*range(_MOST_WAITING - 1), *(i for i in victim if i >= _MOST_WAITING - 1)]
        more = len(tasks) - len(shown)
        tasks = [tasks[i] for i in shown] + ([f"{more} more"] if more else [])
    return f"{_queue_name(replayed, queue)}: {', '.join(tasks)}"


def _queue_name(replayed: Replayed, queue: Queue) -> str:
    if queue.number == -1:
        return f"local {queue.domain}"
    if queue.number == -2:
        return "global"
    name = replayed.queues[queue.number] if queue.number < len(replayed.queues) else "?"
    return f"{name}/{queue.domain}" if queue.domain else name


def _laid_out(rows: list[tuple[str, ...] | str]) -> Iterator[str]:
    """Columns as wide as they must be; the last one is cut."""
    cells = [row for row in rows if isinstance(row, tuple)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]) - 1)]
    for row in rows:
        if isinstance(row, str):
            yield f"  {'':>{widths[0]}} {row}"
            continue
        step, ms, *rest = row[:-1]
        middle = "  ".join(cell.ljust(width) for cell, width in zip(rest, widths[2:], strict=True))
        line = f"  {step:>{widths[0]}}  {ms:>{widths[1]}}  {middle}  {row[-1]}"
        yield line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"
