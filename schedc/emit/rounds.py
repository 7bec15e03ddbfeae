"""Searches of more than one queue: shares, lowest heads, steals, round trips over control groups.

Input: a `Context`. Output: functions that `dispatch` calls; each gives whether it moved a task to
the cpu. Loops are bounded by constants, or walked once by the kernel's verifier (`bpf_for`).
"""

from __future__ import annotations

from schedc.emit.context import Context
from schedc.emit.expression import domain_here, dsq_here, head_here
from schedc.emit.functions import Function, declarations
from schedc.emit.names import nanoseconds, queue_id
from schedc.ir.nodes import Lowest, Queue, Share, Steal


def searches(ctx: Context) -> list[Function]:
    """All of them, each after those that it calls."""
    by_cgroup = [queue for queue in ctx.policy.queues if queue.domain == "cgroup"]
    lowest = {name for line in ctx.needs.lowest for name in line.queues}
    made = [_cgroups_waiting(queue) for queue in by_cgroup]
    made += [_take_cgroups(ctx, queue) for queue in by_cgroup]
    made += [_least_head(queue) for queue in by_cgroup if queue.name in lowest]
    for number, share in enumerate(ctx.needs.shares):
        made += _share(ctx, number, share)
    made += [_lowest(ctx, number, line) for number, line in enumerate(ctx.needs.lowest)]
    return made


def first_share(ctx: Context, number: int) -> int:
    """Number, among all that is paid for, of the first portion of a share."""
    return len(ctx.needs.budgets) + sum(len(line.portions) for line in ctx.needs.shares[:number])


def served_size(ctx: Context) -> int:
    """How many queues take part in shares."""
    return sum(len(line.portions) for line in ctx.needs.shares)


def guards(ctx: Context, queue: Queue) -> list[str]:
    """Conditions on serving a queue here at all: its classes' cpus, and their caps."""
    classes = [ctx.class_of(rule) for rule in ctx.policy.rules if rule.queue == queue.name]
    confined = {cls.cpus for cls in classes if cls.affinity == "confine"}
    tests = [f"cpu_in_{confined.pop()}(cpu)"] if len(confined) == 1 else []
    for number, cap in enumerate(ctx.policy.caps):
        if any(cls.name == cap.cls for cls in classes):
            limits = f"{cap.percent}, {nanoseconds(cap.period_ns)}"
            tests.append(f"bucket_open(&c->cap[{number}], now, {limits})")
    return tests


def take_from(ctx: Context, queue: Queue) -> str:
    """Condition that moves a task of the queue to the cpu, if there is one that may run here."""
    return f"take_{queue.name}(c)" if queue.domain == "cgroup" else ctx.take(queue)


def queued(queue: Queue) -> str:
    """Condition that somebody waits in the queue, as the cpu sees it."""
    if queue.domain == "cgroup":
        return f"cgroups_waiting_{queue.name}()"
    return f"scx_bpf_dsq_nr_queued({dsq_here(queue)})"


def _guarded_take(ctx: Context, queue: Queue) -> str:
    return " && ".join([*guards(ctx, queue), take_from(ctx, queue)])


def _cgroups_waiting(queue: Queue) -> Function:
    """`cgroups_waiting_Q`: whether any control group has a task in its queue."""
    text = f"""static bool cgroups_waiting_{queue.name}(void)
{{
	u32 used = min(cgroup_slots_used, MAX_CGROUPS);
	s32 slot;

	bpf_for(slot, 0, used) {{
		if (scx_bpf_dsq_nr_queued({dsq_here(queue)}) > 0)
			return true;
	}}
	return false;
}}
"""
    return Function(f"cgroups_waiting_{queue.name}", (), text)


def _take_cgroups(ctx: Context, queue: Queue) -> Function:
    turn = f"c->next_{queue.name}"
    text = f"""/* In turn, each control group from where this cpu left off. */
static bool take_{queue.name}(struct cpu_ctx *c)
{{
	u32 used = min(cgroup_slots_used, MAX_CGROUPS);
	s32 i;

	bpf_for(i, 0, used) {{
		u32 slot = {turn} + i;

		if (slot >= used)
			slot -= used;
		if ({ctx.take(queue)}) {{
			{turn} = slot + 1 < used ? slot + 1 : 0;
			return true;
		}}
	}}
	return false;
}}
"""
    return Function(f"take_{queue.name}", ("c",), text)


def _least_head(queue: Queue) -> Function:
    text = f"""/* The control group whose first task has the lowest key, and that key. */
static s64 least_head_{queue.name}(u32 *which, u64 now)
{{
	u32 used = min(cgroup_slots_used, MAX_CGROUPS);
	s64 least = S64_MAX;
	s32 slot;

	bpf_for(slot, 0, used) {{
		s64 key;

		if (!scx_bpf_dsq_nr_queued({dsq_here(queue)}))
			continue;
		key = {head_here(queue)};
		if (key < least) {{
			least = key;
			*which = slot;
		}}
	}}
	return least;
}}
"""
    return Function(f"least_head_{queue.name}", ("which", "now"), text)


