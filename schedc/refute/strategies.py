"""Which scripted adversaries are tried, the plainest first.

Input: a typed policy, narrowed to the parameters. Output: scenarios in a fixed order: for each
machine, each class of victims, each cast of competitors. Invariant: the order is from few tasks and
plain behaviours on, so that the first one that starves a victim is worth showing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from schedc.ir import nodes as ir
from schedc.ir.nodes import CHARGE_MIN_NS
from schedc.ir.walk import everywhere, facts_used
from schedc.model.world import Profile, Topology
from schedc.refute.profiles import Shape, names, shapes, thresholds
from schedc.refute.scenario import Behaviour, Past, Scenario

_STEP_NS = 1_000

_AWHILE, _LONG = 24, 600
_PASTS: tuple[tuple[int, Past, int], ...] = (
    (0, "new", 0), (1, "ran", _AWHILE), (0, "ran", _AWHILE), (1, "new", 0),
)  # fmt: skip
_LEARNT: tuple[tuple[int, Past, int], ...] = (
    (16, "new", 0), (16, "ran", _AWHILE), (0, "slept", 0), (1, "slept", 0), (16, "slept", 0),
)  # fmt: skip
_LAST: tuple[tuple[int, Past, int], ...] = ((0, "ran", _LONG),)
"""How often the competitors slept before, the victim's past, and stints that it ran alone."""


def topologies(policy: ir.Policy) -> tuple[Topology, ...]:
    """Machines to try. With one cpu every task is bound to it, so where the policy asks for that
    there must be two."""
    one, two = Topology((0,), (0,)), Topology((0, 0), (0, 0))
    apart = Topology((0, 1), (0, 0))
    asks = {"pinned", "allowed_cpus", "cpus", "cpus_idle", "busy"} & facts_used(policy)
    divided = {queue.domain for queue in policy.queues} & {"cpu", "llc", "node"}
    made = [] if asks else [one]
    if asks or divided or any(cls.affinity for cls in policy.classes):
        made.append(two)
    if "llc" in divided:
        made.append(apart)
    return tuple(made)


def scenarios(policy: ir.Policy, topology: Topology, wanted: tuple[str, ...]) -> Iterator[Scenario]:
    """Scenarios on one machine whose victims may be of a wanted class."""
    made = shapes(policy, topology.cpus)
    victims = _distinct(made[name].light for name in wanted)
    rivals = _distinct(several.heavy for several in made.values())
    lengths = (0, *thresholds(policy)[:3])
    for rests, past, alone in [*_PASTS, *(_LEARNT if _learns(policy) else ()), *_LAST]:
        for behaviour in behaviours(policy, lengths):
            for victim, rival in product(victims, rivals):
                yield Scenario(
                    (_placed(victim, 0), *_cast(rival, topology)),
                    (behaviour,) * topology.cpus,
                    crowd=2 if behaviour.how == "sleep" else 1,
                    past=past,
                    rests=rests,
                    alone=alone,
                )


def casts(
    policy: ir.Policy, topology: Topology, wanted: tuple[str, ...]
) -> Iterator[tuple[Profile, ...]]:
    """Profiles of a victim and of its competitors, one a cpu."""
    made = shapes(policy, topology.cpus)
    victims = _distinct(made[name].light for name in wanted)
    rivals = _distinct(several.heavy for several in made.values())
    for rival, victim in product(rivals, victims):
        yield (_placed(victim, 0), *_cast(rival, topology))


def behaviours(policy: ir.Policy, lengths: tuple[int, ...]) -> Iterator[Behaviour]:
    """What competitors do: hogs, tasks that fork and exit, tasks that sleep before a threshold,
    tasks that yield at once, tasks that change their name."""
    yield Behaviour("slice")
    yield Behaviour("exit")
    for length in lengths[1:]:
        yield Behaviour("sleep", length - _STEP_NS)
        yield Behaviour("exit", length - _STEP_NS)
    yield Behaviour("sleep", CHARGE_MIN_NS)
    yield Behaviour("exit", CHARGE_MIN_NS)
    yield Behaviour("yield", CHARGE_MIN_NS)
    comms = names(policy)
    if len(comms) > 1:
        yield Behaviour("slice", 0, comms)


def _learns(policy: ir.Policy) -> bool:
    """Whether what a task did long ago matters: averages, rates."""
    return bool({"wakes", "wakings"} & facts_used(policy)) or any(
        isinstance(expr, ir.Ewma) for expr in everywhere(policy)
    )


def _distinct(several: Iterator[tuple[Shape, ...]]) -> tuple[Shape, ...]:
    return tuple(dict.fromkeys(shape for shapes_ in several for shape in shapes_))


def _placed(shape: Shape, cpu: int) -> Profile:
    """The profile, bound to a cpu if its shape is."""
    return replace(shape.profile, allowed=frozenset({cpu})) if shape.bound else shape.profile


def _cast(shape: Shape, topology: Topology) -> tuple[Profile, ...]:
    """A competitor for each cpu: were one idle, it would take the victim or a competitor."""
    return tuple(_placed(shape, cpu) for cpu in range(topology.cpus))
