"""What a cpu does when it needs a task: the lines of `dispatch` as C.

Input: a `Context`. Output: the statements of the callback, in which `cpu` is the cpu, `prev` the
task that ran until now (or null), `c` the cpu's context, `now` the time.

Order (see `docs/language/reference.md`): lines as written up to the first `steal`; then the local
lines whose budget or count was spent, for free; then the steals; then the previous task goes on.
"""

from __future__ import annotations

from math import lcm

from schedc.emit.context import Context
from schedc.emit.expression import domain_argument, head_here
from schedc.emit.functions import Function, function, is_mark
from schedc.emit.names import class_id, queue_id
from schedc.emit.rounds import first_share, guards, steal, take_from
from schedc.ir.nodes import Budget, CountLimit, Keep, Line, Lowest, Policy, Share, Steal, Take
from schedc.records import dataclass


@dataclass(frozen=True, slots=True)
class Previous:
    """What `dispatch` calls about the task that ran until now. `conditions` are those of `keep`
    lines, `keys` those of `prev_key_Q`, `own` whether lines ask for its queue."""

    keep_running: Function
    conditions: list[Function]
    keys: list[Function]
    own: bool


def lines(ctx: Context, previous: Previous) -> list[str]:
    """Statements of `dispatch`, from the first line to the steals."""
    out: list[str] = []
    steals_begun = False
    for line in ctx.policy.dispatch:
        if isinstance(line, Steal) and not steals_begun:
            steals_begun = True
            out += _skipped(ctx)
        out += ["", *_line(ctx, line, previous)]
    return out if steals_begun else [*out, *_skipped(ctx)]


def _line(ctx: Context, line: Line, previous: Previous) -> list[str]:
    match line:
        case Take():
            return _take(ctx, line, previous)
        case Share():
            return _share(ctx, line, previous)
        case Lowest():
            test = f"lowest_{ctx.needs.lowest.index(line)}(cpu, c, now)"
            queues = [(name, "NO_LINE") for name in line.queues]
            return [*_serve(ctx, line, [test], []), *_own(ctx, line, previous, queues)]
        case Steal():
            queue = ctx.policy.queue(line.queue)
            return _serve(ctx, line, [*guards(ctx, queue), steal(queue, line)], [])
        case Keep():
            return _keep(ctx, line, previous)


def _share(ctx: Context, line: Share, previous: Previous) -> list[str]:
    """The portion that is due goes first, the previous task's own among them."""
    number = ctx.needs.shares.index(line)
    done = _reset_counts(ctx, line)
    on = ["c->kept = 0;"] if ctx.needs.keeps else []
    on += [*done, f"{previous.keep_running.call_for_previous('c->picked')};", "return;"]
    return [
        *ctx.mark(line.span, [f"\tswitch (share_{number}(cpu, c, own, now)) {{"]),
        "\tcase SERVED_PREVIOUS:",
        *[f"\t\t{statement}" for statement in on],
        "\tcase SERVED_QUEUE:",
        *[f"\t\t{statement}" for statement in [*done, "return;"]],
        "\t}",
    ]


def _own(
    ctx: Context, line: Line, previous: Previous, queues: list[tuple[str, str]]
) -> list[str]:
    """The previous task's turn, where nobody else of its queue is there. `queues`: name, and what
    pays for a stint from it."""
    out = []
    for name, pays in queues if previous.own else ():
        tests = [*guards(ctx, ctx.policy.queue(name)), f"own == {queue_id(name)}"]
        out += _go_on(ctx, line, previous, tests, pays)
    return out


