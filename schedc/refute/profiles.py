"""Tasks that match a class: the facts that their environment chooses.

Input: a typed policy. Output: for each class, a few profiles under which a task may be of it.
Invariant: conditions on what a task does (its state, bursts, queues' lengths) are left open: the
behaviours of `strategies` decide them, and `thresholds` says which lengths of a burst matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product

from schedc.ir import nodes as ir
from schedc.ir.nodes import Kind, Op
from schedc.ir.semantics import Leaf, evaluate, matches
from schedc.ir.walk import everywhere, subexpressions
from schedc.model.world import Profile
from schedc.records import dataclass

_OF_NICE = (
    88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916,
    9548, 7620, 6100, 4904, 3906, 3121, 2501, 1991, 1586, 1277,
    1024, 820, 655, 526, 423, 335, 272, 215, 172, 137,
    110, 87, 70, 56, 45, 36, 29, 23, 18, 15,
)  # fmt: skip
"""The kernel's weight of each nice value, from -20 (sched_prio_to_weight)."""

_STATIC = {"weight", "nice", "kthread", "pinned", "allowed_cpus", "uid", "tgid", "cgroup_weight"}
_MOST_ATOMS = 8
_MOST_TRIED = 4096


def weight_of(nice: int) -> int:
    """The weight that sched_ext is told for a nice value: nice 0 is 100."""
    return max(1, (_OF_NICE[nice + 20] * 100 + 512) // 1024)


@dataclass(frozen=True, slots=True)
class Shape:
    """A profile, and whether its tasks are bound to one cpu (which one is the scenario's)."""

    profile: Profile
    bound: bool


@dataclass(frozen=True, slots=True)
class Shapes:
    """Of one class: the plainest shape and the lightest, the plainest and the heaviest."""

    light: tuple[Shape, ...] = ()
    heavy: tuple[Shape, ...] = ()


def shapes(policy: ir.Policy, cpus: int) -> dict[str, Shapes]:
    """For each class the shapes of tasks that may be of it on a machine of so many cpus."""
    found: dict[str, list[Shape]] = {cls.name: [] for cls in policy.classes}
    for shape in _candidates(policy, cpus):
        for name in possible(policy, shape, cpus):
            found[name].append(shape)
    return {name: _few(policy, several) for name, several in found.items()}


def _few(policy: ir.Policy, several: list[Shape]) -> Shapes:
    if not several:
        return Shapes()
    plain = several[:1]
    plain += [one for one in several if one.bound != plain[0].bound][:1]
    if not weighs(policy):
        return Shapes(tuple(plain), tuple(plain))
    low, high = policy.weight.low, policy.weight.high
    clamped = [min(max(one.profile.weight, low), high) for one in several]
    lightest, heaviest = (several[clamped.index(best(clamped))] for best in (min, max))
    return Shapes(
        tuple(dict.fromkeys([*plain, lightest])), tuple(dict.fromkeys([*plain, heaviest]))
    )


def weighs(policy: ir.Policy) -> bool:
    """Whether weights matter to the policy."""
    return any(
        isinstance(e, ir.FactRef) and e.name in ("weight", "nice") for e in everywhere(policy)
    )


def thresholds(policy: ir.Policy) -> tuple[int, ...]:
    """Times that conditions of classes and events compare with, in ns, ascending; defaults of
    tunables."""
    conditions = [cls.when for cls in policy.classes]
    conditions += [assign.when for body in policy.events.values() for assign in body]
    found = set()
    for condition in conditions:
        for expr in subexpressions(condition) if condition is not None else ():
            if not isinstance(expr, (ir.Const, ir.TuneRef)) or expr.type.kind is not Kind.TIME:
                continue
            found.add(expr.value if isinstance(expr, ir.Const) else policy.tune(expr.name).value)
    return tuple(sorted(value for value in found if value > 0))


def names(policy: ir.Policy) -> tuple[bytes, ...]:
    """A task name for each pattern of the policy, and one that matches none."""
    found: list[bytes] = []
    for expr in everywhere(policy):
        if isinstance(expr, ir.MatchComm):
            found += [pattern.text for pattern in expr.patterns]
    return tuple(dict.fromkeys([b"task", *found]))


# --- candidates ----------------------------------------------------------------------------------


def _candidates(policy: ir.Policy, cpus: int) -> Iterator[Shape]:
    """Shapes from the plainest on, over the values that the conditions ask for."""
    facts = _asked(policy)
    exes = [-1, *range(len(policy.exes))]
    groups = [frozenset[int](), *(_within(policy, i) for i in range(len(policy.cgroup_paths)))]
    spread = product(
        names(policy),
        exes,
        groups,
        (False, True) if {"pinned", "allowed_cpus"} & facts and cpus > 1 else (False,),
        (False, True) if "kthread" in facts else (False,),
        _numbers(policy, "uid", 1000),
        _numbers(policy, "tgid", 0),
        _nices(policy),
    )
    for number, (comm, exe, within, bound, kthread, uid, tgid, nice) in enumerate(spread):
        if number >= _MOST_TRIED:
            return
        profile = Profile(
            weight=weight_of(nice), nice=nice, kthread=kthread, comm=comm, exe=exe,
            within=within, cgroup=max(within, default=-1) + 1, uid=uid, tgid=tgid,
        )  # fmt: skip
        yield Shape(profile, bound)


def _asked(policy: ir.Policy) -> set[str]:
    return {e.name for e in everywhere(policy) if isinstance(e, ir.FactRef)}


def _within(policy: ir.Policy, index: int) -> frozenset[int]:
    """The paths that a task of this control group is in: its own, and those above."""
    path = policy.cgroup_paths[index]
    return frozenset(
        i
        for i, other in enumerate(policy.cgroup_paths)
        if path == other or path.startswith(other.rstrip(b"/") + b"/")
    )


def _compared(policy: ir.Policy, fact: str) -> list[int]:
    """Constants that the classes compare a fact with."""
    found = []
    for cls in policy.classes:
        for expr in subexpressions(cls.when) if cls.when is not None else ():
            if isinstance(expr, ir.Apply) and len(expr.args) == 2:
                sides = expr.args
                if any(isinstance(side, ir.FactRef) and side.name == fact for side in sides):
                    found += [side.value for side in sides if isinstance(side, ir.Const)]
                    tunes = [side.name for side in sides if isinstance(side, ir.TuneRef)]
                    found += [policy.tune(name).value for name in tunes]
    return found


def _numbers(policy: ir.Policy, fact: str, plain: int) -> list[int]:
    around = {value + step for value in _compared(policy, fact) for step in (-1, 0, 1)}
    return [plain, *sorted(value for value in around if value >= 0 and value != plain)]


def _nices(policy: ir.Policy) -> list[int]:
    """Nice values, the plainest first: 0, the ends, and those next to every threshold."""
    wanted = {-20, 19}
    wanted |= {v + step for v in _compared(policy, "nice") for step in (-1, 0, 1)}
    for weight in _compared(policy, "weight"):
        at_least = [nice for nice in range(-20, 20) if weight_of(nice) >= weight]
        wanted |= {max(at_least), max(at_least) + 1} if at_least else {-20}
    rest = sorted(nice for nice in wanted if -20 <= nice <= 19 and nice != 0)
    return [0, *rest] if weighs(policy) else [0]


# --- which classes a shape may be of -------------------------------------------------------------


def possible(policy: ir.Policy, shape: Shape, cpus: int) -> Iterator[str]:
    """Classes that tasks of a shape may be of, whatever they do."""
    conditions = [cls.when for cls in policy.classes]
    atoms = _open_atoms(conditions)
    reached = set()
    for values in product((False, True), repeat=len(atoms)):
        open_values = dict(zip(atoms, values, strict=True))
        for cls in policy.classes:
            if cls.when is None or _holds(policy, cls.when, shape, cpus, open_values):
                reached.add(cls.name)
                break
    yield from (cls.name for cls in policy.classes if cls.name in reached)


_BOOLEAN = (Op.AND, Op.OR, Op.NOT)


def _open_atoms(conditions: Iterable[ir.Expr | None]) -> list[ir.Expr]:
    """Comparisons whose outcome depends on what a task does."""
    found: dict[ir.Expr, None] = {}
    stack = [expr for expr in conditions if expr is not None]
    while stack:
        expr = stack.pop(0)
        if isinstance(expr, ir.Apply) and expr.op in _BOOLEAN:
            stack += expr.args
        elif any(_depends(part) for part in subexpressions(expr)):
            found[expr] = None
    return list(found)[:_MOST_ATOMS]


def _depends(expr: ir.Expr) -> bool:
    match expr:
        case ir.StateRef() | ir.QueueFact() | ir.IsClass():
            return True
        case ir.FactRef(name=name):
            return name not in _STATIC and name != "cpus"
    return False


def _holds(
    policy: ir.Policy, expr: ir.Expr, shape: Shape, cpus: int, open_values: dict[ir.Expr, bool]
) -> bool:
    if expr in open_values:
        return open_values[expr]
    if isinstance(expr, ir.Apply) and expr.op in _BOOLEAN:
        parts = [_holds(policy, arg, shape, cpus, open_values) for arg in expr.args]
        match expr.op:
            case Op.AND:
                return all(parts)
            case Op.OR:
                return any(parts)
        return not parts[0]
    if any(_depends(part) for part in subexpressions(expr)):
        return False  # beyond the atoms that are tried
    return bool(evaluate(expr, lambda leaf: _read(policy, leaf, shape, cpus), policy.stint_max_ns))


def _read(policy: ir.Policy, leaf: Leaf, shape: Shape, cpus: int) -> int:
    profile = shape.profile
    match leaf:
        case ir.TuneRef(name=name):
            return policy.tune(name).value
        case ir.MatchComm(patterns=patterns):
            return any(matches(pattern, profile.comm) for pattern in patterns)
        case ir.MatchPath(kind="exe", indices=indices):
            return profile.exe in indices
        case ir.MatchPath(indices=indices):
            return not profile.within.isdisjoint(indices)
        case ir.FactRef(name="pinned"):
            return shape.bound or cpus == 1
        case ir.FactRef(name="allowed_cpus"):
            return 1 if shape.bound else cpus
        case ir.FactRef(name="cpus"):
            return cpus
        case ir.FactRef(name="weight"):
            return min(max(profile.weight, policy.weight.low), policy.weight.high)
        case ir.FactRef(name=name):
            return int(getattr(profile, name))
    raise AssertionError(f"an open leaf: {leaf}")
