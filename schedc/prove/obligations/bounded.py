"""bounded: nothing leaves its range, for the whole range of every tunable.

Input: a typed policy and `Parameters`. Output: queries: states stay in their ranges (inductively:
from states in range, through every event), no expression overflows or divides by 0, slices and keys
are in range, indexes too, and a callback does a bounded amount of work. Invariant: exact where the
policy is linear; a product or quotient of variables is known by its bounds, and then a failure is
no refutation.
"""

from __future__ import annotations

from collections.abc import Iterator

import z3

from schedc.ir import nodes as ir
from schedc.ir.interval import S64
from schedc.ir.nodes import Interval, Kind, Op
from schedc.ir.semantics import clamp
from schedc.ir.walk import children, roots
from schedc.prove.cost import BATCH, LOOKS_MAX, costs, moves
from schedc.prove.machine import MAX_CLASSES, MAX_CPUS, MAX_LINES, MAX_LLCS, MAX_NODES, cgroup_slots
from schedc.prove.parameters import Parameters
from schedc.prove.solve import Query
from schedc.prove.terms import Environment, Term, Terms, every
from schedc.source import Span

SLICE_MIN_NS = 100_000
SLICE_MAX_NS = 1_000_000_000
NEAR = 1 << 60
FAR = 1 << 61
CLOCK_MAX = 1 << 62
"""E7: clocks stay below it for a year, so that what is as near to one as that doesn't overflow.
Keys within `FAR` of a clock are ordered right."""


def bounded(policy: ir.Policy, parameters: Parameters) -> Iterator[Query]:
    """All of them, in a fixed order."""
    yield from _states(policy, parameters)
    yield _arithmetic(policy, parameters)
    yield _slices(policy, parameters)
    if any(rule.key is not None for rule in policy.rules):
        yield _keys(policy, parameters)
    yield _indexes(policy)
    yield _moves(policy)
    yield _cost(policy)


def _query(
    env: Environment, name: str, statement: str, span: Span, goals: list[Term], reason: str,
    hint: str = "",
) -> Query:  # fmt: skip
    exact = not env.abstractions
    return Query(
        f"bounded.{name}", "bounded", statement, span, tuple(env.hypotheses()),
        every(goals), hint, reason, exact, tuple(env.shown.items()),
    )  # fmt: skip


def _inside(term: Term, limits: Interval) -> list[Term]:
    return [limits.low <= term, term <= limits.high]


# --- states ---------------------------------------------------------------------------------------


def _states(policy: ir.Policy, parameters: Parameters) -> Iterator[Query]:
    """Initial values, then what each event makes of states that are in range."""
    env = Environment(policy, parameters)
    goals: list[Term] = []
    for state in policy.states:
        if state.initial is not None and state.type.kind is not Kind.BOOL:
            goals += _inside(env.evaluate(state.initial), Interval(state.low, state.high))
    if goals:
        yield _query(
            env, "initial", "every state begins in its range", policy.states[0].span, goals,
            "an initial value is out of range",
        )  # fmt: skip
    for event in ir.EVENTS:
        if policy.events.get(event):
            yield _event(policy, parameters, event, policy.events[event])


def _event(
    policy: ir.Policy, parameters: Parameters, event: ir.EventName, body: tuple[ir.Assign, ...]
) -> Query:
    env = Environment(policy, parameters)
    goals: list[Term] = []
    for assign in body:
        if assign.target.type.kind is Kind.VTIME:
            env.assume(z3.And(*_near(env, policy, assign.target, env.read(assign.target), NEAR)))
    for assign in body:
        state = policy.state(assign.target.scope, assign.target.name)
        value = _stored(env, assign, state)
        if state.type.kind is Kind.VTIME:
            goals += _near(env, policy, assign.target, value, CLOCK_MAX - 1)
        elif state.type.kind is not Kind.BOOL:
            goals += _inside(value, Interval(state.low, state.high))
        env.assign(state.scope, state.name, value)
    return _query(
        env, f"on.{event}", f"`on {event}` leaves every state in its range", body[0].span, goals,
        f"`on {event}` may take a state out of its range",
    )  # fmt: skip


