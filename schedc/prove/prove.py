"""The proof of a policy, from its obligations to the verdict.

Input: a typed policy and `Parameters`. Output: a `Proof`. Invariant: pure, and the same in every
run; no obligation is left out: what can't be made a query is an obligation that is not proved.

    narrow -> bounded, placed, work-conserving, starvation-free, served -> solve -> Proof
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from schedc.ir import nodes as ir
from schedc.ir.interval import interval
from schedc.ir.nodes import Interval
from schedc.prove.obligations.bounded import bounded
from schedc.prove.obligations.placed import placed
from schedc.prove.obligations.served import served
from schedc.prove.obligations.starvation_free import starvation_free
from schedc.prove.obligations.work_conserving import work_conserving
from schedc.prove.parameters import MODEL_VERSION, Parameters
from schedc.prove.result import Obligation, Proof
from schedc.prove.solve import Query, solve
from schedc.prove.terms import ranges_of


def prove(policy: ir.Policy, parameters: Parameters) -> Proof:
    """Everything about a policy. Does not look for refuting runs: see `schedc.refute`."""
    policy = narrow(policy, parameters)
    fair, bounds, assumptions = starvation_free(policy, parameters)
    found = decide(
        [
            *bounded(policy, parameters), *placed(policy, parameters),
            *work_conserving(policy, parameters), *fair, *served(policy, parameters),
        ]
    )  # fmt: skip
    return Proof(
        policy.name, policy.version, MODEL_VERSION, parameters.runnable, parameters.as_json(),
        found, assumptions, bounds,
    )  # fmt: skip


def decide(items: Iterable[Query | Obligation]) -> tuple[Obligation, ...]:
    """Obligations in the same order, with the queries among them solved."""
    items = list(items)
    names = [item.name for item in items]
    assert len(set(names)) == len(names), "names of obligations are unique"
    solved = iter(solve(item for item in items if isinstance(item, Query)))
    return tuple(next(solved) if isinstance(item, Query) else item for item in items)


def narrow(policy: ir.Policy, parameters: Parameters) -> ir.Policy:
    """The policy with the parameters' ranges as its own, and what follows from them for slices."""
    tunes = dict(parameters.tunes)
    narrowed = replace(
        policy,
        runnable=parameters.runnable,
        weight=parameters.weight,
        tunes=tuple(_tune(tune, tunes[tune.name]) for tune in policy.tunes),
    )
    env = ranges_of(narrowed, parameters)
    rules = []
    for rule in narrowed.rules:
        given = rule.slice
        if isinstance(given, ir.SliceUnlimited):
            high = interval(given.contended, env).high
            rules.append(replace(rule, slice=replace(given, high=high)))
            continue
        found = interval(given.value, env)
        rules.append(replace(rule, slice=replace(given, low=found.low, high=found.high)))
    longest = {queue.name: 0 for queue in narrowed.queues}
    for rule in rules:
        longest[rule.queue] = max(longest[rule.queue], rule.slice.high)
    return replace(
        narrowed,
        rules=tuple(rules),
        queues=tuple(replace(queue, slice_max_ns=longest[queue.name]) for queue in narrowed.queues),
        slice_max_ns=max(longest.values(), default=0),
    )


def _tune(tune: ir.Tune, range_: Interval) -> ir.Tune:
    value = min(max(tune.value, range_.low), range_.high)
    return replace(tune, low=range_.low, high=range_.high, value=value)
