"""From a task to its queue: class, window, slice, key, insertion.

Input: a `Context`. Output: `Function`s, each to be defined after those that it calls.
"""

from __future__ import annotations

from collections.abc import Mapping

from schedc.emit.context import Context
from schedc.emit.expression import clock_id, domain_here, dsq_here, read_clock
from schedc.emit.functions import Function, expression, function, mentions
from schedc.emit.names import class_id, mask_id, nanoseconds, queue_id
from schedc.emit.placing import claim_within, searched
from schedc.emit.preempting import preemption
from schedc.ir.nodes import Expr, Kind, Policy, Queue, Rule, Slice, State, StateRef, Steal

_LONG = 40
"""An argument longer than this is given a name first."""


def classify(ctx: Context) -> Function:
    """`u32 classify(...)`: the first class whose condition holds."""
    if ctx.one_class:
        return expression(ctx.cls)
    lines: list[str] = []
    for cls in ctx.policy.classes:
        tests = []
        if cls.when is not None:
            tests.append(ctx.print(cls.when, 3 if cls.affinity == "confine" else 0))
        if cls.affinity == "confine" and cls.cpus is not None:
            tests.append(f"may_use(p, {mask_id(cls.cpus)}, cpu_in_{cls.cpus}(cpu))")
        if tests:
            lines += ctx.mark(cls.span, [f"\tif ({' && '.join(tests)})"])
            lines.append(f"\t\treturn {class_id(cls.name)};")
        else:
            lines.append(f"\treturn {class_id(cls.name)};")
    return function("classify", "u32", lines, about="The first class whose condition holds.")


def slices(ctx: Context) -> Function:
    """`u64 slice_of(...)`: the slice of a task of class `cls`."""
    values = [slice_value(ctx, rule) for rule in ctx.policy.rules]
    if len(set(values)) == 1:
        return expression(values[0])
    *bodies, last = [
        ctx.mark(rule.slice.span, [f"return {value};"])
        for rule, value in zip(ctx.policy.rules, values, strict=True)
    ]
    lines = ctx.switch([*bodies, []])
    lines += [last[0], f"\t{last[1]}", *last[2:]]
    return function("slice_of", "u64", lines, about="The slice of a task of the class.")


def slice_value(ctx: Context, rule: Rule) -> str:
    """The slice of a rule as an expression."""
    return ctx.print(rule.slice.value) if isinstance(rule.slice, Slice) else "SCX_SLICE_INF"


def windows(ctx: Context) -> dict[str, Function]:
    """For each vtime queue `rebase_Q` (follow the domain's clock), if it takes that, and `window_Q`
    (clamp the task's vtime, and give the clock)."""
    made: dict[str, Function] = {}
    for queue in ctx.needs.keyed:
        refs = [_ref(s) for s in ctx.policy.states if s.type.clock == queue.clock and _is_vtime(s)]
        body = [f"\ts64 clock = {read_clock(queue, domain_here(queue))};"]
        if queue in ctx.needs.homes:
            rebase = _rebase(ctx, queue, [ref for ref in refs if ref.scope == "task"])
            made[rebase.name] = rebase
            body.append(f"\t{rebase.call};")
        for ref in refs:
            ends = f"{ctx.edge(queue, 'low')}, {ctx.edge(queue, 'high')}"
            body.append(f"\t{ctx.printer.lvalue(ref)} = clamp({ctx.print(ref)}, {ends});")
        about = "The task's vtime stays near the queue's clock; gives the clock."
        window = function(f"window_{queue.name}", "s64", [*body, "\treturn clock;"], about=about)
        made[window.name] = window
    return made


def _is_vtime(state: State) -> bool:
    return state.type.kind is Kind.VTIME


def _ref(state: State) -> StateRef:
    return StateRef(state.scope, state.name, state.type, state.span)


def _rebase(ctx: Context, queue: Queue, variables: list[StateRef]) -> Function:
    """`rebase_Q`: a task that changed its domain keeps its distance to the clock."""
    home = f"t->home_{queue.name}"
    body = [f"\tu32 here = {domain_here(queue)};", f"\tif ({home} == here)", "\t\treturn;"]
    body += [
        f"\t{ctx.printer.lvalue(ref)} += {read_clock(queue, 'here')} - {read_clock(queue, home)};"
        for ref in variables
    ]
    about = "A task that changed its domain keeps its distance to the clock."
    return function(f"rebase_{queue.name}", "void", [*body, f"\t{home} = here;"], about=about)


