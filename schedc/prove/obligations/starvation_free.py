"""starvation-free: W(N) for each class, from facts of the policy, lemmas and the composition.

Input: a policy narrowed to `Parameters`. Output: queries (or obligations that no query could be
made for), a bound for each class that has one, and the assumptions that all of it rests on.
Invariant: a class without a bound has an obligation that is not proved.

    queues -> disciplines -> demands -> routes through `dispatch` -> the best -> W(N) <= promise
"""

from __future__ import annotations

import z3

from schedc.ir import nodes as ir
from schedc.ir.print import time
from schedc.prove import facts, lemmas
from schedc.prove.assumptions import assumptions
from schedc.prove.compose import Failure, Kinds, Route, routes
from schedc.prove.discipline import Drift, Fifo, Now, Opaque, Vtime, discipline
from schedc.prove.linear import Linear, nonnegative, up
from schedc.prove.parameters import Parameters, at_most, milliseconds
from schedc.prove.result import WATCHDOG_NS, Assumption, Bound, Obligation, Verdict
from schedc.prove.service import WAIT, Paced, Way
from schedc.prove.solve import Query
from schedc.prove.times import Times, times
from schedc.prove.windows import reach_query
from schedc.records import dataclass

Items = tuple[Query | Obligation, ...]


@dataclass(frozen=True, slots=True)
class _Case:
    """A class, its queue, and the way that its bound is made of."""

    rule: ir.Rule
    queue: ir.Queue
    route: Route


def starvation_free(
    policy: ir.Policy, parameters: Parameters
) -> tuple[Items, tuple[Bound, ...], tuple[Assumption, ...]]:
    """Obligations, bounds, assumptions."""
    known = times(policy, parameters)
    kinds: Kinds = {}
    used = [queue for queue in policy.queues if _rules(policy, queue)]
    for queue in policy.queues:
        kinds[queue.name] = discipline(policy, parameters, queue) if queue in used else Fifo()
    cases, failures = _cases(policy, known, kinds)
    items: list[Query | Obligation] = [
        *lemmas.lemmas([case.route.kind for case in cases], [case.route.way for case in cases]),
    ]
    for queue in used:
        items += _facts(policy, known, queue, kinds, cases)
    worst = _worst(cases)
    bounds = [_bound(policy, parameters, case, worst) for case in cases]
    for case, bound in zip(cases, bounds, strict=True):
        items.append(_within(policy, known, case, bound))
    items += failures
    found = assumptions(policy, parameters, [case.route for case in cases])
    return tuple(items), tuple(bounds), found


def _rules(policy: ir.Policy, queue: ir.Queue) -> list[ir.Rule]:
    return [rule for rule in policy.rules if rule.queue == queue.name]


def _cases(policy: ir.Policy, known: Times, kinds: Kinds) -> tuple[list[_Case], list[Obligation]]:
    """The best way of each class; what stands for the classes that have none."""
    cases, failures = [], []
    for rule in policy.rules:
        queue = policy.queue(rule.queue)
        found, failed = routes(policy, known, kinds, queue)
        if found:
            cases.append(_Case(rule, queue, found[0]))
        else:
            failures.append(_failure(rule, failed))
    return cases, failures


def _failure(rule: ir.Rule, failed: list[Failure]) -> Obligation:
    why = failed[0] if failed else None
    return Obligation(
        f"starvation-free.{rule.cls}", "starvation-free",
        f"no runnable task of class {rule.cls} waits for longer than promised", Verdict.unproven,
        why.span if why else rule.span,
        reason=why.reason if why else f"no line of `dispatch` serves `{rule.queue}`",
        hint=why.hint if why else f"add `take {rule.queue}` to `dispatch`",
    )  # fmt: skip


# --- facts ----------------------------------------------------------------------------------------


def _facts(
    policy: ir.Policy, known: Times, queue: ir.Queue, kinds: Kinds, cases: list[_Case]
) -> list[Query]:
    """What is used of a queue, as queries."""
    parameters, made = known.parameters, list[Query]()
    routes_ = [case.route for case in cases if queue in case.route.queues]
    match kinds[queue.name]:
        case Now(reach=reach) | Drift(reach=reach):
            made.append(reach_query(policy, parameters, queue, reach))
        case Vtime(lead_ns=lead, weight=weight) as kind:
            made += [
                facts.led(policy, parameters, queue, lead),
                facts.monotone(policy, parameters, queue),
                facts.charged(policy, parameters, queue, weight),
                facts.newcomer(policy, parameters, queue, weight),
                lemmas.credit(queue, kind, known),
            ]
        case Fifo() | Opaque():
            pass
    own = next((route for route in routes_ if route.queues[0] == queue), None)
    if own is not None:
        match own.kind:
            case Now(reach=reach):
                made.append(facts.passed_now(queue, reach))
            case Drift(reach=reach, shift=shift):
                made.append(facts.passed_drift(queue, reach, shift))
        if isinstance(own.way, Paced):
            made.append(lemmas.paced(queue, own.way, own.line.span))
    return made