def _stored(env: Environment, assign: ir.Assign, state: ir.State) -> Term:
    """What the generated code stores: it saturates only where it was found to be needed."""
    value = env.evaluate(assign.value)
    if state.type.kind not in (Kind.BOOL, Kind.VTIME):
        limits = Interval(state.low, state.high)
        value = _saturated(value, assign, limits)
    if assign.when is None:
        return value
    return Terms().choose(env.evaluate(assign.when), value, env.read(assign.target))


def _saturated(value: Term, assign: ir.Assign, limits: Interval) -> Term:
    low = limits.low if assign.clamp_low else -CLOCK_MAX
    high = limits.high if assign.clamp_high else CLOCK_MAX
    if not assign.clamp_low and not assign.clamp_high:
        return value
    return clamp(Terms(), value, low, high)


def _near(
    env: Environment, policy: ir.Policy, ref: ir.StateRef, value: Term, far: int
) -> list[Term]:
    """How far a vtime is from its clock. It isn't saturated: the window clamps it at the next
    insertion, if it hasn't wrapped by then."""
    queue = next(queue for queue in policy.queues if queue.clock == ref.type.clock)
    clock = env.read(ir.QueueFact("clock", queue.name, ref.type, ref.span))
    return [value - clock <= far, clock - value <= far]


# --- expressions ----------------------------------------------------------------------------------


def _arithmetic(policy: ir.Policy, parameters: Parameters) -> Query:
    env = Environment(policy, parameters)
    goals: list[Term] = []
    seen: dict[int, ir.Expr] = {}
    for root in roots(policy):
        _visit(env, root, seen, goals)
    return _query(
        env, "arithmetic",
        "no value or intermediate product leaves 64 bits, and divisors are at least 1",
        policy.span, goals or [True], "an expression may overflow, or divide by 0",
    )  # fmt: skip


def _visit(env: Environment, root: ir.Expr, seen: dict[int, ir.Expr], goals: list[Term]) -> None:
    """Goals about every node of an expression, each once."""
    stack = [root]
    while stack:
        expr = stack.pop()
        if id(expr) in seen:
            continue
        seen[id(expr)] = expr
        stack.extend(children(expr))
        for goal in _node(env, expr):
            if not isinstance(goal, bool) or not goal:
                goals.append(goal)


def _node(env: Environment, expr: ir.Expr) -> list[Term]:
    """What must hold of one node, given its operands."""
    match expr:
        case ir.Apply(op=Op.ADD | Op.SUB | Op.MUL | Op.NEG | Op.SUB_SAT | Op.ABS_DIFF):
            return _inside(env.evaluate(expr), S64)
        case ir.Apply(op=Op.DIV, args=(dividend, divisor)):
            return [env.evaluate(dividend) >= 0, env.evaluate(divisor) >= 1]
        case ir.Apply(op=Op.SDIV, args=(_, divisor)):
            return [env.evaluate(divisor) >= 1]
        case ir.Charge(value=value, weight=weight, stint=stint):
            amount, divisor = env.evaluate(value), env.evaluate(weight)
            low, high = (ir.CHARGE_MIN_NS, env.policy.stint_max_ns) if stint else (0, S64.high)
            amount = clamp(Terms(), amount, low, high)
            return [divisor >= 1, *_inside(100 * amount + divisor - 1, S64)]
        case ir.Ewma(average=average, sample=sample, numerator=part, denominator=whole):
            kept = env.evaluate(average) * (whole - part)
            added = env.evaluate(sample) * part
            total = kept + added
            if expr.type.kind is not Kind.LAG:
                return [*_inside(kept, S64), *_inside(added, S64), *_inside(total, S64), total >= 0]
            return [*_inside(kept, S64), *_inside(added, S64), *_inside(total, S64)]
    return []


def _slices(policy: ir.Policy, parameters: Parameters) -> Query:
    env = Environment(policy, parameters)
    goals: list[Term] = []
    for rule in policy.rules:
        given = rule.slice
        if isinstance(given, ir.SliceUnlimited):
            term, low = env.evaluate(given.contended), SLICE_MIN_NS
        else:
            term, low = env.evaluate(given.value), given.low
        high = min(given.high, SLICE_MAX_NS, policy.queue(rule.queue).slice_max_ns)
        goals += [*_inside(term, Interval(low, high)), term >= SLICE_MIN_NS]
    return _query(
        env, "slices", "every slice lies between 100us and the longest that the proof counts with",
        policy.rules[0].slice.span, goals, "a slice may be out of range",
        hint="bound it: `clamp(…, 1ms, 40ms)`",
    )  # fmt: skip


