"""Lowering a policy: from symbols to the typed policy, ranges still to be filled in.

Input: symbols whose names are resolved. Output: a `Draft`: an `ir.Policy` if every part of it
could be typed. Invariant: the draft's names are resolved and its expressions well typed; ranges of
states and slices, saturation flags and longest slices hold placeholders until `passes.bounds`.
"""

from __future__ import annotations

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
from schedc.passes.symbols import Symbols
from schedc.syntax import tree

WATCHDOG_NS = 30 * 1_000_000_000


def lower(symbols: Symbols, names: Names, report: Report) -> ir.Policy | None:
    """Type and lower every part; None if one of them is mistaken."""
    assumptions = lower_assumptions(symbols, report)
    tunes = {name: lower_tune(tune, report) for name, tune in symbols.tunes.items()}
    clocks = {name: clock_of(queue) for name, queue in symbols.queues.items()}
    env = Environment(symbols, report, tunes, clocks, state_types(symbols))
    for name in names.let_order:
        env.lets[name] = lower_expr(symbols.lets[name].value, env)
    cpu_sets = [lower_cpus(cpus, report) for cpus in symbols.cpus.values()]
    queues = [
        lower_queue(queue, index, clocks[name], report)
        for index, (name, queue) in enumerate(symbols.queues.items())
    ]
    states = [lower_state(state, env) for state in symbols.states.values()]
    classes = [_class(cls, index, env) for index, cls in enumerate(symbols.classes.values())]
    events = {name: _event(symbols.events.get(name), env) for name in EVENTS}
    places = [_place(name, env) for name in symbols.classes]
    _check_unused_place(env)
    rules = [lower_rule(rule, env) for rule in symbols.rules.values()]
    lines = [] if symbols.dispatch is None else symbols.dispatch.lines
    dispatch = [lower_line(line, env) for line in lines]
    caps = [_cap(cap, report) for cap in symbols.caps.values()]
    promises = [_promise(promise, report) for promise in symbols.promises.values()]
    pack = _pack(symbols.pack, report) if symbols.pack is not None else None
    header = symbols.tree.header
    if report.has_errors or header is None or len(rules) != len(classes):
        return None
    by_class = {rule.cls: rule for rule in rules if rule is not None}
    goals = symbols.goal.goals if symbols.goal is not None else ()
    return ir.Policy(
        name=header.name.text,
        version=header.version,
        description=_text(header.description),
        goals=tuple(goal.text for goal in goals),
        runnable=assumptions.runnable,
        weight=assumptions.weight,
        cgroups=assumptions.cgroups,
        promises=_whole(promises),
        tunes=_whole(list(tunes.values())),
        cpu_sets=_whole(cpu_sets),
        exes=tuple(env.exes),
        cgroup_paths=tuple(env.cgroups),
        queues=_whole(queues),
        states=_whole(states),
        classes=_whole(classes),
        caps=_whole(caps),
        pack=pack,
        events={name: _whole(list(body)) for name, body in events.items()},
        places=tuple(_whole(list(rungs)) for rungs in places),
        rules=tuple(by_class[name] for name in symbols.classes),
        dispatch=_whole(dispatch),
        slice_max_ns=0,
        span=symbols.tree.span,
    )


def _whole(parts):  # type: ignore[no-untyped-def]
    """The parts as a tuple; each is there, since nothing mistaken was reported."""
    assert all(part is not None for part in parts), "poison without a diagnostic"
    return tuple(parts)


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


def _event(event: tree.Event | None, env: Environment) -> list[ir.Assign | None]:
    return [] if event is None else [lower_assign(assign, env) for assign in event.body]


def _place(name: str, env: Environment) -> list[ir.Rung | None]:
    """The rungs of a class: its own, else those for every class, else none."""
    places = env.symbols.places
    place = places.get(name) or places.get(None)
    return [] if place is None else [lower_rung(rung, env) for rung in place.rungs]


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


