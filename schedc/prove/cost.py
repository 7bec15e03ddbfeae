"""How much work a callback does, at most: looks at queues and at cpus.

Input: a typed policy. Output: for each callback that loops, how often it looks, as a linear form
in the number of cpus, caches, nodes and control groups. Invariant: an upper bound on what
`schedc.emit` writes; a look that itself searches a mask counts once. How long one takes is E12.
"""

from __future__ import annotations

from collections import Counter

from schedc.ir import nodes as ir
from schedc.prove.machine import MAX_CPUS, cgroup_slots, queues_of
from schedc.records import dataclass

LOOKS_MAX = 1 << 20
"""At some 100 ns each, a tenth of a second: far below any watchdog, and rare."""

BATCH = 32
"""`dispatch_max_batch`: how many tasks the kernel lets one call move."""

Cost = Counter[str]
"""Looks per cpu, llc, node or cgroup ("cpus", …), and those that there are always ("")."""


@dataclass(frozen=True, slots=True)
class Costs:
    """`callbacks`: by name. `cgroups`: how many control groups are told apart."""

    callbacks: dict[str, Cost]
    cgroups: int


def costs(policy: ir.Policy) -> Costs:
    """Of every callback that loops."""
    found = {"dispatch": _dispatch(policy), "select_cpu": _place(policy)}
    unlimited = any(isinstance(rule.slice, ir.SliceUnlimited) for rule in policy.rules)
    if policy.caps or policy.pack is not None or unlimited:
        found["timer"] = _timer(policy)
    return Costs(found, cgroup_slots(policy))


def moves(policy: ir.Policy) -> int:
    """Tasks that one call of `dispatch` moves: each line that moves one returns."""
    return 1 if any(queues_of(line) for line in policy.dispatch) else 0


def _once(queue: ir.Queue) -> Cost:
    """One try of a queue from one cpu."""
    return Counter({"cgroups" if queue.domain == "cgroup" else "": 1})


def _times(cost: Cost, factor: int) -> Cost:
    return Counter({name: count * factor for name, count in cost.items()})


def _dispatch(policy: ir.Policy) -> Cost:
    """All lines fail, and the last of them is the last try."""
    total: Cost = Counter()
    for line in policy.dispatch:
        total.update(_line(policy, line))
        if isinstance(line, ir.Take) and line.limit is not None:
            total.update(_once(policy.queue(line.queue)))  # tried again when nothing else is left
    return total


def _line(policy: ir.Policy, line: ir.Line) -> Cost:
    queues = [policy.queue(name) for name in queues_of(line)]
    total: Cost = Counter()
    for queue in queues:
        total.update(_once(queue))
    match line:
        case ir.Take():
            total.update({"": 2})  # the head's key, or how long it has waited
        case ir.Share():
            # Each turn finds the least served; the one that is served looks at the others.
            total.update({"": len(queues) ** 2})
            for queue in queues:
                total.update(_once(queue))
        case ir.Lowest():
            for queue in queues:
                total.update(_times(_once(queue), 2))  # whether somebody waits, and the head
            total.update({"": 1})
        case ir.Steal(pick=pick):
            family = {"cpu": "cpus", "llc": "llcs", "node": "nodes"}[queues[0].domain]
            return Counter({family: 1, "": (pick or 0) + 1})
        case ir.Keep():
            total.update({"": 1})
    return total


def _place(policy: ir.Policy) -> Cost:
    """Every rung once within the class's set and once without, then the kick."""
    return Counter({"": 2 * max(map(len, policy.places), default=0) + 2})


def _timer(policy: ir.Policy) -> Cost:
    """On each cpu, for each class that it watches, whether anybody waits in any queue. A product of
    two sizes: the cpus are taken as many as there can be."""
    watched = sum(isinstance(rule.slice, ir.SliceUnlimited) for rule in policy.rules)
    total: Cost = Counter()
    for queue in policy.queues:
        total.update(_times(_once(queue), watched))
    for cap in policy.caps:
        rule = next(rule for rule in policy.rules if rule.cls == cap.cls)
        total.update(_once(policy.queue(rule.queue)))
    per_cpu = total.pop("", 0)
    total.update({"cpus": per_cpu + 2})  # itself, and whether it is to stay awake
    return Counter(
        {name: count * (MAX_CPUS if name == "cgroups" else 1) for name, count in total.items()}
    )
