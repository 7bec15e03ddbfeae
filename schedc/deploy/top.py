"""`top`: what a policy does just now, class by class.

Input: a state and the rates up to it. Output: lines of text (for `--once` and logs; a terminal gets
the same lines, renewed), JSON values. Invariant: pure.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from schedc.deploy.rates import ClassRate, Rates
from schedc.deploy.show import bound_text, status_lines, table, wait_text
from schedc.deploy.state import State

NOT_COUNTED = "not counted: sudo sysctl kernel.bpf_stats_enabled=1 lets the kernel count it"


def lines(state: State, rates: Rates | None, now: float, cpus: int) -> list[str]:
    """Head, classes, queues, cost and events."""
    if state.policy is None or rates is None:
        return status_lines(state, now)
    head = status_lines(state, now)[0]
    found = [f"{head}; over {rates.seconds:.1f} s", "", *_classes(rates)]
    if rates.queues:
        found += ["", *_queues(rates)]
    found += ["", f"  the policy itself: {_cost(rates, cpus)}"]
    if rates.events:
        shown = ", ".join(f"{name} {count}" for name, count in rates.events.items())
        found.append(f"  events: {shown}")
    return found


def _classes(rates: Rates) -> list[str]:
    head = ("class", "enqueued/s", "run/s", "preempted/s", "cpus", "wait p50", "p99", "max",
            "proved", "max of it")  # fmt: skip
    return table(head, [_class(one) for one in rates.classes])


def _class(one: ClassRate) -> tuple[str, ...]:
    part = one.of_bound
    return (
        one.name, _rate(one.enqueued), _rate(one.run), _rate(one.preempted), f"{one.share:.2f}",
        wait_text(one.p50), wait_text(one.p99), wait_text(one.longest),
        bound_text(one.bound.wait_ms) if one.bound else "-",
        "-" if part is None else f"{100 * part:.2g}%",
    )  # fmt: skip


def _queues(rates: Rates) -> list[str]:
    head = ("queue", "inserted/s", "taken/s", "stolen/s", "skipped/s")
    return table(head, [
        (one.name, _rate(one.inserted), _rate(one.taken), _rate(one.stolen), _rate(one.skipped))
        for one in rates.queues
    ])  # fmt: skip


def _cost(rates: Rates, cpus: int) -> str:
    if rates.cost is None or rates.per_call_ns is None:
        return NOT_COUNTED
    return (
        f"{100 * rates.cost:.2g}% of one cpu, {100 * rates.cost / max(cpus, 1):.2g}% of all "
        f"{cpus}; {_rate(rates.calls)} callbacks/s of {rates.per_call_ns:.0f} ns"
    )


def _rate(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def as_json(state: State, rates: Rates | None, now: float, cpus: int) -> dict[str, Any]:
    """The same with every digit."""
    policy = state.policy
    return {
        "at": now, "cpus": cpus,
        "policy": None if policy is None else {
            "name": policy.name, "version": policy.version, "stage": policy.stage,
            "object": policy.object,
        },
        "rates": None if rates is None else {
            **dataclasses.asdict(rates), "events": dict(rates.events),
            "cost_of_all": None if rates.cost is None else rates.cost / max(cpus, 1),
        },
    }  # fmt: skip
