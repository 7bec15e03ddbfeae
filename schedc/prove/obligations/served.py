"""served: whoever is preempted got somewhere first.

A stint that another task's arrival ends, at once or at a tick to come, or that the timer ends, has
run for T, and T is at least 100 us. So the turns of a task that is preempted at every turn still
sum up to something: it finishes in work / T turns, each of which comes within its class's bound.
A preemption takes no time here (E12): one that arrives after a switch of tasks hits the wrong one.

Input: a typed policy and `Parameters`. Output: queries, for policies that preempt.
"""

from __future__ import annotations

from collections.abc import Iterator

import z3

from schedc.ir import nodes as ir
from schedc.prove.parameters import Parameters
from schedc.prove.solve import Query
from schedc.prove.terms import Environment

LEAST_NS = 100_000


def served(policy: ir.Policy, parameters: Parameters) -> Iterator[Query]:
    """All of them, in a fixed order."""
    for rule in policy.rules:
        if rule.preempt is not None:
            victims = " or ".join(rule.preempt.victims)
            text = (
                f"a task of class {victims} that is preempted for class {rule.cls} has run for at "
                "least 100us"
            )
            yield _progress(policy, parameters, rule, rule.preempt.ran, text)
    for rule in policy.rules:
        if isinstance(rule.slice, ir.SliceUnlimited):
            text = f"an unlimited stint of class {rule.cls} that the timer ends has run for 100us"
            name = f"{rule.cls}.unlimited"
            yield _progress(policy, parameters, rule, rule.slice.contended, text, name)


def _progress(
    policy: ir.Policy, parameters: Parameters, rule: ir.Rule, least: ir.Expr, text: str,
    name: str = "",
) -> Query:  # fmt: skip
    env = Environment(policy, parameters)
    now, since = env.fresh("now", 0, None), env.fresh("running_since", 0, None)
    minimum = env.evaluate(least)
    # The very test of the generated code; `running_since` is set when the stint begins.
    kicked = now - since >= minimum
    return Query(
        f"served.{name or rule.cls}", "served", text,
        rule.preempt.span if rule.preempt is not None else rule.slice.span,
        (*env.hypotheses(), now >= since, kicked), z3.And(now - since >= LEAST_NS),
        hint="write `when ran >= 1ms`", reason="a victim may get nothing done", refutes=True,
        shown=tuple(env.shown.items()),
    )  # fmt: skip
