"""One-step facts of a policy: what each insertion and each stint does to keys and vtimes.

Input: a typed policy, `Parameters`, a queue and what is claimed of it. Output: queries. Invariant:
expressions are evaluated by the one interpreter, over terms; nothing is claimed here that isn't a
query's goal.
"""

from __future__ import annotations

import z3

from schedc.ir import nodes as ir
from schedc.ir.nodes import Interval
from schedc.ir.print import time
from schedc.ir.semantics import clamp
from schedc.prove.parameters import Parameters
from schedc.prove.solve import Query
from schedc.prove.terms import Environment, Term, Terms
from schedc.prove.windows import all_of, key_of, rules_of, vtimes

_CHARGE = "charge each stint: `task.used += charge(ran)` in `on stop`"


def _drift_hint(queue: ir.Queue) -> str:
    return f"declare `drift 1/64` on `{queue.name}`: the bound then needs no charges"


# --- no newcomer goes before a task that has waited for so long -----------------------------------


def passed_now(queue: ir.Queue, reach: Interval) -> Query:
    """NOW: keys are real time and something; after Dmax - Dmin, newcomers' are not lower."""
    delay = reach.high - reach.low
    since, now, own, new = z3.Ints("since now own.key new.key")
    return _passed(
        queue, f"key - now lies in {_span(reach)}", delay,
        [since >= 0, own <= since + reach.high, new >= now + reach.low, now >= since + delay],
        new >= own,
    )  # fmt: skip


def passed_drift(queue: ir.Queue, reach: Interval, shift: int) -> Query:
    """K2: the clock is a part that never falls, and real time over 2^k; so it gains the window
    within 2^k (L + H + 1)."""
    delay = (reach.high - reach.low + 1) << shift
    since, now, own, new = z3.Ints("since now own.key new.key")
    before, after = z3.Ints("stored.before stored.after")
    one = 1 << shift
    return _passed(
        queue, f"the clock gains 1/{one} of real time, and keys lie in {_span(reach)} of it", delay,
        [since >= 0, after >= before, now >= since + delay,
         own <= before + since / one + reach.high, new >= after + now / one + reach.low],
        new >= own,
    )  # fmt: skip


def _passed(
    queue: ir.Queue, why: str, delay: int, hypotheses: list[z3.BoolRef], goal: z3.BoolRef
) -> Query:
    return Query(
        f"fact.{queue.name}.passed", "starvation-free",
        f"once a task has waited in {queue.name} for {time(delay)}, nobody who is queued later "
        f"goes before it, whatever the weights: {why}",
        queue.span, tuple(hypotheses), goal,
    )  # fmt: skip


def _span(reach: Interval) -> str:
    low = f"-{time(-reach.low)}" if reach.low < 0 else time(reach.low)
    return f"{low}..{time(reach.high)}"


# --- a vtime without drift ------------------------------------------------------------------------


def led(policy: ir.Policy, parameters: Parameters, queue: ir.Queue, lead: int) -> Query:
    """A key is at least its task's vtime plus the lead, unless the window's upper end cuts it."""
    assert queue.window is not None
    hypotheses: list[z3.BoolRef] = []
    goals: list[Term] = []
    for rule in rules_of(policy, queue):
        env = Environment(policy, parameters, prefix=f"{rule.cls}.")
        key, vtime = key_of(env, rule, queue), _task_vtime(env, queue)
        clock = env.read(_clock(queue))
        goals.append(z3.Or(key >= vtime + lead, key >= clock + queue.window.high))
        hypotheses += env.hypotheses()
    return Query(
        f"fact.{queue.name}.lead", "starvation-free",
        f"a key of {queue.name} is at least the task's vtime"
        + (f" less {time(-lead)}" if lead else ""),
        queue.span, tuple(hypotheses), all_of(goals), hint=_drift_hint(queue),
        reason=f"a key of `{queue.name}` may be lower than its task's vtime allows",
    )  # fmt: skip


def monotone(policy: ir.Policy, parameters: Parameters, queue: ir.Queue) -> Query:
    """No event but the window lowers a task's vtime."""
    hypotheses: list[z3.BoolRef] = []
    goals: list[Term] = []
    for event in ir.EVENTS:
        body = policy.events.get(event, ())
        env = Environment(policy, parameters, prefix=f"{event}.")
        before = _task_vtime(env, queue)
        env.run(body)
        goals.append(_task_vtime(env, queue) >= before)
        hypotheses += env.hypotheses()
    return Query(
        f"fact.{queue.name}.monotone", "starvation-free",
        f"no event lowers a task's vtime on the clock of {queue.name}", queue.span,
        tuple(hypotheses), all_of(goals), hint=_drift_hint(queue),
        reason=f"an event may lower a task's vtime on the clock of `{queue.name}`",
    )  # fmt: skip


def charged(policy: ir.Policy, parameters: Parameters, queue: ir.Queue, weight: int) -> Query:
    """Each stint moves the vtime by at least its time (as far as it is charged) at this weight."""
    env = Environment(policy, parameters)
    before = _task_vtime(env, queue)
    ran = env.read(ir.FactRef("ran", ir.Type(ir.Kind.TIME), queue.span))
    env.run(policy.events.get("stop", ()))
    charge = _task_vtime(env, queue) - before
    counted = clamp(Terms(), ran, 0, policy.stint_max_ns)
    return Query(
        f"fact.{queue.name}.charge", "starvation-free",
        f"whenever a task stops, its vtime on the clock of {queue.name} rises, by at least 100 / "
        f"{weight} of what it ran (of {time(policy.stint_max_ns)} at most)",
        queue.span, tuple(env.hypotheses()),
        all_of([charge >= 1, weight * charge >= 100 * counted]),
        hint=f"{_CHARGE}; or {_drift_hint(queue)}",
        reason=f"a stint from `{queue.name}` may go uncharged",
    )  # fmt: skip


def newcomer(policy: ir.Policy, parameters: Parameters, queue: ir.Queue, weight: int) -> Query:
    """E2: a new task starts behind the clock by the charge of the longest slice."""
    env = Environment(policy, parameters)
    type = ir.Type(ir.Kind.TIME)
    own = ir.FactRef("weight", ir.Type(ir.Kind.WEIGHT), queue.span)
    slice_ = ir.Const(queue.slice_max_ns, type, queue.span)
    start = env.evaluate(ir.Charge(slice_, own, False, type, queue.span))
    goal = all_of([weight * start >= 100 * queue.slice_max_ns])
    return Query(
        f"fact.{queue.name}.newcomer", "starvation-free",
        f"a new task starts behind the clock of {queue.name} by at least 100 / {weight} of the "
        f"longest slice, {time(queue.slice_max_ns)}: forking buys nothing",
        queue.span, tuple(env.hypotheses()), goal,
    )  # fmt: skip


def _clock(queue: ir.Queue) -> ir.QueueFact:
    return ir.QueueFact("clock", queue.name, ir.Type(ir.Kind.VTIME, queue.clock), queue.span)


def _task_vtime(env: Environment, queue: ir.Queue) -> Term:
    """The task's own vtime on the queue's clock, as it is now. A policy has one; without any, a
    number that nothing bounds, so that no claim about it holds."""
    for ref in vtimes(env.policy, queue):
        if ref.scope == "task":
            return env.read(ref)
    return env.fresh("no.vtime", None, None)


__all__ = [
    "Query", "charged", "led", "monotone", "newcomer", "passed_drift", "passed_now",
]  # fmt: skip
