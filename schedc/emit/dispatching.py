"""What a cpu does when it needs a task: the lines of `dispatch` as C.

Input: a `Context`. Output: the statements of the callback, in which `cpu` is the cpu, `prev` the
task that ran until now (or null), `c` the cpu's context, `now` the time.

Order (see `docs/language/reference.md`): lines as written up to the first `steal`; then the local
lines whose budget or count was spent, for free; then the steals; then the previous task goes on.
"""

from __future__ import annotations

from math import lcm

from schedc.emit.context import Context
from schedc.emit.expression import domain_argument
from schedc.emit.functions import Function
from schedc.emit.names import class_id
from schedc.emit.rounds import first_share, guards, steal, take_from
from schedc.ir.nodes import Budget, CountLimit, Keep, Line, Lowest, Policy, Share, Steal, Take


def lines(ctx: Context, keep_running: Function, keeps: list[Function]) -> list[str]:
    """Statements of `dispatch`, from the first line to the steals. `keep_running` lets the previous
    task go on; `keeps` are the conditions of the `keep` lines."""
    out: list[str] = []
    steals_begun = False
    for line in ctx.policy.dispatch:
        if isinstance(line, Steal) and not steals_begun:
            steals_begun = True
            out += _skipped(ctx)
        if isinstance(line, Keep):
            condition = keeps[ctx.needs.keeps.index(line)]
            out += ["", *_keep(ctx, line, condition, keep_running)]
        else:
            out += ["", *_line(ctx, line)]
    return out if steals_begun else [*out, *_skipped(ctx)]


def _line(ctx: Context, line: Take | Share | Lowest | Steal) -> list[str]:
    match line:
        case Take():
            return _take(ctx, line)
        case Share():
            test = f"share_{ctx.needs.shares.index(line)}(cpu, c, now)"
            return _serve(ctx, line, [test], [])
        case Lowest():
            test = f"lowest_{ctx.needs.lowest.index(line)}(cpu, c, now)"
            return _serve(ctx, line, [test], [])
        case Steal():
            queue = ctx.policy.queue(line.queue)
            return _serve(ctx, line, [*guards(ctx, queue), steal(queue, line)], [])


def _serve(ctx: Context, line: Line, tests: list[str], done: list[str]) -> list[str]:
    """`if (tests) { done; return; }`, where serving a line also makes room in the counts above
    it."""
    done = [*done, *_reset_counts(ctx, line)]
    head = f"\tif ({' && '.join(tests)})"
    if not done:
        return [*ctx.mark(line.span, [head]), "\t\treturn;"]
    body = [f"\t\t{statement}" for statement in done]
    return [*ctx.mark(line.span, [f"{head} {{"]), *body, "\t\treturn;", "\t}"]


def _take(ctx: Context, line: Take) -> list[str]:
    queue = ctx.policy.queue(line.queue)
    tests = guards(ctx, queue)
    if line.after is not None:
        waited = f"first_waited_{queue.name}({domain_argument(queue, 'now')})"
        tests.append(f"{waited} >= {ctx.print(line.after, 6)}")
    opened, done = _limit(ctx, line)
    return _serve(ctx, line, [*tests, *([opened] if opened else []), take_from(ctx, queue)], done)


def _limit(ctx: Context, line: Take) -> tuple[str, list[str]]:
    """Condition that a line's budget or count isn't spent, and what serving it does to them."""
    match line.limit:
        case Budget(percent=percent, period_ns=period):
            number = ctx.needs.budgets.index(line)
            limits = f"{ctx.print(percent)}, {ctx.print(period)}"
            opened = f"bucket_open(&c->bucket[{number}], now, {limits})"
            return opened, [f"c->picked = {number};"]
        case CountLimit(count=count):
            number = ctx.needs.counts.index(line)
            below = f"c->count[{number}] < {ctx.print(count, 6)}"
            return below, [f"c->count[{number}]++;"]
        case None:
            return "", []


def _limited(policy: Policy) -> list[Take]:
    return [line for line in policy.dispatch if isinstance(line, Take) and line.limit is not None]


def _reset_counts(ctx: Context, line: Line) -> list[str]:
    """Serving a line makes room again in the counts above it."""
    above = ctx.policy.dispatch[: ctx.policy.dispatch.index(line)]
    return [
        f"c->count[{n}] = 0;" for n, counted in enumerate(ctx.needs.counts) if counted in above
    ]


def _skipped(ctx: Context) -> list[str]:
    """Second chance of local lines whose limit held them back: the cpu's time would be lost
    otherwise. Lines that were open and empty need none."""
    limited = _limited(ctx.policy)
    if not limited:
        return []
    out = ["", "\t/* Nothing within the limits: what they held back has this turn for free. */"]
    for line in limited:
        queue = ctx.policy.queue(line.queue)
        # With `after`, the line may have passed over a queue within its limits.
        tests = [*guards(ctx, queue), *([_spent(ctx, line)] if line.after is None else [])]
        out += [f"\tif ({' && '.join([*tests, take_from(ctx, queue)])})", "\t\treturn;"]
    return out


def _spent(ctx: Context, line: Take) -> str:
    """Condition that a line's budget or count is what held it back."""
    if isinstance(line.limit, CountLimit):
        number = ctx.needs.counts.index(line)
        return f"c->count[{number}] >= {ctx.print(line.limit.count, 6)}"
    return f"c->bucket[{ctx.needs.budgets.index(line)}].credit <= 0"


def _keep(ctx: Context, line: Keep, condition: Function, keep_running: Function) -> list[str]:
    """The condition speaks of the previous task, whose stint is not over."""
    tests = [
        "prev && prev->scx.flags & SCX_TASK_QUEUED",
        f"c->kept < {ctx.print(line.count, 6)}",
        condition.call_for_previous,
    ]
    return [
        *ctx.mark(line.span, [f"\tif ({' && '.join(tests)}) {{"]),
        "\t\tc->kept++;",
        f"\t\t{keep_running.call_for_previous};",
        "\t\treturn;",
        "\t}",
    ]


def payments(ctx: Context) -> list[str]:
    """Statements of `settle`: who pays for `ran`."""
    out = []
    if ctx.needs.budgets:
        out += [
            f"\tif (c->line < {len(ctx.needs.budgets)})",
            "\t\tbucket_pay(&c->bucket[c->line & 31], ran);",
        ]
    for number, line in enumerate(ctx.needs.shares):
        first = first_share(ctx, number)
        scale = lcm(*(parts for _, parts in line.portions))
        for place, (_, parts) in enumerate(line.portions):
            paid = f"ran * {scale // parts}" if scale != parts else "ran"
            out += [
                f"\tif (c->line == {first + place})",
                f"\t\tc->served[{first - len(ctx.needs.budgets) + place}] += {paid};",
            ]
    for number, cap in enumerate(ctx.policy.caps):
        out += [
            f"\tif (c->cls_bit & BIT({class_id(cap.cls)}))",
            f"\t\tbucket_pay(&c->cap[{number}], ran);",
        ]
    return out