def _keys(policy: ir.Policy, parameters: Parameters) -> Query:
    """The key after the window's clamp; the clock is anything that a year allows (E7)."""
    env = Environment(policy, parameters)
    goals: list[Term] = []
    for rule in policy.rules:
        queue = policy.queue(rule.queue)
        if rule.key is None or queue.window is None:
            continue
        clock = env.fresh(f"at.{rule.cls}", -CLOCK_MAX, CLOCK_MAX)
        low, high = clock + queue.window.low, clock + queue.window.high
        value = env.fresh(f"key.{rule.cls}", S64.low, S64.high)
        below = z3.If(value < low, low, value)
        key = z3.If(below > high, high, below)
        goals += [
            *_inside(key - clock, queue.window), *_inside(key - clock, Interval(-FAR, FAR)),
            *_inside(low, S64), *_inside(high, S64), z3.BoolVal(queue.window.low <= 0),
            z3.BoolVal(queue.window.high >= 0),
        ]  # fmt: skip
    first = next(rule for rule in policy.rules if rule.key is not None)
    return _query(
        env, "keys", "every key lies in its queue's window, and near enough to the clock for the "
        "kernel's order", policy.queue(first.queue).span, goals, "a key may leave its window",
    )  # fmt: skip


# --- generated code -------------------------------------------------------------------------------


def _indexes(policy: ir.Policy) -> Query:
    """Whatever is used as an index is masked by the size less one, which is a power of two."""
    goals = []
    sizes = {"cpu": MAX_CPUS, "llc": MAX_LLCS, "node": MAX_NODES, "line": MAX_LINES}
    sizes["cgroup"] = cgroup_slots(policy)
    for name, size in sizes.items():
        index = z3.BitVec(f"index.{name}", 32)
        goals.append(z3.ULT(index & z3.BitVecVal(size - 1, 32), size))
    portions = sum(len(line.portions) for line in policy.dispatch if isinstance(line, ir.Share))
    counted = {
        "classes": (len(policy.classes), MAX_CLASSES),
        "lines": (len(policy.dispatch), MAX_LINES),
        "portions": (portions, MAX_LINES),
    }
    for name, (used, size) in counted.items():
        index = z3.BitVec(f"index.{name}", 32)
        goals.append(z3.Implies(z3.ULT(index, used), z3.ULT(index, size)))
    return Query(
        "bounded.indexes", "bounded", "every index is below the size of its array", policy.span,
        (), z3.And(*goals), hint="write fewer",
        reason="more classes, lines or portions of `share` than there is room for",
    )  # fmt: skip


def _moves(policy: ir.Policy) -> Query:
    most = z3.Int("moves")
    made = moves(policy)
    return Query(
        "bounded.moves", "bounded",
        f"one call of dispatch moves at most {made} task, which is within the kernel's batch",
        policy.dispatch[0].span, (most >= 0, most <= made), most <= BATCH,
    )  # fmt: skip


def _cost(policy: ir.Policy) -> Query:
    """Loops are over cpus, caches, nodes, control groups: the machine's size is a symbol."""
    size = {name: z3.Int(name) for name in ("cpus", "llcs", "nodes", "cgroups")}
    limits = {"cpus": MAX_CPUS, "llcs": MAX_LLCS, "nodes": MAX_NODES}
    found = costs(policy)
    limits["cgroups"] = found.cgroups
    hypotheses = [
        bound for name, term in size.items() for bound in (term >= 1, term <= limits[name])
    ]
    goals = [
        sum((size[name] * times for name, times in cost.items() if name in size), cost.get("", 0))
        <= LOOKS_MAX
        for cost in found.callbacks.values()
    ]
    return Query(
        "bounded.cost", "bounded",
        f"no callback looks at queues or cpus more than {LOOKS_MAX} times, on the largest machine",
        policy.span, tuple(hypotheses), z3.And(*goals),
        hint="assume fewer control groups", reason="a callback may take too long",
    )  # fmt: skip
