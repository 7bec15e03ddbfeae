"""Structure: the rules about which parts a policy needs and which fit together.

Input: the symbols. Output: E04xx and W04xx. Invariant: if nothing was reported as an error, every
task has a class, every class one rule, every queue that is used a line that serves it, and no part
contradicts another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from schedc.diagnostics.model import Label
from schedc.passes.dispatch import check_dispatch
from schedc.passes.report import Report
from schedc.passes.symbols import Symbols
from schedc.source import Span
from schedc.syntax import tree


def check_structure(symbols: Symbols, report: Report) -> None:
    """Run every rule; each one looks at what there is and is quiet about what isn't."""
    for rule in _RULES:
        rule(symbols, report)
    check_dispatch(symbols, report)


def rules_into(symbols: Symbols, queue: str) -> Iterator[tree.Enqueue]:
    """The `enqueue` lines of declared classes that lead into a queue."""
    for rule in symbols.rules.values():
        if rule.queue.text == queue and rule.cls.text in symbols.classes:
            yield rule


def _at_header(symbols: Symbols) -> Span:
    header = symbols.policy.header
    return header.name.span if header is not None else Span(0, 0)


def _broken(symbols: Symbols, *verbs: str) -> bool:
    """Whether a statement of these verbs did not parse: then nothing is known to be missing."""
    return symbols.policy.header is None or any(
        broken.verb in ("*", "", *verbs) for broken in symbols.policy.broken
    )


def _parts(symbols: Symbols, report: Report) -> None:
    """A policy has a queue, a class and a dispatch."""
    for verb, there, example in (
        ("queue", symbols.queues, "queue all fifo"),
        ("class", symbols.classes, "class every"),
        ("dispatch", symbols.dispatch, "dispatch { take all }"),
    ):
        if not there and not _broken(symbols, verb):
            report.add(
                "E0401", f"the policy has no `{verb}`", _at_header(symbols), "incomplete",
                help=f"add a line: `{example}`",
            )  # fmt: skip


def _classes(symbols: Symbols, report: Report) -> None:
    """All classes but the last have a condition, the last has none."""
    classes = list(symbols.classes.values())
    for at, cls in enumerate(classes[:-1]):
        if cls.when is None:
            report.add(
                "E0404", f"no task can reach the class `{classes[at + 1].name.text}`",
                classes[at + 1].name.span, "the first class that matches is taken",
                secondary=[Label(cls.name.span, "this class has no `when`: it matches every task")],
                help=f"move `class {cls.name.text}` to the end, or give it a condition",
            )  # fmt: skip
            return
    if classes and classes[-1].when is not None and not _broken(symbols, "class"):
        last = classes[-1]
        report.add(
            "E0405", "some tasks match no class", last.name.span,
            "the last class has a condition", help="add a last class without one: `class other`",
        )  # fmt: skip


def _rules(symbols: Symbols, report: Report) -> None:
    """Every class has a rule; no class preempts itself."""
    for name, cls in symbols.classes.items():
        if name not in symbols.rules and not symbols.may_be_declared("enqueue", name):
            queue = next(iter(symbols.queues), "all")
            report.add(
                "E0401", f"the class `{name}` has no `enqueue`", cls.name.span,
                "its tasks would go nowhere", help=f"add a line: `enqueue {name} to {queue}`",
            )  # fmt: skip
    for name, rule in symbols.rules.items():
        for victim in rule.preempt.victims if rule.preempt is not None else ():
            if victim.text == name:
                report.add(
                    "E0414", f"the class `{name}` preempts itself", victim.span,
                    "two of its tasks would end each other's turns for ever",
                    help="name other classes only",
                )  # fmt: skip


def _confined(symbols: Symbols, report: Report) -> None:
    """A confined class has a queue of its own kind, and isn't the last."""
    classes = list(symbols.classes.values())
    for cls in classes:
        if cls.affinity != "confine" or cls.cpus is None:
            continue
        name = cls.name.text
        if cls is classes[-1] and cls.when is None:
            report.add(
                "E0416", f"the last class `{name}` can't be confined", cls.cpus.span,
                "a task that may not run on these cpus would have no class",
                help="give it a condition, and add a last class: `class other`",
            )  # fmt: skip
        rule = symbols.rules.get(name)
        queue = symbols.queues.get(rule.queue.text) if rule is not None else None
        if rule is None or queue is None:
            continue
        if queue.domain != "machine":
            report.add(
                "E0416", f"the queue of the confined class `{name}` is per {queue.domain}",
                rule.queue.span, "tasks could wait where no cpu of the set looks",
                secondary=[Label(queue.name.span, "declared here")],
                help=f"give the class a queue for the whole machine: `queue {name}_tasks fifo`",
            )  # fmt: skip
        for other in rules_into(symbols, queue.name.text):
            fellow = symbols.classes[other.cls.text]
            if fellow.affinity == "confine" and fellow.cpus is not None:
                # Of two sets, the later class is told; of one set, they may share.
                later = classes.index(cls) > classes.index(fellow)
                if fellow.cpus.text == cls.cpus.text or not later:
                    continue
            report.add(
                "E0416", f"the classes `{name}` and `{fellow.name.text}` share a queue",
                rule.queue.span, f"only cpus of `{cls.cpus.text}` take from the queue of `{name}`",
                secondary=[Label(other.queue.span, "these tasks could be left waiting")],
                help=f"give `{name}` a queue of its own: `queue {name}_tasks fifo`",
            )  # fmt: skip


