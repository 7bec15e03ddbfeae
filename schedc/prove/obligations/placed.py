"""placed: every task has one class, and is inserted once, where some cpu that may run it looks.

Input: a typed policy and `Parameters`. Output: queries. Invariant: they are about every topology
and every mask: cpus are symbols (see `prove.machine`). A model of the negation is a real machine,
unless the state in it can't be reached, so a failure that depends on no state is a refutation.
"""

from __future__ import annotations

from collections.abc import Iterator

import z3

from schedc.ir import nodes as ir
from schedc.ir.walk import subexpressions
from schedc.prove.machine import MAX_CLASSES, Task, cgroup_slots
from schedc.prove.parameters import Parameters
from schedc.prove.solve import Query
from schedc.prove.terms import every, truth

_QUEUES = 16
_DOMAIN_BITS = 16


def placed(policy: ir.Policy, parameters: Parameters) -> Iterator[Query]:
    """All of them, in a fixed order."""
    task = Task(policy, parameters)
    yield _classes(task)
    yield _numbers(policy)
    for cls in policy.classes:
        yield _drained(task, cls)
    if any(policy.places):
        yield _local(task.again())


def _classes(task: Task) -> Query:
    policy, chosen = task.policy, task.chosen()
    # Behind a claimed cpu the task is inserted there, and by no rule.
    claimed = z3.Bool("claimed")
    # From 0, as a sum of one term is written `(+ x)`, which is no SMT-LIB.
    one = sum((z3.If(each, 1, 0) for each in chosen), z3.IntVal(0))
    inserted = z3.If(claimed, 1, one)
    return Query(
        "placed.classes", "placed",
        "every task has exactly one class, the first that matches, and is inserted exactly once",
        policy.classes[-1].span,
        task.known(),
        z3.And(one == 1, inserted == 1, len(policy.classes) <= MAX_CLASSES),
        hint="add a last class without a condition", reason="some task has no class",
        refutes=reachable(task, policy.classes[-1]), shown=tuple(task.env.shown.items()),
    )  # fmt: skip


def _numbers(policy: ir.Policy) -> Query:
    """`dsq`: a queue's number in the high half, its domain in the low."""
    a, b, x, y = (z3.BitVec(name, 32) for name in ("queue.a", "queue.b", "domain.a", "domain.b"))

    def dsq(queue: z3.BitVecRef, domain: z3.BitVecRef) -> z3.BitVecRef:
        return (z3.ZeroExt(32, queue + 1) << _DOMAIN_BITS) | z3.ZeroExt(32, domain)

    most = max(cgroup_slots(policy), 1 << _DOMAIN_BITS - 1)
    limits = [z3.ULT(queue, _QUEUES) for queue in (a, b)]
    limits += [z3.ULT(domain, most) for domain in (x, y)]
    built_in = z3.BitVecVal(1, 64) << 63
    return Query(
        "placed.numbers", "placed",
        "queues of different names or domains have different numbers, none of them the kernel's",
        policy.queues[0].span, tuple(limits),
        z3.And(
            z3.Implies(dsq(a, x) == dsq(b, y), z3.And(a == b, x == y)),
            dsq(a, x) & built_in == 0, dsq(a, x) != 0,
        ),
    )  # fmt: skip


def _drained(task: Task, cls: ir.Class) -> Query:
    policy = task.policy
    rule = policy.rules[cls.index]
    queue = policy.queue(rule.queue)
    chosen = task.chosen()[cls.index]
    where = task.domain(queue.domain, task.here)
    hypotheses = [*task.known()]
    if queue.domain == "cgroup":
        # `cgroup_slot` gives a number below MAX_CGROUPS, whatever the group.
        hypotheses += [where >= 0, where < cgroup_slots(policy)]
    witness = task.here
    if cls.affinity == "confine" and cls.cpus is not None:
        witness = z3.Int(f"cpu.of.{cls.cpus}")
    exists = z3.And(where >= 0, where < task.count(queue.domain))
    return Query(
        f"placed.{cls.name}", "placed",
        f"a task of class {cls.name} waits in a queue that exists, and a cpu that may run it takes "
        "from that queue",
        rule.span, tuple(hypotheses),
        z3.Implies(chosen, z3.And(exists, task.allowed(witness), task.serves(witness, queue))),
        hint=f"add `take {queue.name}` to `dispatch`",
        reason=f"no cpu that may run it takes from `{queue.name}`",
        refutes=reachable(task, cls), shown=tuple(task.env.shown.items()),
    )  # fmt: skip


def _local(task: Task) -> Query:
    """Each rung gives -1 or a cpu that it has claimed; the first that isn't -1 is taken. For a
    pinned task the kernel skips that: its own cpu is claimed when it is queued."""
    policy, chosen = task.policy, task.chosen()
    goals = []
    bound = z3.Int("claim.bound")
    task.hypotheses.append(z3.Or(bound == -1, z3.And(bound == task.here, task.idle(bound))))
    for cls in policy.classes:
        if not task.placed(cls):
            continue
        result = z3.IntVal(-1)
        for at, rung in reversed(list(enumerate(policy.places[cls.index]))):
            result = _rungs(task, cls, at, rung, result)
        unmoved = z3.If(truth(task.pinned()), bound, -1)
        result = z3.If(z3.Bool("selected"), result, unmoved)
        inside = truth(True)
        if cls.affinity == "confine" and cls.cpus is not None:
            inside = task.member(cls.cpus, result)
        good = z3.And(task.allowed(result), task.idle(result), inside)
        goals.append(z3.Implies(z3.And(chosen[cls.index], result >= 0), good))
    return Query(
        "placed.local", "placed",
        "a task goes straight to a cpu only if that cpu was idle, was claimed for it, may run it, "
        "and is one of those that its class is confined to",
        policy.span, task.known(), every(goals),
    )  # fmt: skip


def _rungs(
    task: Task, cls: ir.Class, at: int, rung: ir.Rung, otherwise: z3.ArithRef
) -> z3.ArithRef:
    """The result of a rung, or of those after it: within the class's set first, if it has one,
    then anywhere unless it is confined."""
    tries = []
    if cls.cpus is not None:
        tries.append([cls.cpus])
    if cls.affinity != "confine":
        tries.append([])
    for number, sets in reversed(list(enumerate(tries))):
        claimed = z3.Int(f"claim.{cls.name}.{at}.{number}")
        idle = z3.And(task.allowed(claimed), task.idle(claimed))
        within = [task.member(name, claimed) for name in sets]
        # What `scx_bpf_pick_idle_cpu` and `scx_bpf_test_and_clear_cpu_idle` promise of a mask.
        task.hypotheses.append(z3.Or(claimed == -1, z3.And(claimed >= 0, idle, *within)))
        tried = claimed >= 0
        if rung.when is not None:
            tried = z3.And(truth(task.env.evaluate(rung.when)), tried)
        otherwise = z3.If(tried, claimed, otherwise)
    return otherwise


def reachable(task: Task, last: ir.Class) -> bool:
    """Whether every model of being of a class, up to the last given, can be reached: its condition
    and those before it read no state, and are known exactly."""
    return not task.env.abstractions and not any(
        isinstance(expr, ir.StateRef | ir.QueueFact | ir.IsClass)
        for cls in task.policy.classes[: last.index + 1]
        if cls.when is not None
        for expr in subexpressions(cls.when)
    )
