"""What a cpu does when it needs a task: the lines of `dispatch` as C.

Input: a `Context`. Output: helper functions, and the statements of the callback. In the callback `cpu` is the cpu, `prev`
the task that ran until now (or null), `c` the cpu's context, `now` the time.

Order (see `docs/language/reference.md`): lines as written up to the first `steal`; then the local lines whose budget or
count was spent, for free; then the steals; then the previous task goes on.
"""

from __future__ import annotations

from math import lcm

from schedc.emit.context import Context
from schedc.emit.expression import domain_of
from schedc.emit.functions import Function
from schedc.emit.names import queue_id
from schedc.ir.nodes import Budget, CountLimit, Keep, Line, Lowest, Queue, Share, Steal, Take


def helpers(ctx: Context) -> list[Function]:
    """Functions that the lines call: round trips over control groups, shares, lowest heads, steals."""
    made = [_take_cgroups(queue) for queue in ctx.policy.queues if queue.domain == "cgroup"]
    made += [
        _head_cgroups(queue)
        for line in ctx.needs.lowest
        for name in line.queues
        if (queue := ctx.policy.queue(name)).domain == "cgroup"
    ]
    made += [_share(ctx, number, line) for number, line in enumerate(ctx.needs.shares)]
    made += [_lowest(ctx, number, line) for number, line in enumerate(ctx.needs.lowest)]
    made += [_steal(ctx, ctx.policy.queue(line.queue), line) for line in ctx.needs.steals]
    return made


def take_from(queue: Queue) -> str:
    """Condition that moves a task of the queue to the cpu, if there is one that may run here."""
    if queue.domain == "cgroup":
        return f"take_{queue.name}(c)"
    return f"take(dsq_{queue.name}(cpu), {queue_id(queue.name)})"


def lines(ctx: Context, keep_running: str) -> list[str]:
    """Statements of `dispatch`, from the first line to the steals. `keep_running`: call that lets `prev` go on."""
    out: list[str] = []
    limited = [
        line for line in ctx.policy.dispatch if isinstance(line, Take) and line.limit is not None
    ]
    steals_begun = False
    for line in ctx.policy.dispatch:
        if isinstance(line, Steal) and not steals_begun:
            steals_begun = True
            out += _skipped(ctx, limited)
        out += ["", *ctx.mark(line.span, _line(ctx, line, keep_running))]
    return out if steals_begun else [*out, *_skipped(ctx, limited)]


def payments(ctx: Context) -> list[str]:
    """Cases of the switch on `c->line`: who pays for `ran`."""
    out = []
    if ctx.needs.budgets:
        out += [
            f"\tif (c->line < {len(ctx.needs.budgets)})",
            "\t\tbucket_pay(&c->bucket[c->line & 31], ran);",
        ]
    for number, line in enumerate(ctx.needs.shares):
        first = _first_share(ctx, number)
        scale = lcm(*(parts for _, parts in line.portions))
        for place, (_, parts) in enumerate(line.portions):
            factor = scale // parts
            paid = f"ran * {factor}" if factor != 1 else "ran"
            out += [
                f"\tif (c->line == {first + place})",
                f"\t\tc->served[{first - len(ctx.needs.budgets) + place}] += {paid};",
            ]
    return out


def served_size(ctx: Context) -> int:
    """How many queues take part in shares."""
    return sum(len(line.portions) for line in ctx.needs.shares)


def _first_share(ctx: Context, number: int) -> int:
    """Number, among all that is paid for, of the first portion of a share."""
    return len(ctx.needs.budgets) + sum(len(line.portions) for line in ctx.needs.shares[:number])


def _guards(ctx: Context, queue: Queue) -> list[str]:
    """Conditions on serving a queue here at all: its classes' cpus, and their caps."""
    classes = [
        ctx.policy.classes[ctx.policy.class_index(r.cls)]
        for r in ctx.policy.rules
        if r.queue == queue.name
    ]
    tests = []
    confined = {cls.cpus for cls in classes if cls.affinity == "confine"}
    if len(confined) == 1:
        tests.append(f"cpu_in_{confined.pop()}(cpu)")
    for number, cap in enumerate(ctx.policy.caps):
        if any(cls.name == cap.cls for cls in classes):
            tests.append(f"bucket_open(&c->cap[{number}], now, {cap.percent}, {cap.period_ns}LL)")
    return tests


def _line(ctx: Context, line: Line, keep_running: str) -> list[str]:
    match line:
        case Take():
            return _take(ctx, line)
        case Share():
            number = ctx.needs.shares.index(line)
            return [f"\tif (share_{number}(cpu, c, now))", "\t\treturn;"]
        case Lowest():
            number = ctx.needs.lowest.index(line)
            return [
                f"\tif (lowest_{number}(cpu, c, now)) {{",
                *_reset_counts(ctx, line),
                "\t\treturn;",
                "\t}",
            ]
        case Steal():
            guards = _guards(ctx, ctx.policy.queue(line.queue))
            test = " && ".join([*guards, f"steal_{line.queue}(cpu)"])
            return [f"\tif ({test})", "\t\treturn;"]
        case Keep():
            return _keep(ctx, line, keep_running)