# --- the bound ------------------------------------------------------------------------------------


def _worst(cases: list[_Case]) -> Linear | None:
    """At least the wait of any class, at any N."""
    waits = [case.route.way.wait for case in cases]
    if not waits:
        return None
    return Linear(max(wait.a for wait in waits), max(wait.b for wait in waits))


def _wait(parameters: Parameters, case: _Case, worst: Linear | None) -> Linear:
    """W(N); with changes of affinity or nice value, each begins anew, maybe as another class."""
    own = case.route.way.wait
    if parameters.changes == 0 or worst is None:
        return own
    return own + worst.times(parameters.changes)


def promised(policy: ir.Policy, cls: str) -> int:
    """The promise that a class's wait is held against: its own, that for all, or the watchdog."""
    waits = [one.wait_ns for one in policy.promises if one.cls in (None, cls)]
    return min([*waits, WATCHDOG_NS])


def _bound(policy: ir.Policy, parameters: Parameters, case: _Case, worst: Linear | None) -> Bound:
    way = case.route.way
    wait = _wait(parameters, case, worst)
    formula = f"{way.formula()}; {_legend(way)}"
    if parameters.changes:
        formula = f"{formula} + {parameters.changes} times the longest wait of any class"
    return Bound(
        case.rule.cls, case.queue.name, case.route.kind.name, wait.a, wait.b, formula,
        promised(policy, case.rule.cls), case.rule.span,
    )  # fmt: skip


def _legend(way: Way) -> str:
    """What the symbols of the formula are."""
    parts = [f"r = {time(way.demand.stint_ns)}", f"RES = {time(way.above.residue_ns)}"]
    parts += [f"r' = {time(way.above.direct_ns)}"] if way.above.direct_ns else []
    return ", ".join(parts)


def _within(policy: ir.Policy, known: Times, case: _Case, bound: Bound) -> Query:
    """The composition's inequalities leave no wait beyond the promise."""
    way = case.route.way
    runnable = policy.runnable
    wait = up(bound.a_ns + bound.b_ns * runnable)
    if known.parameters.changes:
        total = z3.Int("wait.all")
        others = bound.a_ns + bound.b_ns * runnable - way.wait.at(runnable)
        claims = [*way.claims(runnable), nonnegative([(1, WAIT), (-1, total)], others)]
    else:
        total, claims = WAIT, way.claims(runnable)
    kept = "the watchdog" if bound.promise_ns == WATCHDOG_NS else "the promise"
    return Query(
        f"starvation-free.{bound.cls}", "starvation-free",
        f"with {runnable} contenders a cpu, no runnable task of class {bound.cls} waits for longer "
        f"than {at_most(wait)}; {kept}: {milliseconds(bound.promise_ns)}",
        bound.span, tuple(claims), z3.And(total <= wait, wait <= bound.promise_ns),
        hint=_advice(known, case, bound),
        reason=f"the bound passes {kept}: W({runnable}) = {at_most(wait)}, more than "
        f"{milliseconds(bound.promise_ns)}; the most contenders that prove: {bound.most_runnable}",
    )  # fmt: skip


def _advice(known: Times, case: _Case, bound: Bound) -> str:
    """What would bring the bound down most."""
    way, kind = case.route.way, case.route.kind
    if isinstance(kind, Vtime):
        return f"declare `drift 1/64` on `{case.queue.name}`, or assume a narrower range of weights"
    if isinstance(way, Paced) and way.rate < way.share:
        needed = -(-up(way.idle_ns) // 10_000_000) * 10
        if way.rate < way.above.left:
            return f"`every {needed}ms`: the bucket is full before the line's turn comes"
        return "lower the shares above"
    if isinstance(kind, Now | Drift) and way.demand.delay_ns > bound.promise_ns / 2:
        return f"a narrower window for `{case.queue.name}`, or a stronger drift"
    if bound.most_runnable:
        return f"`assume runnable <= {bound.most_runnable} per cpu`, or shorter slices"
    return "shorter slices, or a larger share"
