"""Walks over the typed policy: every expression in it, and what those expressions mention.

Input: a `Policy` or an expression. Output: iterators in a fixed order, so that what is derived from
them is the same in every run.
"""

from __future__ import annotations

from collections.abc import Iterator

from schedc.ir.nodes import (
    Apply,
    Budget,
    Charge,
    CountLimit,
    Ewma,
    Expr,
    FactRef,
    IsClass,
    Keep,
    Policy,
    QueueFact,
    Slice,
    SliceUnlimited,
    StateRef,
    Take,
)


def children(expr: Expr) -> tuple[Expr, ...]:
    """Direct operands of an expression."""
    match expr:
        case Apply(args=args):
            return args
        case Charge(value=value, weight=weight):
            return (value, weight)
        case Ewma(average=average, sample=sample):
            return (average, sample)
        case _:
            return ()


def subexpressions(expr: Expr) -> Iterator[Expr]:
    """The expression and everything below it."""
    yield expr
    for child in children(expr):
        yield from subexpressions(child)


def event_expressions(policy: Policy) -> Iterator[Expr]:
    """Expressions of the event handlers, targets of assignments included."""
    for assigns in policy.events.values():
        for assign in assigns:
            yield assign.target
            yield assign.value
            if assign.when is not None:
                yield assign.when


def rule_expressions(policy: Policy) -> Iterator[Expr]:
    """Expressions of the enqueue rules."""
    for rule in policy.rules:
        if rule.key is not None:
            yield rule.key
        yield rule.slice.value if isinstance(rule.slice, Slice) else rule.slice.contended
        if rule.preempt is not None:
            yield rule.preempt.ran


def dispatch_expressions(policy: Policy) -> Iterator[Expr]:
    """Expressions of the dispatch lines."""
    for line in policy.dispatch:
        match line:
            case Take(after=after, limit=limit):
                if after is not None:
                    yield after
                match limit:
                    case CountLimit(count=count):
                        yield count
                    case Budget(percent=percent, period_ns=period):
                        yield percent
                        yield period
            case Keep(count=count, when=when):
                yield count
                yield when
            case _:
                pass


def roots(policy: Policy) -> Iterator[Expr]:
    """Every outermost expression of the policy, in the order of its stages."""
    for cls in policy.classes:
        if cls.when is not None:
            yield cls.when
    yield from event_expressions(policy)
    for rungs in policy.places:
        for rung in rungs:
            if rung.when is not None:
                yield rung.when
    yield from rule_expressions(policy)
    yield from dispatch_expressions(policy)


def everywhere(policy: Policy) -> Iterator[Expr]:
    """Every expression of the policy at every depth."""
    for root in roots(policy):
        yield from subexpressions(root)


def facts_used(policy: Policy) -> frozenset[str]:
    """Names of the facts that the policy reads."""
    return frozenset(e.name for e in everywhere(policy) if isinstance(e, FactRef))


def scopes_used(policy: Policy) -> frozenset[str]:
    """Scopes of the state that the policy reads or writes."""
    return frozenset(e.scope for e in everywhere(policy) if isinstance(e, StateRef))


def queues_asked(policy: Policy, function: str) -> frozenset[str]:
    """Queues whose `clock`, `length` or `head` is read."""
    return frozenset(
        e.queue for e in everywhere(policy) if isinstance(e, QueueFact) and e.function == function
    )


def asks_class_of(policy: Policy, who: str) -> bool:
    """Whether a condition asks for the class of the task itself ("class") or of its waker
    ("waker").
    """
    return any(isinstance(e, IsClass) and e.who == who for e in everywhere(policy))


def may_idle(policy: Policy) -> bool:
    """Whether a cpu may have to idle beside a runnable task."""
    return bool(policy.caps) or any(cls.affinity == "confine" for cls in policy.classes)


def stores_class(policy: Policy) -> bool:
    """Whether a task keeps the class that it was given when a cpu was looked for until it is
    inserted, and then for its stint, as somebody asks for it; else it is found anew each time."""
    if asks_class_of(policy, "class") or asks_class_of(policy, "waker"):
        return True
    if any(state.scope == "class" for state in policy.states):
        return True
    if len(policy.classes) == 1:
        return False
    return may_idle(policy) or any(
        rule.preempt is not None
        or rule.perf is not None
        or isinstance(rule.slice, SliceUnlimited)
        or policy.queue(rule.queue).order == "vtime"
        for rule in policy.rules
    )
