"""How far a key lies from its queue's clock when a task is queued.

Input: a typed policy, `Parameters`, a keyed queue. Output: the term of the key as generated code
computes it (the vtime is clamped into the window, then the key), and a `reach`: an interval for
key - clock. Invariant: the reach lies within the declared window; where it is narrower, a query
says so, and is part of the proof.
"""

from __future__ import annotations

from schedc.ir import nodes as ir
from schedc.ir.interval import interval
from schedc.ir.nodes import Interval, Kind, Type
from schedc.ir.walk import subexpressions
from schedc.prove.parameters import Parameters
from schedc.prove.result import Verdict
from schedc.prove.solve import Query, solve
from schedc.prove.terms import Environment, Term, Terms, ranges_of, truth


def rules_of(policy: ir.Policy, queue: ir.Queue) -> tuple[ir.Rule, ...]:
    """The rules that put tasks into a queue."""
    return tuple(rule for rule in policy.rules if rule.queue == queue.name)


def clock_of(env: Environment, queue: ir.Queue) -> Term:
    """The queue's clock now: real time for moments."""
    if queue.order == "moment":
        return env.read(ir.FactRef("now", Type(Kind.MOMENT), queue.span))
    type = Type(Kind.VTIME, queue.clock)
    return env.read(ir.QueueFact("clock", queue.name, type, queue.span))


def vtimes(policy: ir.Policy, queue: ir.Queue) -> tuple[ir.StateRef, ...]:
    """The states that are vtimes on the queue's clock."""
    return tuple(
        ir.StateRef(state.scope, state.name, state.type, state.span)
        for state in policy.states
        if state.type.kind is Kind.VTIME and state.type.clock == queue.clock
    )


def key_of(env: Environment, rule: ir.Rule, queue: ir.Queue) -> Term:
    """The key that a task is queued with. Changes the environment as the insertion does: vtimes are
    clamped into the window first, and stay so."""
    assert rule.key is not None and queue.window is not None, "only keyed queues have keys"
    clock = clock_of(env, queue)
    low, high = clock + queue.window.low, clock + queue.window.high
    if queue.order == "vtime":
        for ref in vtimes(env.policy, queue):
            env.assign(ref.scope, ref.name, _within(env.read(ref), low, high))
    key = env.evaluate(rule.key)
    if isinstance(rule.key, ir.StateRef) and rule.key.type.kind is Kind.VTIME:
        return key  # it has just been clamped: generated code doesn't do it twice
    return _within(key, low, high)


def _within(value: Term, low: Term, high: Term) -> Term:
    domain = Terms()
    raised = domain.choose(value < low, low, value)
    return domain.choose(raised < high, raised, high)


def reach(policy: ir.Policy, parameters: Parameters, queue: ir.Queue) -> Interval:
    """Between what key - clock lies at insertion: the window, or less if a query proves it."""
    assert queue.window is not None
    found = _guess(policy, parameters, queue)
    if found == queue.window:
        return found
    (checked,) = solve([reach_query(policy, parameters, queue, found)])
    return found if checked.verdict is Verdict.proved else queue.window


def reach_query(
    policy: ir.Policy, parameters: Parameters, queue: ir.Queue, found: Interval
) -> Query:
    """That every rule's key lies so near to the clock, whatever the task's states are."""
    hypotheses, goals = [], []
    for rule in rules_of(policy, queue):
        env = Environment(policy, parameters, prefix=f"{rule.cls}.")
        gap = key_of(env, rule, queue) - clock_of(env, queue)
        goals += [truth(gap >= found.low), truth(gap <= found.high)]
        hypotheses += env.hypotheses()
    return Query(
        f"fact.{queue.name}.window", "starvation-free",
        f"whoever is queued in {queue.name} gets a key between {_signed(found.low)} and "
        f"{_signed(found.high)} of its clock", queue.span, tuple(hypotheses), all_of(goals),
        reason=f"a key of `{queue.name}` may leave its window",
    )  # fmt: skip


def all_of(goals: list[Term]) -> Term:
    """All of them hold."""
    import z3

    return z3.And(*map(truth, goals))


def _signed(ns: int) -> str:
    from schedc.ir.print import time

    return f"-{time(-ns)}" if ns < 0 else time(ns)


def _guess(policy: ir.Policy, parameters: Parameters, queue: ir.Queue) -> Interval:
    """By intervals, with the clock at 0: right if the key moves with its clock, which the query
    decides."""
    assert queue.window is not None
    lows, highs = [], []
    for rule in rules_of(policy, queue):
        assert rule.key is not None
        found = offset(policy, parameters, queue, rule.key, queue.window)
        lows.append(clamp_into(found.low, queue.window))
        highs.append(clamp_into(found.high, queue.window))
    return Interval(min(lows), max(highs)) if lows else queue.window


def clamp_into(value: int, limits: Interval) -> int:
    """The nearest value in the interval."""
    return min(max(value, limits.low), limits.high)


def offset(
    policy: ir.Policy, parameters: Parameters, queue: ir.Queue, key: ir.Expr, vtime: Interval
) -> Interval:
    """The interval of a key with the clock at 0 and the task's vtime in `vtime`."""
    ranges = ranges_of(policy, parameters)
    zero = Interval(0, 0)
    for expr in subexpressions(key):
        match expr:
            case ir.FactRef(name="now") if queue.order == "moment":
                ranges.memo[id(expr)] = (expr, zero)
            case ir.QueueFact(function="clock", queue=name):
                if policy.queue(name).clock == queue.clock:
                    ranges.memo[id(expr)] = (expr, zero)
            case ir.StateRef(type=Type(kind=Kind.VTIME, clock=clock)) if clock == queue.clock:
                ranges.memo[id(expr)] = (expr, vtime)
    return interval(key, ranges)