def newcomer(ctx: Context) -> list[str]:
    """Statements of `enable` that start a task's variables: declared values, and vtimes that lie
    behind the clock by the longest slice."""
    lines = []
    for state in ctx.policy.states:
        if state.scope != "task":
            continue
        target = ctx.printer.lvalue(_ref(state))
        if state.initial is not None:
            lines += ctx.mark(state.span, [f"\t{target} = {ctx.print(state.initial)};"])
            continue
        queues = [q for q in ctx.needs.keyed if q.clock == state.type.clock]
        clock = read_clock(queues[0], domain_here(queues[0]))
        longest = nanoseconds(max(queue.slice_max_ns for queue in queues))
        start = f"{clock} + charge({longest}, weight_of(p))"
        lines += ctx.mark(state.span, [f"\t{target} = {start};"])
        if queues[0] in ctx.needs.homes:
            lines.append(f"\tt->home_{queues[0].name} = {domain_here(queues[0])};")
    return lines


def entering(
    ctx: Context, handlers: Mapping[str, Function], window: Mapping[str, Function]
) -> list[str]:
    """The `enqueue` handler. It reads the clocks of the domain that the task is in now, so that a
    task which came from elsewhere is brought here first, or its vtime would be moved twice."""
    if "enqueue" not in handlers:
        return []
    moves = [f"\t{window[f'rebase_{queue.name}'].call};" for queue in ctx.needs.homes]
    return [*moves, f"\t{handlers['enqueue'].call};"]


def admission(
    ctx: Context, handlers: Mapping[str, Function], window: Mapping[str, Function], slice_: Function
) -> Function:
    """`u64 admit(...)`: what precedes a direct insertion behind a claimed cpu; gives the slice."""
    body = entering(ctx, handlers, window)
    found = [window.get(f"window_{rule.queue}") for rule in ctx.policy.rules]
    body += ctx.switch([[f"{made.call};"] if made else [] for made in found]) if any(found) else []
    if not body:
        return slice_
    about = "What comes before a task goes straight to a claimed cpu; gives its slice."
    return function("admit", "u64", [*body, f"\treturn {slice_.call};"], about=about)


def enqueue_rules(ctx: Context, window: Mapping[str, Function]) -> list[list[Function]]:
    """For each rule `enqueue_CLASS(...)`, which inserts into the class's queue and wakes a cpu for
    it, last; before it the functions that only it calls."""
    return [_rule(ctx, rule, window) for rule in ctx.policy.rules]


def _rule(ctx: Context, rule: Rule, window: Mapping[str, Function]) -> list[Function]:
    queue = ctx.policy.queue(rule.queue)
    body = []
    if ctx.counting:
        counted = f"{ctx.task}, {class_id(rule.cls)}, {queue_id(queue.name)}"
        body += ["\tif (counters)", f"\t\tcount_insert({counted});"]
    window_call = window[f"window_{queue.name}"].call if queue.order == "vtime" else ""
    key = "" if rule.key is None else _key(ctx, rule.key, queue)
    if window_call:
        clock = "s64 clock = " if mentions(key, "clock") else ""
        body.append(f"\t{clock}{window_call};")
    body += _insert(ctx, rule, queue, key)
    made = preemption(ctx, rule)
    body += _wake_up(ctx, rule, queue, made)
    about = f"Tasks of class {rule.cls} go to queue {rule.queue}."
    return [*made, function(f"enqueue_{rule.cls}", "void", body, about=about)]


def _insert(ctx: Context, rule: Rule, queue: Queue, key: str) -> list[str]:
    """The insertion: long arguments stand on lines of their own."""
    slice_, lines = slice_value(ctx, rule), []
    if len(key) > _LONG:
        lines += ctx.mark(rule.span, [f"\ts64 key = {key};"])
        key = "key"
    if len(slice_) > _LONG:
        lines += ctx.mark(rule.slice.span, [f"\tu64 slice = {slice_};"])
        slice_ = "slice"
    call = f"p, {dsq_here(queue)}, {slice_}"
    if key:
        insert = f"\tscx_bpf_dsq_insert_vtime({call}, {key}, enq_flags);"
    else:
        insert = f"\tscx_bpf_dsq_insert({call}, enq_flags);"
    return [*lines, *ctx.mark(rule.span, [insert])]


