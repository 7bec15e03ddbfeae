"""What a policy needs of the runtime: which fields are kept, which callbacks exist.

Input: a typed policy. Output: `Needs`, a bag of facts that the templates ask. Invariant: a field is
maintained in every callback that its meaning takes if and only if something reads it, so that a
simple policy is simple C.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from schedc.ir.nodes import (
    Budget,
    CountLimit,
    Expr,
    FactRef,
    Keep,
    Kind,
    Lowest,
    Policy,
    Queue,
    Share,
    SliceUnlimited,
    StateRef,
    Steal,
    Take,
)
from schedc.ir.walk import (
    asks_class_of,
    facts_used,
    may_idle,
    rule_expressions,
    stores_class,
    subexpressions,
)


@dataclass(frozen=True, slots=True)
class Needs:
    """See `of`. `task_ctx`: some state must be kept per task even with counters off. `enq_last`: a
    task that nobody competes with is queued all the same at the end of its slice. `wakes`:
    something is noted at a wake-up."""

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
    wakes: bool

    @property
    def paid(self) -> bool:
        """Whether stints are paid for: by a line's bucket, a share or a cap."""
        return bool(self.budgets or self.shares)

    @property
    def resumes(self) -> bool:
        """Whether it matters that a task which comes back to its cpu, with no pick in between, goes
        on with the same stint: else it could get rid of who pays for it, or of its age."""
        return self.paid or self.preempt or self.unlimited or bool(self.keeps)


_IN_TASK = frozenset({"burst", "slept", "waited", "wakes", "wakings", "sync", "cgroup_runnable"})
"""Facts that are kept in the task's context."""

_AT_WAKE = frozenset({"burst", "slept", "wakes", "wakings", "sync"})
"""Facts that are noted when a task wakes."""


def of(policy: Policy) -> Needs:
    """Work out what the policy needs."""
    facts = facts_used(policy)
    lines = policy.dispatch
    keyed = tuple(q for q in policy.queues if q.order == "vtime")
    homes = tuple(q for q in keyed if q.domain != "machine" and not q.shared_clock)
    in_dsq = None if homes else vtime_in_dsq(policy, keyed)
    aged = any(isinstance(line, Take) and line.after is not None for line in lines)
    states = [s for s in policy.states if s.scope == "task" and s.name != in_dsq]
    waker = asks_class_of(policy, "waker")
    stored = stores_class(policy)
    last_ran = asks_last_ran(policy)
    in_task = bool(states or homes or aged or facts & _IN_TASK)
    wakes = waker or bool(policy.events.get("wake") or facts & _AT_WAKE)
    return Needs(
        facts=facts,
        vtime_in_dsq=in_dsq,
        homes=homes,
        keyed=keyed,
        last_ran=last_ran,
        stored_class=stored,
        waker=waker,
        queued_at=aged or "waited" in facts,
        task_ctx=in_task or stored or last_ran or wakes,
        preempt=any(rule.preempt for rule in policy.rules),
        unlimited=any(isinstance(rule.slice, SliceUnlimited) for rule in policy.rules),
        budgets=tuple(x for x in lines if isinstance(x, Take) and isinstance(x.limit, Budget)),
        counts=tuple(x for x in lines if isinstance(x, Take) and isinstance(x.limit, CountLimit)),
        shares=tuple(x for x in lines if isinstance(x, Share)),
        lowest=tuple(x for x in lines if isinstance(x, Lowest)),
        keeps=tuple(x for x in lines if isinstance(x, Keep)),
        steals=tuple(x for x in lines if isinstance(x, Steal)),
        cgroups=_numbers_cgroups(policy, facts),
        scopes=frozenset(s.scope for s in policy.states),
        perf=any(rule.perf is not None for rule in policy.rules),
        enq_last=may_idle(policy),
        wakes=wakes,
    )


def _numbers_cgroups(policy: Policy, facts: frozenset[str]) -> bool:
    by_cgroup = [q.domain for q in policy.queues] + [s.scope for s in policy.states]
    return "cgroup" in by_cgroup or "cgroup_runnable" in facts


def vtime_in_dsq(policy: Policy, keyed: tuple[Queue, ...]) -> str | None:
    """The task's vtime that may live in `p->scx.dsq_vtime`.

    Inserting overwrites that field with the key. So it can hold the variable only if the key of
    every keyed insertion is that variable itself, which the window's clamp leaves equal to it, and
    no other queue is keyed.
    """
    if len(keyed) != 1 or any(queue.order == "moment" for queue in policy.queues):
        return None
    vtimes = [state for state in policy.states if state.type.kind is Kind.VTIME]
    if len(vtimes) != 1 or vtimes[0].scope != "task":
        return None
    keys = [rule.key for rule in policy.rules if rule.key is not None]
    name = vtimes[0].name
    same = all(isinstance(k, StateRef) and (k.scope, k.name) == ("task", name) for k in keys)
    return name if keys and same else None


def asks_last_ran(policy: Policy) -> bool:
    """Whether `ran` is read where the stint is over, so that it must be kept for the task."""
    return any(isinstance(e, FactRef) and e.name == "ran" for e in _outside_stints(policy))


def _outside_stints(policy: Policy) -> Iterator[Expr]:
    """Every expression but those of `stop`, `tick` and `keep`, during which a stint goes on."""
    roots = [cls.when for cls in policy.classes]
    for event, assigns in policy.events.items():
        if event not in ("stop", "tick"):
            roots += [root for assign in assigns for root in (assign.value, assign.when)]
    roots += [rung.when for rungs in policy.places for rung in rungs]
    roots += rule_expressions(policy)
    for root in roots:
        if root is not None:
            yield from subexpressions(root)