def _take(ctx: Context, line: Take) -> list[str]:
    queue = ctx.policy.queue(line.queue)
    tests = _guards(ctx, queue)
    if line.after is not None:
        tests.append(f"head_waited_{queue.name}(cpu, now) >= {ctx.print(line.after, 6)}")
    done: list[str] = []
    match line.limit:
        case Budget(percent=percent, period_ns=period):
            number = ctx.needs.budgets.index(line)
            tests.append(
                f"bucket_open(&c->bucket[{number}], now, {ctx.print(percent)}, {ctx.print(period)})"
            )
            done.append(f"\t\tc->picked = {number};")
        case CountLimit(count=count):
            number = ctx.needs.counts.index(line)
            tests.append(f"c->count[{number}] < {ctx.print(count, 6)}")
            done.append(f"\t\tc->count[{number}]++;")
    tests.append(take_from(queue))
    done += _reset_counts(ctx, line)
    if not done:
        return [f"\tif ({_wrap(tests)})", "\t\treturn;"]
    return [f"\tif ({_wrap(tests)}) {{", *done, "\t\treturn;", "\t}"]


def _wrap(tests: list[str]) -> str:
    return " &&\n\t    ".join(tests)


def _reset_counts(ctx: Context, line: Line) -> list[str]:
    """Serving a line makes room again in the counts above it."""
    dispatch = ctx.policy.dispatch
    above = dispatch[: dispatch.index(line)]
    return [
        f"\t\tc->count[{n}] = 0;" for n, counted in enumerate(ctx.needs.counts) if counted in above
    ]


def _skipped(ctx: Context, limited: list[Take]) -> list[str]:
    """Second chance of local lines whose limit held them back: the cpu's time would be lost otherwise."""
    if not limited:
        return []
    tests = []
    for queue in dict.fromkeys(line.queue for line in limited):
        found = ctx.policy.queue(queue)
        tests.append((_guards(ctx, found), take_from(found)))
    out = [
        "",
        "\t/* Nothing within the limits: what they held back may have this turn for free. */",
    ]
    for guards, taken in tests:
        out += [f"\tif ({_wrap([*guards, taken])})", "\t\treturn;"]
    return out


def _keep(ctx: Context, line: Keep, keep_running: str) -> list[str]:
    """The condition speaks of the previous task, whose stint is not over."""
    number = ctx.needs.keeps.index(line)
    return [
        f"\tif (prev && prev->scx.flags & SCX_TASK_QUEUED && c->kept < {ctx.print(line.count, 6)} &&",
        f"\t    keep_{number}(prev, cpu, c, now)) {{",
        "\t\tc->kept++;",
        f"\t\t{keep_running};",
        "\t\treturn;",
        "\t}",
    ]


def _take_cgroups(queue: Queue) -> Function:
    text = f"""static bool take_{queue.name}(struct cpu_ctx *c)
{{
	u32 used = min(cgroup_slots_used, MAX_CGROUPS);
	s32 i;

	/* In turn, each control group from where this cpu left off. */
	bpf_for(i, 0, used) {{
		u32 slot = c->next_{queue.name} + i;

		if (slot >= used)
			slot -= used;
		if (take(dsq_{queue.name}(slot), {queue_id(queue.name)})) {{
			c->next_{queue.name} = slot + 1 < used ? slot + 1 : 0;
			return true;
		}}
	}}
	return false;
}}
"""
    return Function(f"take_{queue.name}", ("c",), text)


def _head_cgroups(queue: Queue) -> Function:
    text = f"""/* The control group whose first task has the lowest key, and that key. */
static s64 lowest_head_{queue.name}(u32 *which, u64 now)
{{
	u32 used = min(cgroup_slots_used, MAX_CGROUPS);
	s64 least = (s64)(~0ULL >> 1);
	s32 slot;

	bpf_for(slot, 0, used) {{
		s64 key;

		if (!scx_bpf_dsq_nr_queued(dsq_{queue.name}(slot)))
			continue;
		key = head_{queue.name}(slot, now);
		if (key < least) {{
			least = key;
			*which = slot;
		}}
	}}
	return least;
}}
"""
    return Function(f"lowest_head_{queue.name}", ("which", "now"), text)