def _share(ctx: Context, number: int, line: Share) -> list[Function]:
    """`share_N`: the queue that was served least for its parts; then the others, least first."""
    queues = [ctx.policy.queue(name) for name, _ in line.portions]
    base, n = first_share(ctx, number) - len(ctx.needs.budgets), len(queues)
    names = ", ".join(queue.name for queue in queues)
    text = f"""/* Of {names}: the one served least for its part first. */
static u32 share_{number}(s32 cpu, struct cpu_ctx *c, u32 own, u64 now)
{{
	u32 tried = 0;
	s32 turn;

	bpf_for(turn, 0, {n}) {{
		u32 best = {n}, found;
		s64 least = S64_MAX;

		for (u32 i = 0; i < {n}; i++) {{
			if (!(tried & BIT(i)) && c->served[{base} + i] < least) {{
				least = c->served[{base} + i];
				best = i;
			}}
		}}
		if (best >= {n})
			return SERVED_NOBODY;
		found = share_{number}_take(cpu, c, best, own, now);
		if (found != SERVED_NOBODY)
			return found;
		tried |= BIT(best);
	}}
	return SERVED_NOBODY;
}}
"""
    name = f"share_{number}"
    return [
        _share_level(ctx, number, queues, base),
        _share_take(ctx, number, queues, base),
        Function(name, ("cpu", "c", "own", "now"), text),
    ]


def _share_level(ctx: Context, number: int, queues: list[Queue], base: int) -> Function:
    """A queue that was empty must not save up service; one whose task runs is not empty."""
    idle = "\n".join(
        f"\tif (own != {queue_id(queue.name)} && !{queued(queue)} &&\n"
        f"\t    c->served[{base + i}] < served)\n"
        f"\t\tc->served[{base + i}] = served;"
        for i, queue in enumerate(queues)
    )
    text = f"""/* Queues that are empty keep level with the one served: they save nothing up. */
static __always_inline void share_{number}_level(s32 cpu, struct cpu_ctx *c, u32 own, s64 served)
{{
{idle}
}}
"""
    return Function(f"share_{number}_level", ("cpu", "c", "own", "served"), text)


def _share_take(ctx: Context, number: int, queues: list[Queue], base: int) -> Function:
    """From one portion's queue; where only the previous task is of that queue, it is its turn."""
    takes = "\n".join(
        f"\tcase {i}:\n"
        f"\t\tif ({_guarded_take(ctx, queue)})\n"
        "\t\t\tfound = SERVED_QUEUE;\n"
        f"\t\telse if ({' && '.join([f'own == {queue_id(queue.name)}', *guards(ctx, queue)])})\n"
        "\t\t\tfound = SERVED_PREVIOUS;\n"
        "\t\tbreak;"
        for i, queue in enumerate(queues)
    )
    parameters = "s32 cpu, struct cpu_ctx *c, u32 which, u32 own, u64 now"
    text = f"""static u32 share_{number}_take({parameters})
{{
	u32 found = SERVED_NOBODY;

	switch (which) {{
{takes}
	}}
	if (found == SERVED_NOBODY)
		return found;
	c->picked = {first_share(ctx, number)} + which;
	share_{number}_level(cpu, c, own, c->served[({base} + which) & 31]);
	return found;
}}
"""
    return Function(f"share_{number}_take", ("cpu", "c", "which", "own", "now"), text)


def _lowest(ctx: Context, number: int, line: Lowest) -> Function:
    """`lowest_N`: from the queue whose head has the lowest key; else from the others."""
    queues = [ctx.policy.queue(name) for name in line.queues]
    slots = [f"\tu32 slot_{i} = 0;" for i, q in enumerate(queues) if q.domain == "cgroup"]
    heads: list[str] = []
    takes: list[str] = []
    for i, queue in enumerate(queues):
        if queue.domain == "cgroup":
            key = f"least_head_{queue.name}(&slot_{i}, now)"
            taken = ctx.take(queue, f"slot_{i} & (MAX_CGROUPS - 1)")
        else:
            key, taken = f"{queued(queue)} ? {head_here(queue)} : S64_MAX", ctx.take(queue)
        heads += [f"\tkey = {key};", "\tif (key < least) {", "\t\tleast = key;"]
        heads += [f"\t\tbest = {i};", "\t}"]
        tests = [f"best == {i}", *guards(ctx, queue), taken]
        takes += [f"\tif ({' && '.join(tests)})", "\t\treturn true;"]
    rest = " || ".join(
        f"({_guarded_take(ctx, queue)})" if guards(ctx, queue) else take_from(ctx, queue)
        for queue in queues
    )
    body = "\n".join([f"\tu32 best = {len(queues)};", *slots, *heads, *takes])
    local = "".join(f"\t{text}\n" for text in declarations(body, ("c", "slot")))
    names = ", ".join(line.queues)
    text = f"""/* Of {names}: the one whose first task has the lowest key, then the others. */
static bool lowest_{number}(s32 cpu, struct cpu_ctx *c, u64 now)
{{
	s64 least = S64_MAX, key;
{local}{body}
	return {rest};
}}
"""
    return Function(f"lowest_{number}", ("cpu", "c", "now"), text)


def steal(queue: Queue, line: Steal) -> str:
    """Condition that moves a task from another domain of the queue to the cpu, if there is one."""
    total = {"cpu": "nr_cpu_ids", "llc": "nr_llcs", "node": "nr_nodes"}[queue.domain]
    arguments = f"{queue_id(queue.name)}, {domain_here(queue)}, {total}"
    if line.pick is None:
        return f"steal({arguments})"
    return f"steal_longer({arguments}, {line.pick})"
