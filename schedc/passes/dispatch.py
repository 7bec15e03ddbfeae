"""Structure of `dispatch`: which lines may stand where, and what they leave for those below.

Input: the symbols. Output: E0402, E0407, E0411..E0415, W0408..W0410, W0419. Invariant: if nothing
was reported as an error, every queue in use has a local line, steals come last, and shares of time
leave something for the line below them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from schedc.diagnostics.model import Label
from schedc.passes.report import Report
from schedc.passes.symbols import Symbols
from schedc.passes.walk import line_queues
from schedc.source import Span
from schedc.syntax import tree

STEALABLE = ("cpu", "llc", "node")

Local = tree.Take | tree.Share | tree.Lowest


def check_dispatch(symbols: Symbols, report: Report) -> None:
    """Run every rule about the lines of `dispatch`."""
    if symbols.dispatch is None:
        return
    lines = symbols.dispatch.lines
    for rule in _RULES:
        rule(lines, symbols, report)


def _locals(lines: Sequence[tree.Line]) -> list[Local]:
    return [line for line in lines if isinstance(line, Local)]


def _verb(line: tree.Line) -> Span:
    """The keyword of a line, to point at the line rather than at its queue."""
    word = type(line).__name__
    return Span(line.span.start, line.span.start + len(word), line.span.file)


def _served(lines: Sequence[tree.Line], symbols: Symbols, report: Report) -> None:
    """Every queue in use is taken from; what is taken from is in use."""
    taken = {name.text for line in _locals(lines) for name in line_queues(line)}
    stolen = {line.queue.text for line in lines if isinstance(line, tree.Steal)}
    filled = {rule.queue.text for rule in symbols.rules.values()}
    if any(broken.verb in ("*", "", "take", "share", "lowest", "dispatch", "enqueue")
           for broken in symbols.policy.broken):  # fmt: skip
        return
    complete = symbols.classes.keys() <= symbols.rules.keys()
    for name, queue in symbols.queues.items():
        if name in filled and name not in taken:
            report.add(
                "E0402", f"nothing takes from the queue `{name}`", queue.name.span,
                "only other cpus steal from it" if name in stolen else "its tasks would never run",
                help=f"add `take {name}` to `dispatch`",
            )  # fmt: skip
        elif name in taken and name not in filled and complete and not queue.span.file:
            report.add(
                "W0420", f"no class uses the queue `{name}`", queue.name.span, "always empty",
                help=f"delete it and its lines in `dispatch`, or write `enqueue CLASS to {name}`",
            )  # fmt: skip


def _order(lines: Sequence[tree.Line], symbols: Symbols, report: Report) -> None:
    """Steals come last; a `keep` comes before what it overrides, and only once."""
    steal: tree.Steal | None = None
    keep: tree.Keep | None = None
    for at, line in enumerate(lines):
        if isinstance(line, tree.Steal):
            steal = steal or line
            continue
        if steal is not None:
            keeps = isinstance(line, tree.Keep)
            report.add(
                "E0411", "a local line below a `steal`", _verb(line),
                "another cpu's task was taken before this is asked" if keeps
                else "a cpu would serve others' queues before its own",
                secondary=[Label(_verb(steal), "steals begin here")],
                help="move this line above the first `steal`",
            )  # fmt: skip
        if not isinstance(line, tree.Keep):
            continue
        if keep is not None:
            report.add(
                "E0403", "`keep` is written twice", _verb(line), "again here",
                secondary=[Label(_verb(keep), "first here")], help="keep one of the two",
            )  # fmt: skip
        elif steal is None and not _locals(lines[at:]):
            report.add(
                "W0419", "this `keep` can have no effect", _verb(line),
                "every queue was tried before it",
                help="move it above the `take` that it should override",
            )  # fmt: skip
        keep = keep or line


def _unbounded(lines: Sequence[tree.Line], symbols: Symbols, report: Report) -> None:
    """W0408: a line without a bound lets everything below it starve."""
    local = _locals(lines)
    for at, line in enumerate(local[:-1]):
        if isinstance(line, tree.Take) and (line.at_most is not None or line.after is not None):
            continue
        if isinstance(line, tree.Take) and _cap_of(line, symbols) is not None:
            continue  # a cap is a bound as well
        names = {name.text for name in line_queues(line)}
        below = sorted({q.text for other in local[at + 1 :] for q in line_queues(other)} - names)
        if not below:
            report.add(
                "W0419", "the lines below this one can have no effect", _verb(local[at + 1]),
                "its queue was emptied before",
                secondary=[Label(line.span, "this line has no bound")],
                help="bound the upper line, or delete this one",
            )  # fmt: skip
            continue
        what = ", ".join(f"`{name}`" for name in below)
        report.add(
            "W0408", f"while this line has tasks, nothing below is served: {what} may starve",
            line.span, "no bound", help=_bounded(line), notes=_pinned_note(names, symbols),
        )  # fmt: skip


def _bounded(line: Local) -> str:
    if isinstance(line, tree.Take):
        return f"bound it: `take {line.queue.text} at most 50% every 40ms`"
    if isinstance(line, tree.Share):
        return "move `share` to the end of the local lines"
    return "move `lowest` to the end of the local lines"


def _pinned_note(queues: set[str], symbols: Symbols) -> tuple[str, ...]:
    """Any user may pin tasks, so a class of pinned tasks on top hands the machine to anyone."""
    for rule in symbols.rules.values():
        cls = symbols.classes.get(rule.cls.text)
        if rule.queue.text not in queues or cls is None or cls.when is None:
            continue
        if any(isinstance(one, tree.Fact) and one.name == "pinned" for one in _terms(cls.when)):
            return (f"`pinned` in `class {cls.name.text}` is under any user's control",)
    return ()


def _terms(when: tree.Expr) -> list[tree.Expr]:
    """The parts of a condition that `and`, `or` join."""
    found, stack = [], [when]
    while stack:
        one = stack.pop()
        if isinstance(one, tree.Binary) and one.op in ("and", "or"):
            stack += [one.left, one.right]
        else:
            found.append(one)
    return found


def _needs_pinned(when: tree.Expr | None) -> bool:
    """Whether a condition holds for pinned tasks only: then stealing could move none of them."""
    stack = [when]
    while stack:
        match stack.pop():
            case tree.Fact(name="pinned"):
                return True
            case tree.Binary(op="and", left=left, right=right):
                stack += [left, right]
    return False


def _shares(lines: Sequence[tree.Line], symbols: Symbols, report: Report) -> None:
    """E0407: shares of time above the last line sum to less than 100%."""
    total = 0
    seen: list[tree.Number | tree.Ref] = []
    for line in _locals(lines)[:-1]:
        if not isinstance(line, tree.Take):
            continue
        limit = line.at_most if line.every is not None else _cap_of(line, symbols)
        share = _percent(limit, symbols)
        if share is None or share >= 100:
            continue  # out of range, and reported as that
        total += share
        assert limit is not None
        seen.append(limit)
        if total >= 100:
            report.add(
                "E0407", f"the shares down to here take {total}% of the time", limit.span,
                "nothing is left for the lines below",
                secondary=[Label(one.span, "and this") for one in seen[:-1]],
                help="lower the shares until they sum to less than 100%",
                notes=_tunable_note(seen),
            )  # fmt: skip
            return


def _cap_of(line: tree.Take, symbols: Symbols) -> tree.Number | None:
    """The share that a cap leaves to a line: a capped class has its queue for itself."""
    for name, cap in symbols.caps.items():
        rule = symbols.rules.get(name)
        if rule is not None and rule.queue.text == line.queue.text:
            return cap.share
    return None


def _tunable_note(limits: list[tree.Number | tree.Ref]) -> tuple[str, ...]:
    if any(isinstance(limit, tree.Ref) for limit in limits):
        return ("a tunable counts with the upper end of its range",)
    return ()


def _percent(value: tree.Number | tree.Ref | None, symbols: Symbols) -> int | None:
    """The largest share that a limit can be."""
    if isinstance(value, tree.Number):
        return value.value if value.kind == "percent" else None
    if isinstance(value, tree.Ref) and value.scope == "tune" and value.name in symbols.tunes:
        high = symbols.tunes[value.name].range.high
        return high.value if isinstance(high, tree.Number) and high.kind == "percent" else None
    return None


def _aged(lines: Sequence[tree.Line], symbols: Symbols, report: Report) -> None:
    """E0412: `after` needs a fifo, where the head is the oldest, and a share of time."""
    for line in lines:
        if not isinstance(line, tree.Take) or line.after is None:
            continue
        queue = symbols.queues.get(line.queue.text)
        if queue is not None and queue.order != "fifo":
            report.add(
                "E0412", "`after` on a queue that isn't a fifo", line.queue.span,
                "its head need not be the task that waits longest",
                secondary=[Label(queue.name.span, "declared here")],
                help="delete `after …`, or keep the tasks in a fifo",
            )  # fmt: skip
        if line.every is None:
            share = " at most 10% every 100ms"
            report.add(
                "E0412", "`after` without a share of time", line.after.span,
                "in an overloaded queue every task is old: this line would serve nothing else",
                help=f"add a share: `take {line.queue.text} after …{share}`",
            )  # fmt: skip


def _counts(lines: Sequence[tree.Line], symbols: Symbols, report: Report) -> None:
    """W0410: a count says nothing about time, and a vtime queue below needs time."""
    local = _locals(lines)
    for at, line in enumerate(local):
        if not isinstance(line, tree.Take) or line.at_most is None or line.every is not None:
            continue
        if isinstance(line.at_most, tree.Number) and line.at_most.kind != "int":
            continue  # of the wrong type, and reported as that
        for other in local[at + 1 :]:
            keyed = [
                name.text
                for name in line_queues(other)
                if name.text in symbols.queues and symbols.queues[name.text].order == "vtime"
                and name.text != line.queue.text
            ]  # fmt: skip
            if keyed:
                report.add(
                    "W0410", f"a count above the queue `{keyed[0]}`, which is ordered by vtime",
                    line.at_most.span, "stints of 10us make a count worthless, or endless",
                    help=f"bound served time: `take {line.queue.text} at most 50% every 40ms`",
                )  # fmt: skip
                break


def _steals(lines: Sequence[tree.Line], symbols: Symbols, report: Report) -> None:
    """E0413 for queues without other domains, W0409 for those that are never stolen from."""
    seen: dict[str, tree.Steal] = {}
    for line in lines:
        if not isinstance(line, tree.Steal):
            continue
        queue = symbols.queues.get(line.queue.text)
        first = seen.setdefault(line.queue.text, line)
        if first is not line:
            report.add(
                "E0403", f"`steal {line.queue.text}` is written twice", line.queue.span,
                "again here", secondary=[Label(first.queue.span, "first here")],
                help="keep one of the two",
            )  # fmt: skip
        if queue is not None and queue.domain not in STEALABLE:
            what = "machine-wide" if queue.domain == "machine" else "per cgroup"
            report.add(
                "E0413", f"the queue `{line.queue.text}` is {what}", line.queue.span,
                "every cpu takes from it already",
                secondary=[Label(queue.name.span, "declared here")],
                help="delete this line, or declare the queue `per cpu`, `per llc` or `per node`",
            )  # fmt: skip
    for name, queue in symbols.queues.items():
        if queue.domain in STEALABLE and name not in seen and _takes_unpinned(name, symbols):
            report.add(
                "W0409", f"the queue `{name}` per {queue.domain} is never stolen from",
                queue.name.span, "its tasks wait here while other cpus idle",
                help=f"add `steal {name}` at the end of `dispatch`",
            )  # fmt: skip


def _takes_unpinned(queue: str, symbols: Symbols) -> bool:
    return any(
        not _needs_pinned(symbols.classes[rule.cls.text].when)
        for rule in symbols.rules.values()
        if rule.queue.text == queue and rule.cls.text in symbols.classes
    )


def _lists(lines: Sequence[tree.Line], symbols: Symbols, report: Report) -> None:
    """`share` and `lowest` name each queue once; `lowest` compares keys of one clock."""
    for line in lines:
        if not isinstance(line, tree.Share | tree.Lowest):
            continue
        first: dict[str, tree.Name] = {}
        for name in line_queues(line):
            if first.setdefault(name.text, name) is not name:
                report.add(
                    "E0403", f"the queue `{name.text}` is written twice", name.span, "again here",
                    secondary=[Label(first[name.text].span, "first here")],
                    help="keep one of the two",
                )  # fmt: skip
        if isinstance(line, tree.Lowest):
            _one_clock(line, symbols, report)


def _one_clock(line: tree.Lowest, symbols: Symbols, report: Report) -> None:
    queues = [(name, symbols.queues.get(name.text)) for name in line.queues]
    clocks: list[tuple[str, tree.Name]] = []
    for name, queue in queues:
        if queue is None:
            return
        if queue.order == "fifo":
            report.add(
                "E0415", f"`lowest` of the fifo `{name.text}`", name.span, "it has no keys",
                secondary=[Label(queue.name.span, "declared here")],
                help="use `share`, or declare the queue `by vtime` with a shared `clock`",
            )  # fmt: skip
            return
        # Moments are read off one clock, the machine's.
        own = queue.clock.text if queue.clock is not None else f"of the queue {name.text}"
        clocks.append(("real time" if queue.order == "moment" else own, name))
    for clock, name in clocks[1:]:
        if clock != clocks[0][0]:
            report.add(
                "E0415", f"the queues `{clocks[0][1].text}` and `{name.text}` have no common clock",
                name.span, "keys of different clocks can't be compared",
                help="write `clock NAME` in both declarations",
            )  # fmt: skip
            return


_RULES: tuple[Callable[[Sequence[tree.Line], Symbols, Report], None], ...] = (
    _served, _order, _unbounded, _shares, _aged, _counts, _steals, _lists,
)  # fmt: skip