def _caps(symbols: Symbols, report: Report) -> None:
    """A capped class has its queue for itself, so that skipping the queue skips only that class."""
    for name, cap in symbols.caps.items():
        rule = symbols.rules.get(name)
        queue = symbols.queues.get(rule.queue.text) if rule is not None else None
        if rule is None or queue is None or name not in symbols.classes:
            continue
        if queue.domain == "cgroup":
            report.add(
                "E0417", f"the capped class `{name}` has a queue per cgroup", rule.queue.span,
                "a cap counts the time of a cpu, not of a cgroup",
                secondary=[Label(cap.cls.span, "capped here")],
                help=f"give it another queue: `queue {name}_tasks fifo per cpu`",
            )  # fmt: skip
        for other in rules_into(symbols, queue.name.text):
            if other.cls.text == name:
                continue
            report.add(
                "E0417", f"the capped class `{name}` shares its queue with `{other.cls.text}`",
                other.queue.span, "the cap would hold these tasks back too",
                secondary=[Label(cap.cls.span, "capped here")],
                help=f"give `{name}` a queue of its own: `queue {name}_tasks fifo`",
            )  # fmt: skip


def _clocks(symbols: Symbols, report: Report) -> None:
    """Queues on one clock agree about it; a shared clock has a name of its own."""
    first: dict[str, tree.Queue] = {}
    for queue in symbols.queues.values():
        if queue.order != "vtime" or queue.clock is None:
            continue
        clock = queue.clock.text
        namesake = symbols.queues.get(clock)
        if namesake is not None and namesake.order == "vtime" and namesake.clock is None:
            report.add(
                "E0415", f"the clock `{clock}` has the name of a queue with its own clock",
                queue.clock.span, "these would be two clocks of one name",
                secondary=[Label(namesake.name.span, f"`{clock}` keeps its own clock")],
                help=f"add `clock {clock}` to the queue `{clock}`, or rename the clock",
            )  # fmt: skip
        other = first.setdefault(clock, queue)
        if _drift(other) != _drift(queue):
            report.add(
                "E0415", f"the queues `{other.name.text}` and `{queue.name.text}` disagree "
                f"about the clock `{clock}`", queue.name.span, f"drift {_drift(queue)}",
                secondary=[Label(other.name.span, f"drift {_drift(other)}")],
                help="write the same `drift` for both",
            )  # fmt: skip


def _drift(queue: tree.Queue) -> str:
    if queue.drift is None:
        return "0"
    return f"{queue.drift.numerator.text}/{queue.drift.denominator.text}"


def _vtimes(symbols: Symbols, report: Report) -> None:
    """Each clock that orders a queue has exactly one vtime of the task."""
    owners: dict[tuple[str, str], tree.State] = {}
    for state in symbols.states.values():
        queue = symbols.queues.get(state.type.queue.text) if state.type.queue else None
        if queue is None or queue.order != "vtime":
            continue
        clock = queue.clock.text if queue.clock is not None else queue.name.text
        other = owners.setdefault((state.ref.scope, clock), state)
        if other is not state:
            report.add(
                "E0418", f"two vtimes of a {state.ref.scope} on the clock `{clock}`",
                state.ref.span, "which of the two the queue should keep in its window is open",
                secondary=[Label(other.ref.span, "the first is here")],
                help="keep one of them as vtime, and the other as `time` or `lag`",
            )  # fmt: skip
    for queue in symbols.queues.values():
        clock = queue.clock.text if queue.clock is not None else queue.name.text
        if queue.order != "vtime" or ("task", clock) in owners or _broken(symbols, "state"):
            continue
        if any(rules_into(symbols, queue.name.text)):
            name = queue.name.text
            report.add(
                "E0418", f"no task has a vtime of `{name}`", queue.name.span,
                "nothing to order its tasks by",
                help=f"declare it: `state task.v : vtime of {name}`, "
                "and `on stop { task.v += charge(ran) }`",
            )  # fmt: skip


def _goals(symbols: Symbols, report: Report) -> None:
    seen: dict[str, Span] = {}
    for goal in symbols.goal.goals if symbols.goal is not None else ():
        first = seen.setdefault(goal.text, goal.span)
        if first is not goal.span:
            report.add(
                "E0403", f"the goal `{goal.text}` is written twice", goal.span, "again here",
                secondary=[Label(first, "first here")], help="keep one of the two",
            )  # fmt: skip


_RULES: tuple[Callable[[Symbols, Report], None], ...] = (
    _parts, _classes, _rules, _confined, _caps, _clocks, _vtimes, _goals,
)  # fmt: skip
