"""What the templates are given: a typed value for each name that they use.

Input: a `Context` and what names the source. Output: one bag of names, made of the groups below.
Strings in them are C: expressions, or statements without an end of line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields

from schedc.emit import beat, dispatching, kept, machine, preempting, queueing, standing
from schedc.emit.caps import slices_within_caps
from schedc.emit.context import Context
from schedc.emit.expression import comm_patterns
from schedc.emit.functions import Function
from schedc.emit.kept import Member
from schedc.emit.makings import Makings
from schedc.emit.names import prefix
from schedc.emit.needs import Needs
from schedc.emit.placing import placed_here
from schedc.ir.nodes import EVENTS, CommPattern, Policy
from schedc.records import dataclass

WATCHDOG_MS = 30_000
"""The kernel's largest `timeout_ms`; the proof's bound lies below it."""


@dataclass(frozen=True, slots=True)
class Common:
    """`cls`: the class of the task at hand; `counted`: its context, for the counters."""

    policy: Policy
    needs: Needs
    policy_hash: str
    policy_file: str
    prefix: str
    counting: bool
    one_class: bool
    cls: str
    counted: str
    handlers: Mapping[str, Function | None]
    timeout_ms: int
    flags: str


@dataclass(frozen=True, slots=True)
class State:
    """What is kept between callbacks."""

    task_fields: list[Member]
    cpu_fields: list[Member]
    scope_fields: Mapping[str, list[Member]]
    scope_sizes: list[tuple[str, str]]
    globals: list[str]
    comm_patterns: list[CommPattern]
    exes: tuple[bytes, ...]
    cgroup_paths: tuple[bytes, ...]
    cgroup_slots: int


@dataclass(frozen=True, slots=True)
class Machine:
    """Queues and cpus. `masks`: idle cpus are looked for within masks."""

    clocks: list[machine.Clock]
    heads: frozenset[str]
    aged: frozenset[str]
    sets: list[machine.Set]
    masks: bool


@dataclass(frozen=True, slots=True)
class Task:
    """A task comes: it wakes, a cpu is chosen for it, it is queued."""

    wakes: Function | None
    classify: Function
    place: Function
    placing: bool
    placed_here: str
    admit: Function
    entering: str
    insert: str


@dataclass(frozen=True, slots=True)
class Turn:
    """A cpu's turn: it looks for a task, runs it, stops. `ends`: stints end in `dispatch`; `own`:
    lines ask for the queue of the task that ran until then."""

    settle: bool
    ends: bool
    own: bool
    over: str
    keep_running_call: str
    started: bool
    dispatch: str
    advance: str
    caps: str
    perf: str
    retries: str


@dataclass(frozen=True, slots=True)
class Setup:
    """What comes once. `err`, `loops`: variables that `init` declares; `last`: the queue whose
    making is its result, if nothing follows it."""

    newcomer: str
    starts: str
    beat: str
    err: bool
    loops: bool
    last: str


def variables(ctx: Context, made: Makings, policy_hash: str) -> dict[str, object]:
    """Everything that the templates name."""
    turn = _turn(ctx, made)
    found = _machine(ctx, made)
    groups: tuple[Common | State | Machine | Task | Turn | Setup, ...] = (
        _common(ctx, made, policy_hash),
        _state(ctx, turn),
        found,
        _task(ctx, made),
        turn,
        _setup(ctx, found),
    )
    return {each.name: getattr(group, each.name) for group in groups for each in fields(group)}


def _common(ctx: Context, made: Makings, policy_hash: str) -> Common:
    flags = ["SCX_OPS_ENQ_EXITING", "SCX_OPS_ENQ_MIGRATION_DISABLED"]
    if ctx.needs.enq_last:
        flags.append("SCX_OPS_ENQ_LAST")
    return Common(
        policy=ctx.policy,
        needs=ctx.needs,
        policy_hash=policy_hash,
        policy_file=ctx.locate(ctx.policy.span)[0],
        prefix=prefix(ctx.policy.name),
        counting=ctx.counting,
        one_class=ctx.one_class,
        cls=ctx.cls,
        counted=ctx.task,
        handlers={event: made.handlers.get(event) for event in EVENTS},
        timeout_ms=WATCHDOG_MS,
        flags=" | ".join(flags),
    )


def _state(ctx: Context, turn: Turn) -> State:
    policy, scopes = ctx.policy, ctx.needs.scopes
    return State(
        task_fields=kept.task_members(ctx),
        cpu_fields=kept.cpu_members(ctx, turn.started, turn.settle, turn.ends),
        scope_fields={scope: kept.scope_members(policy, scope) for scope in sorted(scopes)},
        scope_sizes=[
            (scope, size)
            for scope, (size, _) in machine.SIZES.items()
            if scope in scopes and scope != "cpu"
        ],
        globals=kept.machine_variables(ctx),
        comm_patterns=comm_patterns(policy),
        exes=policy.exes,
        cgroup_paths=policy.cgroup_paths,
        cgroup_slots=1 << max(1, policy.cgroups).bit_length(),
    )


def _machine(ctx: Context, made: Makings) -> Machine:
    sets = machine.sets(ctx)
    asked = any(re.search(r"claim_(in_(llc|node)|within)", f.text) for f in made.functions)
    return Machine(
        clocks=machine.clocks(ctx),
        heads=machine.heads(ctx),
        aged=machine.aged(ctx),
        sets=sets,
        masks=bool(sets or ctx.policy.pack or asked),
    )


def _task(ctx: Context, made: Makings) -> Task:
    return Task(
        wakes=made.wakes,
        classify=made.classify,
        place=made.place,
        placing=made.placing,
        placed_here=placed_here(ctx),
        admit=made.admit,
        entering="\n".join(queueing.entering(ctx, made.handlers, made.windows)),
        insert="\n".join(ctx.switch([[f"{rule[-1].call};"] for rule in made.rules])),
    )


def _turn(ctx: Context, made: Makings) -> Turn:
    own = bool(standing.own_lines(ctx))
    previous = dispatching.Previous(made.keep_running, made.keep_conditions, made.keys, own)
    ends = standing.ends_stints(ctx, made.handlers, made.settle is not None)
    return Turn(
        settle=made.settle is not None,
        ends=ends,
        own=own,
        over=made.stint_over.call_for_previous() if made.stint_over is not None else "",
        keep_running_call=made.keep_running.call_for_previous(),
        started=standing.asks_ran(ctx, made.handlers),
        dispatch="\n".join(dispatching.lines(ctx, previous)),
        advance="\n".join(queueing.settled_clock(ctx, made.windows)),
        caps="\n".join(slices_within_caps(ctx)),
        perf="\n".join(machine.perf(ctx)),
        retries="\n".join(preempting.retries(ctx)),
    )


def _setup(ctx: Context, found: Machine) -> Setup:
    starts = "\n".join(machine.starts(ctx))
    timer = beat.beat(ctx)
    queues = ctx.policy.queues
    by_domain = any(queue.domain != "machine" for queue in queues)
    whole = [queue.name for queue in queues if queue.domain == "machine"]
    last = whole[-1] if whole and not timer else ""
    loops = bool(ctx.needs.paid or by_domain or found.sets or ctx.policy.pack)
    return Setup(
        newcomer="\n".join(queueing.newcomer(ctx)),
        starts=starts,
        beat=timer,
        err=found.masks or by_domain or len(whole) > 1 or bool(timer),
        loops=loops or "bpf_for" in starts,
        last=last,
    )