def _go_on(
    ctx: Context, line: Line, previous: Previous, tests: list[str], pays: str
) -> list[str]:
    """`if (tests) { … keep_running(prev); return; }`: as if the line had served the task."""
    done = [f"\tif ({' && '.join(tests)}) {{"]
    if ctx.needs.keeps:
        done.append("\t\tc->kept = 0;")
    if isinstance(line, Take) and isinstance(line.limit, CountLimit):
        done.append(f"\t\tc->count[{ctx.needs.counts.index(line)}]++;")
    done += [f"\t\t{statement}" for statement in _reset_counts(ctx, line)]
    return [*done, f"\t\t{previous.keep_running.call_for_previous(pays)};", "\t\treturn;", "\t}"]


def _serve(ctx: Context, line: Line, tests: list[str], done: list[str]) -> list[str]:
    """`if (tests) { done; return; }`, where serving a line also makes room in the counts above
    it."""
    done = [*done, *_reset_counts(ctx, line)]
    head = f"\tif ({' && '.join(tests)})"
    if not done:
        return [*ctx.mark(line.span, [head]), "\t\treturn;"]
    body = [f"\t\t{statement}" for statement in done]
    return [*ctx.mark(line.span, [f"{head} {{"]), *body, "\t\treturn;", "\t}"]


def _take(ctx: Context, line: Take, previous: Previous) -> list[str]:
    queue = ctx.policy.queue(line.queue)
    tests = guards(ctx, queue)
    opened, done = _limit(ctx, line)
    tests += [opened] if opened else []
    if line.after is not None:
        # The previous task has not waited, so this line is not for it.
        waited = f"first_waited_{queue.name}({domain_argument(queue, 'now')})"
        tests.insert(len(guards(ctx, queue)), f"{waited} >= {ctx.print(line.after, 6)}")
        return _serve(ctx, line, [*tests, take_from(ctx, queue)], done)
    pays = str(ctx.needs.budgets.index(line)) if line in ctx.needs.budgets else "NO_LINE"
    own = f"own == {queue_id(queue.name)}"
    before: list[str] = []
    competes = [key for key in previous.keys if key.name == f"prev_key_{queue.name}"]
    if previous.own and competes:
        key = competes[0].call_for_previous()
        first = f"{key} < {head_here(queue)}"
        before = _go_on(ctx, line, previous, [own, first], pays)
    served = _serve(ctx, line, [take_from(ctx, queue)], done)
    # Where nothing follows, it goes on in any case.
    final = line is ctx.policy.dispatch[-1] and not _limited(ctx.policy)
    after = _go_on(ctx, line, previous, [own], pays) if previous.own and not final else []
    if not tests:
        return [*before, *served, *after]
    if not after:
        return _serve(ctx, line, [*tests, take_from(ctx, queue)], done)
    inner = [text if is_mark(text) else f"\t{text}" for text in [*before, *served, *after]]
    head = ctx.mark(line.span, [f"\tif ({' && '.join(tests)}) {{"])
    return [*head, *inner, "\t}"]


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


def _keep(ctx: Context, line: Keep, previous: Previous) -> list[str]:
    """The previous task goes on as a task of the line that served it before."""
    tests = [
        "prev && prev->scx.flags & SCX_TASK_QUEUED",
        f"c->kept < {ctx.print(line.count, 6)}",
        previous.conditions[ctx.needs.keeps.index(line)].call_for_previous(),
    ]
    return [
        *ctx.mark(line.span, [f"\tif ({' && '.join(tests)}) {{"]),
        "\t\tc->kept++;",
        f"\t\t{previous.keep_running.call_for_previous('c->line')};",
        "\t\treturn;",
        "\t}",
    ]


def settle(ctx: Context) -> Function | None:
    """`settle`: who pays for what the running task used since the last payment; None if nobody."""
    paid = _payments(ctx)
    if not paid:
        return None
    body = [
        "\ts64 ran = p->se.sum_exec_runtime - c->paid;",
        "\tc->paid = p->se.sum_exec_runtime;",
        *paid,
    ]
    about = "Its line, its share or its cap pays for what the task used since the last payment."
    return function("settle", "void", body, given=("p", "c"), about=about)


def _payments(ctx: Context) -> list[str]:
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
