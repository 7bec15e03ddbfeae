"""What a policy needs of the runtime: which fields are kept, which callbacks exist.

Input: a typed policy. Output: `Needs`, a bag of facts that the templates ask. Invariant: a field is maintained in every
callback that its meaning takes if and only if something reads it, so that a simple policy is simple C.
"""

from __future__ import annotations

from dataclasses import dataclass

from schedc.emit.names import field
from schedc.ir.nodes import (
    Budget,
    CountLimit,
    FactRef,
    Keep,
    Kind,
    Lowest,
    Policy,
    Queue,
    Share,
    SliceUnlimited,
    State,
    StateRef,
    Steal,
    Take,
)
from schedc.ir.walk import asks_class_of, everywhere, facts_used, subexpressions


@dataclass(frozen=True, slots=True)
class Needs:
    """See `of`. `task_ctx`: some state must be kept per task even with counters off. `enq_last`: a task
    that nobody competes with is queued all the same at the end of its slice."""

    facts: frozenset[str]
    vtime_in_dsq: str | None
    homes: tuple[Queue, ...]  # queues whose per-domain clock a task's vtime must follow
    keyed: tuple[Queue, ...]  # vtime queues
    last_ran: bool
    stored_class: bool
    waker: bool
    queued_at: bool
    task_ctx: bool
    preempt: bool
    unlimited: bool
    budgets: tuple[Take, ...]
    counts: tuple[Take, ...]
    shares: tuple[Share, ...]
    lowest: tuple[Lowest, ...]
    keeps: tuple[Keep, ...]
    steals: tuple[Steal, ...]
    cgroups: bool
    scopes: frozenset[str]
    perf: bool
    enq_last: bool

    @property
    def paid(self) -> bool:
        """Whether stints are paid for: by a line's bucket, a share or a cap."""
        return bool(self.budgets or self.shares)

    @property
    def wake_facts(self) -> bool:
        """Whether something is noted at a wake-up besides the policy's own handler."""
        return bool(self.facts & {"burst", "slept", "wakes", "wakings", "sync"}) or self.waker


def of(policy: Policy) -> Needs:
    """Work out what the policy needs."""
    facts = facts_used(policy)
    lines = policy.dispatch
    keyed = tuple(q for q in policy.queues if q.order == "vtime")
    homes = tuple(q for q in keyed if q.domain != "machine" and not q.shared_clock)
    in_dsq = None if homes else _vtime_in_dsq(policy, keyed)
    one_class = len(policy.classes) == 1
    preempt = any(rule.preempt for rule in policy.rules)
    unlimited = any(isinstance(rule.slice, SliceUnlimited) for rule in policy.rules)
    perf = any(rule.perf is not None for rule in policy.rules)
    # Where a cpu may have to idle beside a runnable task, the kernel must not keep one by itself.
    enq_last = bool(policy.caps) or any(cls.affinity == "confine" for cls in policy.classes)
    aged = any(isinstance(line, Take) and line.after is not None for line in lines)
    states = [s for s in policy.states if s.scope == "task" and s.name != in_dsq]
    asks_class = asks_class_of(policy, "class") or "class" in {s.scope for s in policy.states}
    waker = asks_class_of(policy, "waker")
    many_keyed = any(policy.queue(rule.queue).order == "vtime" for rule in policy.rules)
    stored = (
        asks_class
        or waker
        or (not one_class and (preempt or unlimited or perf or enq_last or many_keyed))
    )
    last_ran = _asks_last_ran(policy)
    in_task = bool(facts & {"burst", "slept", "waited", "wakes", "wakings", "sync"})
    cgroups = (
        any(q.domain == "cgroup" for q in policy.queues)
        or any(s.scope == "cgroup" for s in policy.states)
        or "cgroup_runnable" in facts
    )
    return Needs(
        facts=facts,
        vtime_in_dsq=in_dsq,
        homes=homes,
        keyed=keyed,
        last_ran=last_ran,
        stored_class=stored,
        waker=waker,
        queued_at=aged or "waited" in facts,
        task_ctx=bool(states or homes or stored or last_ran or in_task or aged or cgroups),
        preempt=preempt,
        unlimited=unlimited,
        budgets=tuple(x for x in lines if isinstance(x, Take) and isinstance(x.limit, Budget)),
        counts=tuple(x for x in lines if isinstance(x, Take) and isinstance(x.limit, CountLimit)),
        shares=tuple(x for x in lines if isinstance(x, Share)),
        lowest=tuple(x for x in lines if isinstance(x, Lowest)),
        keeps=tuple(x for x in lines if isinstance(x, Keep)),
        steals=tuple(x for x in lines if isinstance(x, Steal)),
        cgroups=cgroups,
        scopes=frozenset(s.scope for s in policy.states),
        perf=perf,
        enq_last=enq_last,
    )


def _vtime_in_dsq(policy: Policy, keyed: tuple[Queue, ...]) -> str | None:
    """The task's vtime that may live in `p->scx.dsq_vtime`.

    Inserting overwrites that field with the key. So it can hold the variable only if the key of every keyed
    insertion is that variable itself, which the window's clamp leaves equal to it, and no other queue is keyed.
    """
    if len(keyed) != 1 or any(q.order == "moment" for q in policy.queues):
        return None
    rules = [rule for rule in policy.rules if rule.key is not None]
    match [rule.key for rule in rules]:
        case [StateRef(scope="task", name=name), *rest] if all(
            isinstance(key, StateRef) and (key.scope, key.name) == ("task", name) for key in rest
        ):
            vtimes = [s for s in policy.states if s.type.kind is Kind.VTIME]
            return name if len(vtimes) == 1 else None
        case _:
            return None


def _asks_last_ran(policy: Policy) -> bool:
    """Whether `ran` is read where the stint is over, so that it must be kept for the task."""
    current = {
        id(e)
        for event in ("stop", "tick")
        for a in policy.events.get(event, ())
        for root in (a.value, a.when)
        if root is not None
        for e in subexpressions(root)
    }
    current |= {
        id(e)
        for line in policy.dispatch
        if isinstance(line, Keep)
        for e in subexpressions(line.when)
    }
    return any(
        isinstance(e, FactRef) and e.name == "ran" and id(e) not in current
        for e in everywhere(policy)
    )


def task_states(policy: Policy, needs: Needs) -> list[State]:
    """State variables that are members of `struct task_ctx`."""
    return [s for s in policy.states if s.scope == "task" and s.name != needs.vtime_in_dsq]


def scope_states(policy: Policy, scope: str) -> list[str]:
    """Members of a scope's structure, as declarations."""
    return [f"s64 {field(s.name, scope)};" for s in policy.states if s.scope == scope]
