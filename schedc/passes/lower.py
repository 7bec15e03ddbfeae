"""Lowering a policy: from symbols to the typed policy, ranges still to be filled in.

Input: symbols whose names are resolved. Output: a `Draft`: an `ir.Policy` if every part of it
could be typed. Invariant: the draft's names are resolved and its expressions well typed; ranges of
states and slices, saturation flags and longest slices hold placeholders until `passes.bounds`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from schedc.ir import nodes as ir
from schedc.ir.nodes import EVENTS
from schedc.passes.declarations import (
    lower_assumptions,
    lower_cpus,
    lower_queue,
    lower_tune,
    out_of_bounds,
)
from schedc.passes.environment import Environment, clock_of, state_types
from schedc.passes.lower_body import lower_assign, lower_rung
from schedc.passes.lower_dispatch import lower_line
from schedc.passes.lower_expr import lower_condition, lower_expr
from schedc.passes.lower_rule import lower_rule
from schedc.passes.lower_state import lower_state
from schedc.passes.names import Names
from schedc.passes.report import Report
from schedc.passes.size import Sizes, check_sizes
from schedc.passes.symbols import Symbols
from schedc.syntax import tree

WATCHDOG_NS = 30 * 1_000_000_000


def lower(symbols: Symbols, names: Names, report: Report) -> ir.Policy | None:
    """Type and lower every part; None if one of them is mistaken."""
    assumptions = lower_assumptions(symbols, report)
    tunes = {name: lower_tune(tune, report) for name, tune in symbols.tunes.items()}
    clocks = {name: clock_of(queue) for name, queue in symbols.queues.items()}
    env = Environment(symbols, report, tunes, clocks, state_types(symbols))
    sizes = Sizes()
    for name in names.let_order:
        env.lets[name] = _let(symbols.lets[name], env, sizes)
    parts = _parts(symbols, env)
    header = symbols.policy.header
    if report.has_errors or header is None:
        return None
    goals = symbols.goal.goals if symbols.goal is not None else ()
    draft = ir.Policy(
        name=header.name.text,
        version=header.version,
        description=_text(header.description),
        goals=tuple(goal.text for goal in goals),
        runnable=assumptions.runnable,
        weight=assumptions.weight,
        cgroups=assumptions.cgroups,
        tunes=_whole(tunes.values()),
        exes=tuple(env.exes),
        cgroup_paths=tuple(env.cgroups),
        slice_max_ns=0,
        span=symbols.policy.span,
        **parts,
    )
    return draft if check_sizes(draft, sizes, report) else None


def _parts(symbols: Symbols, env: Environment) -> dict[str, Any]:
    """The parts of the policy that expressions are in; poison is left out, as it was reported."""
    report = env.report
    queues = [
        lower_queue(queue, index, env.clocks[name], report)
        for index, (name, queue) in enumerate(symbols.queues.items())
    ]
    classes = [_class(cls, index, env) for index, cls in enumerate(symbols.classes.values())]
    rules = {name: lower_rule(rule, env) for name, rule in symbols.rules.items()}
    lines = symbols.dispatch.lines if symbols.dispatch is not None else ()
    _check_unused_place(env)
    return {
        "promises": _whole(_promise(promise, report) for promise in symbols.promises.values()),
        "cpu_sets": _whole(lower_cpus(cpus, report) for cpus in symbols.cpus.values()),
        "queues": _whole(queues),
        "states": _whole(lower_state(state, env) for state in symbols.states.values()),
        "classes": _whole(classes),
        "caps": _whole(_cap(cap, report) for cap in symbols.caps.values()),
        "pack": _pack(symbols.pack, report) if symbols.pack is not None else None,
        "events": {name: _event(symbols.events.get(name), env) for name in EVENTS},
        "places": tuple(_place(name, env) for name in symbols.classes),
        "rules": _whole(rules.get(name) for name in symbols.classes),
        "dispatch": _whole([lower_line(line, env) for line in lines]),
    }


def _let(let: tree.Let, env: Environment, sizes: Sizes) -> ir.Expr | None:
    """The expression that a `let` names; None if it is mistaken or would grow too large."""
    lowered = lower_expr(let.value, env)
    if lowered is None or not sizes.fits(lowered, let.name.span, env.report):
        return None
    return lowered


_Part = TypeVar("_Part")


def _whole(parts: Iterable[_Part | None]) -> tuple[_Part, ...]:
    """The parts that could be lowered. A draft with one missing is thrown away."""
    return tuple(part for part in parts if part is not None)


def _text(description: tree.String | None) -> str:
    return description.value.decode("utf-8", "replace") if description is not None else ""


def _class(cls: tree.Class, index: int, env: Environment) -> ir.Class | None:
    when = lower_condition(cls.when, env) if cls.when is not None else None
    if (when is None) != (cls.when is None):
        return None
    cpus = cls.cpus.text if cls.cpus is not None else None
    if cpus is not None and cpus not in env.symbols.cpus:
        return None
    return ir.Class(cls.name.text, index, when, cls.affinity, cpus, cls.span)


def _event(event: tree.Event | None, env: Environment) -> tuple[ir.Assign, ...]:
    body = event.body if event is not None else ()
    return _whole([lower_assign(assign, env) for assign in body])


def _place(name: str, env: Environment) -> tuple[ir.Rung, ...]:
    """The rungs of a class: its own, else those for every class, else none."""
    places = env.symbols.places
    place = places.get(name) or places.get(None)
    return _whole([lower_rung(rung, env) for rung in place.rungs] if place is not None else [])


def _check_unused_place(env: Environment) -> None:
    """Lower a general `place` that every class overrides too: mistakes in it are mistakes."""
    place = env.symbols.places.get(None)
    if place is not None and all(name in env.symbols.places for name in env.symbols.classes):
        for rung in place.rungs:
            lower_rung(rung, env)


def _cap(cap: tree.Cap, report: Report) -> ir.Cap | None:
    bad = [
        out_of_bounds(report, cap.share, "the share of a cap", 1, 99, "%"),
        out_of_bounds(report, cap.period, "the period of a cap", 1_000_000, 10**9, "time"),
    ]
    if any(bad):
        return None
    return ir.Cap(cap.cls.text, cap.share.value, cap.period.value, cap.span)


def _promise(promise: tree.Promise, report: Report) -> ir.Promise | None:
    wait = promise.wait
    if out_of_bounds(report, wait, "a promise", 1_000_000, WATCHDOG_NS, "time"):
        return None
    cls = promise.cls.text if promise.cls is not None else None
    return ir.Promise(cls, wait.value, promise.span)


def _pack(pack: tree.Pack, report: Report) -> ir.Pack | None:
    if out_of_bounds(report, pack.until, "the share of `pack`", 10, 95, "%"):
        return None
    return ir.Pack(pack.until.value, pack.span)
