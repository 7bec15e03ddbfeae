"""work-conserving: no cpu stays idle while a task waits that it could run.

In the concurrent form (after Ipanema): if a cpu goes idle while a task that it may run stays queued
throughout, then one `dispatch` finds one; and every insertion wakes an idle cpu that serves the
queue, if there is one, or `place` has just looked at all of them in vain. A cpu that goes idle
between that look and the insertion may stay so until the next insertion that is not a wake-up (the
end of a stint): at most one stint; unless it is the task's own, which the kernel reschedules.
`cap`, `pack` and `confine` ask for idle cpus: for what they hold back the obligation is waived, for
the rest it is proved.

Input: a typed policy and `Parameters`. Output: queries and waived obligations.
"""

from __future__ import annotations

from collections.abc import Iterator

import z3

from schedc.ir import nodes as ir
from schedc.prove.machine import Task, capped
from schedc.prove.obligations.placed import reachable
from schedc.prove.parameters import Parameters
from schedc.prove.result import Obligation, Verdict
from schedc.prove.solve import Query
from schedc.prove.terms import some
from schedc.source import Span


def work_conserving(policy: ir.Policy, parameters: Parameters) -> Iterator[Query | Obligation]:
    """All of them, in a fixed order."""
    task = Task(policy, parameters)
    task.chosen()
    for queue in policy.queues:
        rules = [rule for rule in policy.rules if rule.queue == queue.name]
        if rules:
            yield _finds(task.again(), queue, rules)
    for rule in policy.rules:
        yield _wakes(task.again(), rule)
    yield from _waived(policy)


def _finds(task: Task, queue: ir.Queue, rules: list[ir.Rule]) -> Query:
    policy = task.policy
    idle = _eligible(task, queue)
    chosen, classes = task.chosen(), [rule.cls for rule in rules]
    of_queue = some(chosen[policy.class_index(cls)] for cls in classes)
    last = policy.classes[max(map(policy.class_index, classes))]
    hint, reason = _help(policy, queue)
    return Query(
        f"work-conserving.{queue.name}", "work-conserving",
        f"a cpu that goes idle while a task waits in {queue.name} that it may run takes one first",
        queue.span,
        task.known(),
        z3.Implies(of_queue, task.serves(idle, queue)), hint=hint, reason=reason,
        refutes=reachable(task, last), shown=tuple(task.env.shown.items()),
    )  # fmt: skip


def _eligible(task: Task, queue: ir.Queue) -> z3.ArithRef:
    """A cpu that may run the task and that no `confine` keeps away."""
    cpu = task.cpu("idle")
    task.hypotheses += [task.allowed(cpu), task.only_here(cpu)]
    task.hypotheses += [task.member(cpus, cpu) for cpus in task.confines(queue)]
    return cpu


def _help(policy: ir.Policy, queue: ir.Queue) -> tuple[str, str]:
    if any(isinstance(x, ir.Steal) and x.queue == queue.name for x in policy.dispatch):
        return "", f"a cpu idles while a task of `{queue.name}` waits"
    if queue.domain in ("machine", "cgroup"):
        return f"add `take {queue.name}`", f"no line of `dispatch` takes from `{queue.name}`"
    reason = (
        f"a cpu idles while a task that it may run waits in the `{queue.name}` of another "
        f"{queue.domain}"
    )
    return f"add `steal {queue.name}` at the end of `dispatch`", reason


def _wakes(task: Task, rule: ir.Rule) -> Query:
    policy = task.policy
    queue = policy.queue(rule.queue)
    cls = policy.classes[policy.class_index(rule.cls)]
    idle = _eligible(task, queue)
    chosen = task.chosen()[cls.index]
    there = [task.idle(idle), task.serves(idle, queue)]
    if policy.pack is not None:
        there.append(task.awake(idle))
    return Query(
        f"work-conserving.wake.{cls.name}", "work-conserving",
        f"when a task of class {cls.name} is queued, on a wake-up or at the end of a stint, an "
        "idle cpu that serves it is woken, if there is one, or all were just looked at in vain",
        rule.span,
        task.known(),
        z3.Implies(z3.And(chosen, *there), task.woken(rule, cls, idle)),
        reason=f"an idle cpu may not be woken for a task of class `{cls.name}`",
    )  # fmt: skip


def _waived(policy: ir.Policy) -> Iterator[Obligation]:
    for cap in policy.caps:
        text = (
            f"`cap {cap.cls}`: cpus may idle while tasks of class {cap.cls} wait, once these ran "
            f"{cap.percent}% of the time"
        )
        yield _waiver(f"cap.{cap.cls}", text, cap.span)
    for cls in policy.classes:
        if cls.affinity == "confine" and cls.name not in capped(policy):
            text = f"`confine {cls.cpus}`: other cpus may idle while tasks of class {cls.name} wait"
            yield _waiver(f"confine.{cls.name}", text, cls.span)
    if policy.pack is not None:
        text = (
            f"`pack until {policy.pack.percent}%`: cpus beyond those kept awake are not woken; one "
            "that is to be awake from now on looks when the next task is queued"
        )
        yield _waiver("pack", text, policy.pack.span)


def _waiver(name: str, reason: str, span: Span) -> Obligation:
    return Obligation(
        f"work-conserving.{name}", "work-conserving",
        "no cpu idles while a task waits that it may run", Verdict.waived, span, reason=reason,
    )  # fmt: skip