def key_lines(
    ctx: Context, rule: Rule, queue: Queue, window: Mapping[str, Function]
) -> list[str]:
    """Statements that give back the key which the rule queues a task with."""
    assert rule.key is not None, "only fifo rules have no key"
    key = _key(ctx, rule.key, queue)
    lines = []
    if queue.order == "vtime":
        call = window[f"window_{queue.name}"].call
        lines.append(f"\ts64 clock = {call};" if mentions(key, "clock") else f"\t{call};")
    return [*lines, *ctx.mark(rule.span, [f"\treturn {key};"])]


def _key(ctx: Context, key: Expr, queue: Queue) -> str:
    # The window has just clamped the task's vtime: a key that is that very variable is inside it.
    if isinstance(key, StateRef) and key.type.kind is Kind.VTIME:
        return ctx.printer.lvalue(key)
    text = ctx.print(key)
    clock = "clock" if queue.order == "vtime" else "(s64)now"
    return f"clamp({text}, {ctx.edge(queue, 'low', clock)}, {ctx.edge(queue, 'high', clock)})"


def _wake_up(ctx: Context, rule: Rule, queue: Queue, preempt: list[Function]) -> list[str]:
    """After the insertion: an idle cpu that may take the task is woken; if there is none, maybe a
    victim's stint ends."""
    idle = _idle_cpu(ctx, rule, queue)
    # A packed policy's search leaves out cpus that some tasks need: those are woken here.
    seen = searched(ctx, ctx.class_of(rule)) and ctx.policy.pack is None
    if preempt:
        test = f"(selected || !kick_idle({idle}))" if seen else f"!kick_idle({idle})"
        return [f"\tif ({test} && enq_flags & SCX_ENQ_WAKEUP)", f"\t\t{preempt[-1].call};"]
    if not seen:
        return [f"\tkick_idle({idle});"]
    why = "\t/* On a wake-up, select_cpu has just looked at all of them in vain. */"
    return [why, "\tif (!selected)", f"\t\tkick_idle({idle});"]


def _idle_cpu(ctx: Context, rule: Rule, queue: Queue) -> str:
    """Expression that claims an idle cpu which serves the queue; -1 if there is none."""
    cls = ctx.class_of(rule)
    if queue.domain in ("machine", "cgroup") or _is_stolen(ctx.policy, queue):
        if cls.affinity == "confine" and cls.cpus is not None:
            elsewhere = claim_within([mask_id(cls.cpus)])
        elif ctx.policy.pack is not None:
            elsewhere = "claim_preferring(p, MASK_AWAKE)"
        else:
            elsewhere = "claim_any(p, 0)"
    else:
        elsewhere = "-1" if queue.domain == "cpu" else f"claim_in_{queue.domain}(p, cpu, 0)"
    near = queue.domain not in ("machine", "cgroup")
    return f"claim(p, cpu) ? cpu : {elsewhere}" if near else elsewhere


def _is_stolen(policy: Policy, queue: Queue) -> bool:
    return any(isinstance(line, Steal) and line.queue == queue.name for line in policy.dispatch)


def settled_clock(ctx: Context, window: Mapping[str, Function]) -> list[str]:
    """Statements of `running`: the clock of the task's queue follows its vtime."""
    bodies: list[list[str]] = []
    for rule in ctx.policy.rules:
        queue = ctx.policy.queue(rule.queue)
        bodies.append(_advance(ctx, queue, window) if queue.order == "vtime" else [])
    return ctx.switch(bodies, "t->cls") if any(bodies) else []


def _advance(ctx: Context, queue: Queue, window: Mapping[str, Function]) -> list[str]:
    found = (s for s in ctx.policy.states if s.type.clock == queue.clock)
    state = next(s for s in found if s.scope == "task" and _is_vtime(s))
    value = ctx.print(_ref(state), 6)
    if queue.drift_shift is not None:
        value += f" - (s64)(now >> {queue.drift_shift})"
    if queue not in ctx.needs.homes:
        return [f"advance_clock(&{_clock_at(queue, '0')}, {value});"]
    home = f"t->home_{queue.name} & ({clock_size(queue)} - 1)"
    rebase = window[f"rebase_{queue.name}"].call
    return [f"{rebase};", f"advance_clock(&{_clock_at(queue, home)}, {value});"]


def _clock_at(queue: Queue, index: str) -> str:
    return f"{clock_id(queue)}[{index}]"


def clock_size(queue: Queue) -> str:
    """How many clocks a queue has, as a C constant."""
    if queue.shared_clock:
        return "1"
    sizes = {"cpu": "MAX_CPUS", "llc": "MAX_LLCS", "node": "MAX_NODES", "cgroup": "MAX_CGROUPS"}
    return sizes.get(queue.domain, "1")
