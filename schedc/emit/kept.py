"""What is kept between callbacks: members of structures, variables of the machine.

Input: a `Context`. Output: `Member`s, declarations with what they are for. A member is there if and
only if a callback maintains it (see `schedc.emit.needs`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from schedc.emit.context import Context
from schedc.emit.layout import TAB, columns
from schedc.emit.names import field
from schedc.emit.rounds import served_size
from schedc.emit.standing import keeps_ask_ran
from schedc.ir.nodes import Kind, Policy, State
from schedc.ir.print import value

_PADDED = 32
"""Arrays that are indexed by a masked variable are as long as the mask allows."""


@dataclass(frozen=True, slots=True)
class Member:
    """A declaration, and what it is for."""

    declaration: str
    about: str = ""

    @property
    def name(self) -> str:
        return self.declaration.rstrip(";").split("[")[0].split()[-1]


def members(made: Iterable[Member]) -> str:
    """Declarations one a line, their comments in one column."""
    found = list(made)
    widest = max((columns(f"\t{m.declaration}") for m in found if m.about), default=0)
    column = (widest // TAB + 1) * TAB
    lines = []
    for member in found:
        line = f"\t{member.declaration}"
        if member.about:
            tabs = -(-(column - columns(line)) // TAB)
            line += "\t" * tabs + f"/* {member.about} */"
        lines.append(line)
    return "\n".join(lines)


def _state(state: State) -> Member:
    if state.type.kind is Kind.VTIME:
        about = f"vtime on the clock {state.type.clock}"
    else:
        ends = f"{value(state.low, state.type)}..{value(state.high, state.type)}"
        about = f"{state.type.kind.value}, {ends}"
    return Member(f"s64 {field(state.name, state.scope)};", about)


def scope_members(policy: Policy, scope: str) -> list[Member]:
    """The policy's variables of a scope."""
    return [_state(state) for state in policy.states if state.scope == scope]


def task_members(ctx: Context) -> list[Member]:
    """Members of `struct task_ctx`."""
    needs, facts = ctx.needs, ctx.needs.facts
    made = [
        _state(state)
        for state in ctx.policy.states
        if state.scope == "task" and state.name != needs.vtime_in_dsq
    ]
    if ctx.counting or needs.queued_at:
        made.append(Member("u64 queued_at;", "when it began to wait; 0 if it doesn't"))
    if needs.last_ran:
        made.append(Member("s64 ran;", "length of its last stint"))
    if "waited" in facts:
        made.append(Member("s64 waited;", "its last wait"))
    if "burst" in facts:
        made.append(Member("u64 burst_base;", "its cpu time when it woke"))
    if "slept" in facts:
        made += [Member("u64 slept_at;"), Member("s64 slept;", "its last sleep")]
    if "wakes" in facts:
        made += [Member("u64 last_wake;"), Member("s64 wakes;", "per second, averaged")]
    if "wakings" in facts:
        made += [Member("u64 last_waking;"), Member("s64 wakings;", "of others, per second")]
    made += [
        Member(f"u32 home_{queue.name};", "the domain whose clock its vtime follows")
        for queue in needs.homes
    ]
    if "cgroup_runnable" in facts:
        made.append(Member("u32 counted;", "the cgroup that counts it as runnable"))
    if ctx.counting or needs.stored_class:
        made.append(Member("u8 cls;", "class of its last insertion"))
    if needs.waker:
        made.append(Member("u8 waker;", "class of the task that woke it"))
    if needs.wakes:
        made.append(Member("u8 woken;", "its wake-up was noted in select_cpu"))
    if "sync" in facts:
        made.append(Member("u8 sync;", "its waker was about to sleep"))
    return made


def cpu_members(ctx: Context, started: bool, settles: bool, ends: bool) -> list[Member]:
    """Members of `struct cpu_ctx`. `started`: somebody asks how long stints are; `settles`:
    somebody pays for them."""
    needs, policy = ctx.needs, ctx.policy
    made = scope_members(policy, "cpu")
    if started or ctx.counting:
        made.append(Member("u64 started;", "cpu time of the running task when its stint began"))
    if settles:
        made.append(Member("u64 paid;", "… and when its line last paid for it"))
    if needs.preempt or needs.unlimited:
        made.append(Member("u64 running_since;", "when its stint began"))
    made += _paying_members(ctx)
    if needs.preempt or needs.unlimited or policy.caps:
        made.append(Member("u32 cls_bit;", "class of the running task, as a bit; 0 with none"))
    if needs.preempt:
        made.append(Member("u32 retry;", "classes whose preemption waits for a tick"))
    if needs.resumes:
        made.append(Member("s32 last;", "the task that ran last; 0 since a pick"))
    if needs.keeps:
        made.append(Member("u32 kept;", "times that the running task was kept"))
    made += [
        Member(f"u32 next_{queue.name};", "the cgroup whose turn it is")
        for queue in policy.queues
        if queue.domain == "cgroup"
    ]
    if keeps_ask_ran(ctx):
        made.append(Member("s64 ran;", "length of the stint that ended"))
    if ends:
        made.append(Member("bool ended;", "the stint is over, though its task hasn't stopped yet"))
    return made


def _paying_members(ctx: Context) -> list[Member]:
    """Buckets and counts of the lines of `dispatch`."""
    needs, made = ctx.needs, []
    if needs.budgets:
        made.append(Member(f"struct bucket bucket[{_PADDED}];", "by line with a budget"))
    if ctx.policy.caps:
        made.append(Member(f"struct bucket cap[{len(ctx.policy.caps)}];", "by capped class"))
    if served_size(ctx):
        made.append(Member(f"s64 served[{_PADDED}];", "time by portion of a share, over its part"))
    if needs.counts:
        about = "tasks by counted line, since a lower line was served"
        made.append(Member(f"u32 count[{len(needs.counts)}];", about))
    if needs.paid:
        made.append(Member("u32 line;", "the line that pays for the running task"))
        made.append(Member("u32 picked;", "… for the next"))
    return made


def machine_variables(ctx: Context) -> list[str]:
    """Variables of the whole machine, as declarations."""
    made = []
    if ctx.needs.facts & {"cpus", "busy"}:
        made.append("s64 nr_online")
    if "runnable" in ctx.needs.facts:
        made.append("s64 nr_runnable")
    if "cgroup_runnable" in ctx.needs.facts:
        made.append("s64 cgroup_runnable[MAX_CGROUPS]")
    if ctx.policy.pack is not None:
        made += ["u32 nr_awake", "s64 busy_average"]
    return made