def _share(ctx: Context, number: int, line: Share) -> Function:
    """`share_N`: the queue that was served least for its parts; then the others, least first."""
    first = _first_share(ctx, number)
    base = first - len(ctx.needs.budgets)
    n = len(line.portions)
    queues = [ctx.policy.queue(name) for name, _ in line.portions]
    # A queue that was empty must not save up service: it starts level with the one served now.
    idle = "\n".join(
        f"\tif (!{_queued(q)} && c->served[{base + i}] < served)\n"
        f"\t\tc->served[{base + i}] = served;"
        for i, q in enumerate(queues)
    )
    takes = "\n".join(
        f"\tcase {i}:\n\t\tdone = {' && '.join([*_guards(ctx, q), take_from(q)])};\n\t\tbreak;"
        for i, q in enumerate(queues)
    )
    text = f"""static __always_inline void share_{number}_level(s32 cpu, struct cpu_ctx *c, s64 served)
{{
{idle}
}}

static bool share_{number}_take(s32 cpu, struct cpu_ctx *c, u32 which, u64 now)
{{
	bool done = false;

	switch (which) {{
{takes}
	}}
	if (!done)
		return false;
	c->picked = {first} + which;
	share_{number}_level(cpu, c, c->served[({base} + which) & 31]);
	return true;
}}

static bool share_{number}(s32 cpu, struct cpu_ctx *c, u64 now)
{{
	u32 tried = 0;
	s32 turn;

	bpf_for(turn, 0, {n}) {{
		u32 best = {n};
		s64 least = (s64)(~0ULL >> 1);

		for (u32 i = 0; i < {n}; i++) {{
			if (!(tried & BIT(i)) && c->served[{base} + i] < least) {{
				least = c->served[{base} + i];
				best = i;
			}}
		}}
		if (best >= {n})
			return false;
		if (share_{number}_take(cpu, c, best, now))
			return true;
		tried |= BIT(best);
	}}
	return false;
}}
"""
    return Function(f"share_{number}", ("cpu", "c", "now"), text)


def _queued(queue: Queue) -> str:
    """Expression: whether somebody waits in the queue, as this cpu sees it."""
    if queue.domain == "cgroup":
        return f"cgroups_waiting_{queue.name}()"
    return f"scx_bpf_dsq_nr_queued(dsq_{queue.name}(cpu))"


def _lowest(ctx: Context, number: int, line: Lowest) -> Function:
    """`lowest_N`: from the queue whose head has the lowest key; if it may not run here, from the others."""
    queues = [ctx.policy.queue(name) for name in line.queues]
    heads, takes = [], []
    for i, q in enumerate(queues):
        if q.domain == "cgroup":
            heads.append(f"\tkey = lowest_head_{q.name}(&slot_{i}, now);")
            taken = f"take(dsq_{q.name}(slot_{i} & (MAX_CGROUPS - 1)), {queue_id(q.name)})"
        else:
            heads.append(
                f"\tkey = scx_bpf_dsq_nr_queued(dsq_{q.name}(cpu)) ? head_{q.name}(cpu, now) : "
                "(s64)(~0ULL >> 1);"
            )
            taken = take_from(q)
        heads += ["\tif (key < least) {", "\t\tleast = key;", f"\t\tbest = {i};", "\t}"]
        takes += [
            f"\tif (best == {i} && {' && '.join([*_guards(ctx, q), taken])})",
            "\t\treturn true;",
        ]
    slots = [f"\tu32 slot_{i} = 0;" for i, q in enumerate(queues) if q.domain == "cgroup"]
    rest = " ||\n\t       ".join(
        "(" + " && ".join([*_guards(ctx, q), take_from(q)]) + ")"
        if _guards(ctx, q)
        else take_from(q)
        for q in queues
    )
    head = "\n".join([*slots, *heads, *takes])
    text = f"""static bool lowest_{number}(s32 cpu, struct cpu_ctx *c, u64 now)
{{
	s64 least = (s64)(~0ULL >> 1), key;
	u32 best = {len(queues)};
{head}
	return {rest};
}}
"""
    return Function(f"lowest_{number}", ("cpu", "c", "now"), text)


def _steal(ctx: Context, queue: Queue, line: Steal) -> Function:
    """`steal_Q`: from the queue's other domains, nearest number first, or the longer of two random ones."""
    total = {"cpu": "nr_cpu_ids", "llc": "nr_llcs", "node": "nr_nodes"}[queue.domain]
    move = f"take_from_elsewhere(DSQ({queue_id(queue.name)}, from), {queue_id(queue.name)})"
    here = f"{domain_of(queue.domain)}(cpu)"
    picks = ""
    if line.pick is not None:
        # A look at a few at random spares large machines the walk; the walk stays, for soundness.
        picks = f"""
	longest = 0;
	from = here;
	bpf_for(i, 0, {line.pick}) {{
		u32 other = bpf_get_prandom_u32() % total;
		s32 queued = scx_bpf_dsq_nr_queued(DSQ({queue_id(queue.name)}, other));

		if (queued > longest) {{
			longest = queued;
			from = other;
		}}
	}}
	if (longest && {move})
		return true;
"""
    longest = ", longest" if line.pick is not None else ""
    text = f"""static bool steal_{queue.name}(s32 cpu)
{{
	u32 here = {here}, total = {total}, from;
	s32 i{longest};

	if (total < 2)
		return false;
{picks.lstrip(chr(10)) and picks}	bpf_for(i, 1, total) {{
		from = here + i;
		if (from >= total)
			from -= total;
		if ({move})
			return true;
	}}
	return false;
}}
"""
    return Function(f"steal_{queue.name}", ("cpu",), text)
