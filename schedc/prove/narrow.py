"""A policy as the parameters make it: with their ranges as its own.

Input: a typed policy and `Parameters`. Output: a typed policy. Invariant: narrowing to what the
policy declares changes nothing; the generated code does no more than what the result may do, as
long as the parameters hold.
"""

from __future__ import annotations

from dataclasses import replace

from schedc.ir import nodes as ir
from schedc.ir.interval import interval
from schedc.ir.nodes import Interval
from schedc.prove.parameters import Parameters
from schedc.prove.terms import ranges_of


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
    # A queue's longest slice stays as declared: it is what newcomers are charged for.
    return replace(
        narrowed,
        rules=tuple(rules),
        slice_max_ns=max((rule.slice.high for rule in rules), default=0),
    )


def _tune(tune: ir.Tune, range_: Interval) -> ir.Tune:
    value = min(max(tune.value, range_.low), range_.high)
    return replace(tune, low=range_.low, high=range_.high, value=value)
