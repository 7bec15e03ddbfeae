"""The timer: what no callback of the kernel can do in time.

It ends unlimited slices once somebody waits, wakes cpus whose cap has filled again, and decides how
many cpus a packed policy keeps awake. Input: a `Context`. Output: C text, empty where the policy
needs no timer.
"""

from __future__ import annotations

from collections.abc import Iterable

from schedc.emit.context import Context
from schedc.emit.names import class_id, nanoseconds
from schedc.emit.rounds import queued
from schedc.ir.nodes import NS_PER_MS, Const, Queue, SliceUnlimited, TuneRef


def period_ns(ctx: Context) -> int:
    """Time between beats: half of the shortest interval that one must keep, within 1..10 ms; 0
    without a timer."""
    spans = [cap.period_ns * cap.percent // 100 for cap in ctx.policy.caps]
    spans += [
        ctx.policy.lower(rule.slice.contended)
        for rule in ctx.policy.rules
        if isinstance(rule.slice, SliceUnlimited)
        if isinstance(rule.slice.contended, Const | TuneRef)
    ]
    if ctx.policy.pack is not None:
        spans.append(20 * NS_PER_MS)
    return min(max(min(spans) // 2, NS_PER_MS), 10 * NS_PER_MS) if spans else 0


def beat(ctx: Context) -> str:
    """Definitions of the timer and its callback."""
    period = period_ns(ctx)
    if not period:
        return ""
    body = [*_unlimited(ctx), *_caps(ctx)]
    loop = [
        "\tu64 now = scx_bpf_now();",
        "\ts32 cpu;",
        "",
        "\tbpf_for(cpu, 0, nr_cpu_ids) {",
        "\t\tstruct cpu_ctx *c = &cpu_ctx[cpu_index(cpu)];",
        "",
        *body,
        "\t}",
    ]
    pack = ["\tpack_cpus();"] if ctx.policy.pack is not None else []
    lines = [
        f"#define BEAT_NS ({nanoseconds(period)})",
        "",
        "struct beat {",
        "\tstruct bpf_timer timer;",
        "};",
        "",
        "struct {",
        "\t__uint(type, BPF_MAP_TYPE_ARRAY);",
        "\t__uint(max_entries, 1);",
        "\t__type(key, u32);",
        "\t__type(value, struct beat);",
        '} beats SEC(".maps");',
        "",
        *_pack(ctx),
        "static int on_beat(void *map, u32 *key, struct beat *b)",
        "{",
        *(loop if body else []),
        *pack,
        "\tbpf_timer_start(&b->timer, BEAT_NS, 0);",
        "\treturn 0;",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _waiting(queues: Iterable[Queue]) -> str:
    """Condition: a task waits in one of the queues that the cpu serves."""
    return " || ".join(queued(queue) for queue in queues)


def _unlimited(ctx: Context) -> list[str]:
    """An unlimited stint ends once it ran its minimum and somebody waits for the cpu."""
    lines = []
    for rule in ctx.policy.rules:
        if not isinstance(rule.slice, SliceUnlimited):
            continue
        tests = [
            f"c->cls_bit & BIT({class_id(rule.cls)})",
            f"(s64)(now - c->running_since) >= {ctx.print(rule.slice.contended)}",
            f"({_waiting(ctx.policy.queues)})",
        ]
        lines += ctx.mark(rule.slice.span, [f"\t\tif ({' && '.join(tests)})"])
        lines.append("\t\t\tscx_bpf_kick_cpu(cpu, SCX_KICK_PREEMPT);")
    return lines


def _caps(ctx: Context) -> list[str]:
    """A cpu that idles because a cap was spent is woken when there is credit again."""
    lines = []
    for number, cap in enumerate(ctx.policy.caps):
        rule = next(rule for rule in ctx.policy.rules if rule.cls == cap.cls)
        limits = f"{cap.percent}, {nanoseconds(cap.period_ns)}"
        tests = [
            f"bucket_credit(&c->cap[{number}], now, {limits}) > 0",
            _waiting([ctx.policy.queue(rule.queue)]),
        ]
        lines += ctx.mark(cap.span, [f"\t\tif ({' && '.join(tests)})"])
        lines.append("\t\t\tscx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);")
    return lines


def _pack(ctx: Context) -> list[str]:
    """`pack_cpus`: enough cpus, from number 0 on, that those awake are as busy as was asked."""
    if ctx.policy.pack is None:
        return []
    percent = ctx.policy.pack.percent
    return f"""/*
 * Cpus from number 0 on are kept awake, as many as hold the load at {percent}% each; one more while
 * all of them are busy. The load is the number of busy cpus, averaged over about 16 beats.
 */
static void pack_cpus(void)
{{
	u32 busy = sub_sat(nr_cpu_ids, count_idle_cpus()), want;
	struct bpf_cpumask *awake;
	s32 cpu;

	busy_average = div(busy_average * 15 + busy * 100, 16);
	want = div(busy_average + {percent} - 1, {percent});
	if (busy >= nr_awake && want <= nr_awake)
		want = nr_awake + 1;
	want = clamp(want, 1, nr_cpu_ids);
	nr_awake = want;
	/* Kernels before 6.18 don't take a timer's callback for a section that RCU protects. */
	bpf_rcu_read_lock();
	awake = mask_at(MASK_AWAKE);
	bpf_for(cpu, 0, nr_cpu_ids) {{
		if (!awake)
			break;
		if (cpu < (s32)want)
			bpf_cpumask_set_cpu(cpu, awake);
		else
			bpf_cpumask_clear_cpu(cpu, awake);
	}}
	bpf_rcu_read_unlock();
}}
""".split("\n")
