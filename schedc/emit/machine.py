"""What belongs to the machine rather than to a task: clocks, sets of cpus, what `init` starts.

Input: a `Context`. Output: descriptions that the templates turn into C.
"""

from __future__ import annotations

from dataclasses import dataclass

from schedc.emit.context import Context
from schedc.emit.expression import clock_id
from schedc.emit.names import field, mask_id
from schedc.emit.queueing import clock_size
from schedc.emit.standing import competing
from schedc.ir.nodes import Const, Take
from schedc.ir.walk import queues_asked


@dataclass(frozen=True, slots=True)
class Set:
    """A set of cpus: its C name's end, its mask's enumerator, and how to know its members."""

    name: str
    mask: str
    kind: str
    cpus: tuple[tuple[int, int], ...]
    llc: int | None


def sets(ctx: Context) -> list[Set]:
    """The policy's, and that of the fastest cpus if a rung asks for it."""
    made = [Set(s.name, mask_id(s.name), s.kind, s.cpus, s.llc) for s in ctx.policy.cpu_sets]
    if any(rung.fast and rung.where != "prev" for rungs in ctx.policy.places for rung in rungs):
        # No name of a policy begins with a digit.
        made.append(Set("0_fast", "MASK_FAST", "fast", (), None))
    return made


@dataclass(frozen=True, slots=True)
class Clock:
    """The clock of a vtime queue, or of those that share it: one in each domain."""

    id: str
    about: str
    size: str
    parameters: str
    index: str
    drift: int | None


def clocks(ctx: Context) -> list[Clock]:
    """One for each vtime queue, or for each name that queues share."""
    found: dict[str, Clock] = {}
    for queue in ctx.needs.keyed:
        size = clock_size(queue)
        parameters = ["u32 domain"] if size != "1" else []
        parameters += ["u64 now"] if queue.drift_shift is not None else []
        index = "0" if size == "1" else f"domain & ({size} - 1)"
        about = f"queues that share {queue.clock}" if queue.shared_clock else f"queue {queue.name}"
        listed = ", ".join(parameters) or "void"
        clock = Clock(clock_id(queue), about, size, listed, index, queue.drift_shift)
        found.setdefault(clock.id, clock)
    return list(found.values())


def heads(ctx: Context) -> frozenset[str]:
    """Queues whose head's key is looked at."""
    lowest = {name for line in ctx.needs.lowest for name in line.queues}
    competed = {queue.name for queue in competing(ctx)}
    return queues_asked(ctx.policy, "head") | lowest | competed


def aged(ctx: Context) -> frozenset[str]:
    """Queues whose head's wait is looked at."""
    return frozenset(
        line.queue
        for line in ctx.policy.dispatch
        if isinstance(line, Take) and line.after is not None
    )


SIZES = {
    "cpu": ("MAX_CPUS", "cpu_ctx[cpu_index(i)]"),
    "llc": ("MAX_LLCS", "llc_state[i & (MAX_LLCS - 1)]"),
    "node": ("MAX_NODES", "node_state[i & (MAX_NODES - 1)]"),
    "class": ("MAX_CLASSES", "class_state[i & (MAX_CLASSES - 1)]"),
    "cgroup": ("MAX_CGROUPS", "cgroup_state[i & (MAX_CGROUPS - 1)]"),
}
"""Number of objects of a scope, and the one with number i."""


def starts(ctx: Context) -> list[str]:
    """Statements of `init` that start the variables of all scopes but tasks and their names."""
    lines = []
    for state in ctx.policy.states:
        value = state.initial
        if state.scope in ("task", "comm") or value is None:
            continue
        if isinstance(value, Const) and value.value == 0:
            continue
        name = field(state.name, state.scope)
        if state.scope == "global":
            lines += ctx.mark(state.span, [f"\tglobal_state.{name} = {ctx.print(value)};"])
            continue
        size, each = SIZES[state.scope]
        lines.append(f"\tbpf_for(i, 0, {size})")
        lines += ctx.mark(state.span, [f"\t\t{each}.{name} = {ctx.print(value)};"])
    return lines


def perf(ctx: Context) -> list[str]:
    """Statements of `running` that ask for a performance level; full where a class doesn't say."""
    if not ctx.needs.perf:
        return []
    levels = [1024 if rule.perf is None else rule.perf for rule in ctx.policy.rules]
    return ctx.switch([[f"scx_bpf_cpuperf_set(cpu, {level});"] for level in levels], "t->cls")
