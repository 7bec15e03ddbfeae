"""The previous task stands in its own line.

When a cpu looks for a task, the one that has just used up its slice is in no queue: the kernel puts
it back after the pick. So `dispatch` ends its stint first (`on stop` runs, whoever pays for it
pays), and each line takes it for a task of its queue: behind the others of a fifo, by its key among
those of a keyed queue. A task that goes on so begins a new stint, with a new slice, without leaving
the cpu.

Input: a `Context`. Output: functions that `dispatch` calls about the previous task.
"""

from __future__ import annotations

from collections.abc import Mapping

from schedc.emit.caps import slices_within_caps
from schedc.emit.context import Context
from schedc.emit.functions import SCOPES, Function, declare, function, mentions
from schedc.emit.names import class_id, nanoseconds, queue_id
from schedc.emit.queueing import key_lines, settled_clock
from schedc.ir.nodes import Line, Lowest, Policy, Queue, Share, Take

_GIVEN = ("p", "cpu", "c", "now", "line")


def _function(name: str, returns: str, body: list[str], bail: str, about: str) -> Function:
    """A function about a task that is given by `dispatch`, which has no context of it at hand."""
    text = declare("\n".join(body), ", ".join(_GIVEN), bail)
    return function(name, returns, text.split("\n"), given=(*_GIVEN, *SCOPES), about=about)


def own_lines(ctx: Context) -> list[Line]:
    """Lines that ask whether the previous task is of their queue. The last one need not, if it is
    an unlimited fifo's and nothing follows it: there the task goes on anyway."""
    lines = [x for x in ctx.policy.dispatch if isinstance(x, Take | Share | Lowest)]
    last = ctx.policy.dispatch[-1]
    if len(lines) == 1 and isinstance(last, Take) and last is lines[0]:
        plain = last.limit is None and last.after is None
        if plain and not competes(ctx, ctx.policy.queue(last.queue)):
            return []
    return list(lines)


def competes(ctx: Context, queue: Queue) -> bool:
    """Whether the previous task competes by its key. Not where an `enqueue` handler may change the
    key, nor where the head of the queue isn't one task."""
    return (
        queue.order != "fifo"
        and queue.domain != "cgroup"
        and not ctx.policy.events.get("enqueue")
        and any(
            isinstance(line, Take) and line.queue == queue.name and line.after is None
            for line in ctx.policy.dispatch
        )
    )


def competing(ctx: Context) -> list[Queue]:
    """Queues in which the previous task competes by its key."""
    return [queue for queue in ctx.policy.queues if competes(ctx, queue)]


def ends_stints(ctx: Context, handlers: Mapping[str, Function], settles: bool) -> bool:
    """Whether anything happens at the end of a stint that must happen before the next pick."""
    return "stop" in handlers or settles or ctx.needs.last_ran or keeps_ask_ran(ctx)


def asks_ran(ctx: Context, handlers: Mapping[str, Function]) -> bool:
    """Whether anybody besides the counters asks how long a stint was, or is."""
    asked = [handlers[event] for event in ("stop", "tick") if event in handlers]
    during = any("ran" in made.parameters for made in asked)
    return during or ctx.needs.last_ran or keeps_ask_ran(ctx)


def keeps_ask_ran(ctx: Context) -> bool:
    """Whether a `keep` line's condition asks how long the stint was."""
    return any(mentions(ctx.print(line.when, stint=True), "ran") for line in ctx.needs.keeps)


def stint_over(
    ctx: Context, handlers: Mapping[str, Function], classify: Function, settles: bool
) -> Function | None:
    """`stint_over`: what `stopping` does, ahead of time; gives the queue of the task."""
    body = []
    if ends_stints(ctx, handlers, settles):
        measured = ctx.counting or asks_ran(ctx, handlers)
        body += ["\ts64 ran = p->se.sum_exec_runtime - c->started;"] if measured else []
        body += ["\tif (!c->ended) {", "\t\tc->ended = true;"]
        body += ["\t\tc->started = p->se.sum_exec_runtime;"] if measured else []
        body += ["\t\tsettle(p, c);"] if settles else []
        body += ["\t\tt->ran = ran;"] if ctx.needs.last_ran else []
        body += ["\t\tc->ran = ran;"] if keeps_ask_ran(ctx) else []
        body += [f"\t\t{handlers['stop'].call};"] if "stop" in handlers else []
        if ctx.counting:
            body += ["\t\tif (counters)", f"\t\t\tcount_ran({ctx.task}, ran);"]
        body.append("\t}")
    if own_lines(ctx):
        body += _class(ctx, classify)
        body.append(f"\treturn {_queue_of_class(ctx.policy)};")
    elif body:
        body.append("\treturn NO_QUEUE;")
    else:
        return None
    about = "The stint of the task that ran until now is over; gives its queue."
    return _function("stint_over", "u32", body, "NO_QUEUE", about)


