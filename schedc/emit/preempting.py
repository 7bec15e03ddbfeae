"""Preemption: who ends whose stint, at once or at a tick to come.

Input: a `Context` and a rule. Output: a function that the rule's insertion calls on a wake-up, and
the statements of `tick`. Only the task's own cpu is kicked, only if the class on it is a victim,
has run its minimum, and the queue's own budget isn't spent; whoever reads another cpu's bucket
stores nothing.
"""

from __future__ import annotations

from schedc.emit.context import Context
from schedc.emit.expression import dsq_here
from schedc.emit.functions import Function, function
from schedc.emit.names import class_id
from schedc.ir.nodes import Budget, Preempt, Rule, Take


def preemption(ctx: Context, rule: Rule) -> list[Function]:
    """`preempt_for_CLASS`, or nothing for a rule that doesn't preempt."""
    preempt = rule.preempt
    if preempt is None:
        return []
    body = [
        f"\tif (!({' && '.join(_may_preempt(ctx, rule, preempt))}))",
        "\t\treturn;",
        *ctx.mark(preempt.span, [f"\tif ({_ran_enough(ctx, preempt)})"]),
        "\t\tscx_bpf_kick_cpu(cpu, SCX_KICK_PREEMPT);",
        "\telse",
        f"\t\tc->retry |= BIT({class_id(rule.cls)});",
    ]
    about = "End the stint of a victim on the task's cpu, now or at a tick to come."
    return [function(f"preempt_for_{rule.cls}", "void", body, about=about)]


def retries(ctx: Context) -> list[str]:
    """Statements of `tick`: preemptions that had to wait for the victim's minimum."""
    lines = []
    for rule in ctx.policy.rules:
        if rule.preempt is None:
            continue
        queue = ctx.policy.queue(rule.queue)
        tests = [
            f"c->retry & BIT({class_id(rule.cls)})",
            *_may_preempt(ctx, rule, rule.preempt),
            _ran_enough(ctx, rule.preempt),
            f"scx_bpf_dsq_nr_queued({dsq_here(queue)}) > 0",
        ]
        lines += ctx.mark(rule.preempt.span, [f"\tif ({' && '.join(tests)})"])
        lines.append("\t\tp->scx.slice = 0;")
    return lines


def _ran_enough(ctx: Context, preempt: Preempt) -> str:
    return f"(s64)(now - c->running_since) >= {ctx.print(preempt.ran)}"


def _may_preempt(ctx: Context, rule: Rule, preempt: Preempt) -> list[str]:
    """Conditions: the running task is of a victim class, and the queue's own budget isn't spent."""
    victims = " | ".join(f"BIT({class_id(victim)})" for victim in preempt.victims)
    many = len(preempt.victims) > 1
    tests = [f"c->cls_bit & {f'({victims})' if many else victims}"]
    for line in ctx.policy.dispatch:
        if isinstance(line, Take) and line.queue == rule.queue and isinstance(line.limit, Budget):
            number = ctx.needs.budgets.index(line)
            limits = f"{ctx.print(line.limit.percent)}, {ctx.print(line.limit.period_ns)}"
            tests.append(f"bucket_credit(&c->bucket[{number}], now, {limits}) > 0")
    return tests