def _class(ctx: Context, classify: Function) -> list[str]:
    """Statements that give the class of a task that would go on, where it matters."""
    if len({rule.queue for rule in ctx.policy.rules}) == 1:
        return []
    if not ctx.needs.enq_last:
        return [f"\tu32 cls = {'t->cls' if ctx.needs.stored_class else classify.call};"]
    # It may have become another class meanwhile, as by exec: then it is queued anew.
    return [f"\tu32 cls = {classify.call};", "\tif (cls != t->cls)", "\t\treturn NO_QUEUE;"]


def _queue_of_class(policy: Policy) -> str:
    """Expression for the queue of class `cls`."""
    queues = [queue_id(rule.queue) for rule in policy.rules]
    choice = queues[-1]
    for cls, queue in reversed(list(zip(policy.classes, queues, strict=True))[:-1]):
        if queue != choice:
            choice = f"cls == {class_id(cls.name)} ? {queue} : {choice}"
    return choice


def keys(ctx: Context, classify: Function, window: Mapping[str, Function]) -> list[Function]:
    """For each queue in which the previous task competes, `prev_key_Q`: the key that it would be
    queued with. Before it, `key_CLASS` where the queue's classes have different keys."""
    made: list[Function] = []
    for queue in competing(ctx):
        rules = [rule for rule in ctx.policy.rules if rule.queue == queue.name]
        by_class = {
            rule.cls: function(f"key_{rule.cls}", "s64", key_lines(ctx, rule, queue, window))
            for rule in rules
        }
        if len({str(rule.key) for rule in rules}) == 1:
            body = key_lines(ctx, rules[0], queue, window)
        else:
            made += by_class.values()
            asked = "t->cls" if ctx.needs.stored_class else classify.call
            bodies = [
                [f"return {by_class[rule.cls].call};"] if rule.cls in by_class else []
                for rule in ctx.policy.rules
            ]
            body = [*ctx.switch(bodies, asked), "\treturn S64_MAX;"]
        about = f"The key that the task would be queued with in {queue.name}."
        made.append(_function(f"prev_key_{queue.name}", "s64", body, "S64_MAX", about))
    return made


def keep_running(
    ctx: Context, classify: Function, slice_: Function, window: Mapping[str, Function], ends: bool
) -> Function:
    """`keep_running`: the task that runs already begins another stint, unless its cap is spent."""
    needs = ctx.needs
    body = []
    if needs.enq_last and not ctx.one_class:
        body += [f"\tu32 cls = {classify.call};", "\tif (cls != t->cls)", "\t\treturn;"]
    elif mentions(slice_.call, "cls"):
        body.append(f"\tu32 cls = {'t->cls' if needs.stored_class else classify.call};")
    for number, cap in enumerate(ctx.policy.caps):
        spent = f"!bucket_open(&c->cap[{number}], now, {cap.percent}, {nanoseconds(cap.period_ns)})"
        body += [f"\tif (c->cls_bit & BIT({class_id(cap.cls)}) && {spent})", "\t\treturn;"]
    body.append(f"\tp->scx.slice = {slice_.call};")
    body += slices_within_caps(ctx)
    body += ["\tc->ended = false;"] if ends else []
    body += ["\tc->last = p->pid;"] if needs.resumes else []
    body += ["\tc->line = line;"] if needs.paid else []
    body += ["\tc->running_since = now;"] if needs.preempt or needs.unlimited else []
    body += ["\tc->retry = 0;"] if needs.preempt else []
    body += settled_clock(ctx, window)
    about = "The task that runs already begins another stint."
    return _function("keep_running", "void", body, "", about)
