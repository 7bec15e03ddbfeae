"""From a task to its queue: class, event handlers, window, slice, key, kicks and preemption.

Input: a `Context`. Output: `Function`s in an order in which each is defined before it is used.
"""

from __future__ import annotations

from schedc.emit.context import Context
from schedc.emit.expression import clock_arguments, clock_id, domain_of
from schedc.emit.functions import Function, function
from schedc.emit.names import class_id, nanoseconds
from schedc.emit.placing import searched
from schedc.ir.nodes import EVENTS, Budget, Kind, Queue, Rule, Slice, StateRef, Steal, Take


def classify(ctx: Context) -> Function:
    """`u32 classify(...)`: the first class whose condition holds."""
    lines: list[str] = []
    for cls in ctx.policy.classes:
        tests = [] if cls.when is None else [ctx.print(cls.when, 0)]
        if cls.affinity == "confine":
            tests = [f"({tests[0]})"] if tests else []
            tests.append(f"may_use(p, cpu, MASK_SET_{cls.cpus.upper()}, cpu_in_{cls.cpus}(cpu))")
        statement = [f"\t\treturn {class_id(cls.name)};"]
        if tests:
            lines += ctx.mark(cls.span, [f"\tif ({' && '.join(tests)})", *statement])
        else:
            lines.append(f"\treturn {class_id(cls.name)};")
    return function("classify", "u32", lines)


def event_handlers(ctx: Context) -> dict[str, Function]:
    """`on_stop` and the like, for the events that the policy handles."""
    found = {}
    for event in EVENTS:
        body = [
            line
            for assign in ctx.policy.events.get(event, ())
            for line in _assignment(ctx, event, assign)
        ]
        if body:
            found[event] = function(f"on_{event}", "void", body)
    return found


def _assignment(ctx: Context, event: str, assign) -> list[str]:
    stint = event in ("stop", "tick")
    state = ctx.policy.state(assign.target.scope, assign.target.name)
    value = ctx.print(assign.value, 0, stint)
    bounds = [
        nanoseconds(bound)
        if state.type.kind in (Kind.TIME, Kind.LAG, Kind.MOMENT)
        else f"{bound}LL"
        for bound in (state.low, state.high)
    ]
    match assign.clamp_low, assign.clamp_high:
        case True, True:
            value = f"clamp({value}, {bounds[0]}, {bounds[1]})"
        case True, False:
            value = f"max({value}, {bounds[0]})"
        case False, True:
            value = f"min({value}, {bounds[1]})"
    target = ctx.printer.lvalue(assign.target)
    if assign.when is None:
        return ctx.mark(assign.span, [f"\t{target} = {value};"])
    guard = ctx.print(assign.when, 0, stint)
    return ctx.mark(assign.span, [f"\tif ({guard})", f"\t\t{target} = {value};"])


def slices(ctx: Context) -> Function:
    """`u64 slice_of(...)`: the slice of a task of class `cls`."""
    bodies = []
    for rule in ctx.policy.rules:
        if isinstance(rule.slice, Slice):
            bodies.append(ctx.mark(rule.slice.span, [f"return {ctx.print(rule.slice.value)};"]))
        else:
            bodies.append(ctx.mark(rule.slice.span, ["return SCX_SLICE_INF;"]))
    # Two classes with the same slice are the same code, whatever lines they come from.
    texts = [[line for line in body if line[0] not in "\x01\x02"] for body in bodies]
    if all(text == texts[0] for text in texts):
        return function("slice_of", "u64", [f"\t{line}" for line in texts[0]])
    last = (
        f"\treturn {nanoseconds(ctx.policy.rules[-1].slice.low)};"
        if isinstance(ctx.policy.rules[-1].slice, Slice)
        else "\treturn SCX_SLICE_INF;"
    )
    return function("slice_of", "u64", [*ctx.switch(bodies), last])


def windows(ctx: Context) -> dict[str, Function]:
    """For each vtime queue `rebase_Q` (follow the domain's clock) and `window_Q` (clamp, and give the clock)."""
    made: dict[str, Function] = {}
    for queue in ctx.needs.keyed:
        variables = [
            s
            for s in ctx.policy.states
            if s.type.kind is Kind.VTIME and s.type.clock == queue.clock
        ]
        refs = [StateRef(s.scope, s.name, s.type, s.span) for s in variables]
        body = [f"\ts64 clock = read_clock_{clock_id(queue)}({clock_arguments(queue)});", ""]
        if queue in ctx.needs.homes:
            rebase = _rebase(ctx, queue, [ref for ref in refs if ref.scope == "task"])
            made[rebase.name] = rebase
            body.append(f"\t{rebase.call};")
        for ref in refs:
            target = ctx.printer.lvalue(ref)
            value = ctx.print(ref)
            body.append(
                f"\t{target} = clamp({value}, {_edge(queue.window.low)}, {_edge(queue.window.high)});"
            )
        window = function(f"window_{queue.name}", "s64", [*body, "\treturn clock;"])
        made[window.name] = window
    return made


def _edge(offset: int, clock: str = "clock") -> str:
    if offset == 0:
        return clock
    return f"{clock} {'-' if offset < 0 else '+'} {nanoseconds(abs(offset))}"


def _rebase(ctx: Context, queue: Queue, variables: list[StateRef]) -> Function:
    """`rebase_Q`: a task that changed its domain keeps its distance to the clock."""
    home, now = f"t->home_{queue.name}", (", now" if queue.drift_shift is not None else "")
    where = "slot" if queue.domain == "cgroup" else f"{domain_of(queue.domain)}(cpu)"
    body = [f"\tu32 here = {where};", "", f"\tif ({home} == here)", "\t\treturn;"]
    for ref in variables:
        target = ctx.printer.lvalue(ref)
        body += [
            f"\t{target} += read_clock_{queue.name}(here{now}) -",
            f"\t\tread_clock_{queue.name}({home}{now});",
        ]
    body.append(f"\t{home} = here;")
    return function(f"rebase_{queue.name}", "void", body)


def newcomer(ctx: Context) -> list[str]:
    """Statements of `enable` that start a task's variables: declared values, and vtimes behind the clock."""
    lines = []
    for state in ctx.policy.states:
        if state.scope != "task":
            continue
        target = ctx.printer.lvalue(StateRef("task", state.name, state.type, state.span))
        if state.initial is not None:
            lines += ctx.mark(state.span, [f"\t{target} = {ctx.print(state.initial)};"])
            continue
        queue = next(q for q in ctx.needs.keyed if q.clock == state.type.clock)
        longest = max(q.slice_max_ns for q in ctx.needs.keyed if q.clock == state.type.clock)
        clock = f"read_clock_{clock_id(queue)}({clock_arguments(queue)})"
        lines += ctx.mark(
            state.span, [f"\t{target} = {clock} + charge({nanoseconds(longest)}, weight_of(p));"]
        )
        if queue in ctx.needs.homes:
            where = "slot" if queue.domain == "cgroup" else f"{domain_of(queue.domain)}(cpu)"
            lines.append(f"\tt->home_{queue.name} = {where};")
    return lines


def admission(ctx: Context, handlers: dict[str, Function], window: dict[str, Function]) -> Function:
    """`u64 admit(...)`: what precedes a direct insertion behind a claimed cpu; gives the slice."""
    body = [f"\t{handlers['enqueue'].call};"] if "enqueue" in handlers else []
    bodies = []
    for rule in ctx.policy.rules:
        made = window.get(f"window_{rule.queue}")
        bodies.append([f"{made.call};"] if made else [])
    body += ctx.switch(bodies) if any(bodies) else []
    slice_ = slices(ctx)
    return function("admit", "u64", [*body, f"\treturn {slice_.call};"])


def enqueue_rules(ctx: Context, window: dict[str, Function]) -> list[Function]:
    """`enqueue_CLASS(...)`: insert into the class's queue, then wake a cpu for it."""
    return [made for rule in ctx.policy.rules for made in _rule(ctx, rule, window)]


def _rule(ctx: Context, rule: Rule, window: dict[str, Function]) -> list[Function]:
    queue = ctx.policy.queue(rule.queue)
    where = "slot" if queue.domain == "cgroup" else "cpu"
    slice_ = ctx.print(rule.slice.value) if isinstance(rule.slice, Slice) else "SCX_SLICE_INF"
    body: list[str] = []
    match queue.order:
        case "fifo":
            insert = [f"\tscx_bpf_dsq_insert(p, dsq_{queue.name}({where}), {slice_}, enq_flags);"]
        case order:
            if order == "vtime":
                body += [f"\ts64 clock = {window[f'window_{queue.name}'].call};", ""]
            clock = "clock" if order == "vtime" else "(s64)now"
            insert = [
                f"\tscx_bpf_dsq_insert_vtime(p, dsq_{queue.name}({where}), {slice_},",
                f"\t\t\t\t {_key(ctx, rule, queue, clock)}, enq_flags);",
            ]
    if body and "clock" not in "".join(insert):
        body = [f"\t{window[f'window_{queue.name}'].call};"]
    body += ctx.mark(rule.span, insert)
    made = [] if rule.preempt is None else [_preemption(ctx, rule)]
    body += _wake_up(ctx, rule, queue, made)
    return [*made, function(f"enqueue_{rule.cls}", "void", body)]


def _key(ctx: Context, rule: Rule, queue: Queue, clock: str) -> str:
    key = ctx.print(rule.key)
    # The window has just clamped the task's vtime, so a key that is that very variable is inside it.
    if isinstance(rule.key, StateRef) and rule.key.type.kind is Kind.VTIME:
        return key
    return f"clamp({key}, {_edge(queue.window.low, clock)}, {_edge(queue.window.high, clock)})"


def _wake_up(ctx: Context, rule: Rule, queue: Queue, preemption: list[Function]) -> list[str]:
    """After the insertion: an idle cpu that may take the task is woken; if there is none, maybe a victim ends."""
    cls = ctx.policy.classes[ctx.policy.class_index(rule.cls)]
    stolen = any(
        isinstance(line, Steal) and line.queue == queue.name for line in ctx.policy.dispatch
    )
    if queue.domain in ("machine", "cgroup") or stolen:
        nearby = [] if queue.domain in ("machine", "cgroup") else ["own"]
        if cls.affinity == "confine":
            elsewhere = f"claim_within(p, {_masks([f'MASK_SET_{cls.cpus.upper()}'])}, 0)"
        else:
            elsewhere = "claim_awake(p)" if ctx.policy.pack is not None else "claim_any(p, 0)"
    else:
        nearby = ["own"]
        elsewhere = {
            "cpu": "-1",
            "llc": "claim_in_llc(p, cpu, 0)",
            "node": "claim_in_node(p, cpu, 0)",
        }[queue.domain]
    own = f"claim(p, cpu) ? cpu : {elsewhere}" if nearby else elsewhere
    # A packed policy's search leaves out cpus that some tasks need: those are woken here.
    seen = searched(ctx, cls) and ctx.policy.pack is None
    if preemption:
        test = f"(selected || !kick_idle({own}))" if seen else f"!kick_idle({own})"
        return [f"\tif ({test} && enq_flags & SCX_ENQ_WAKEUP)", f"\t\t{preemption[0].call};"]
    # On a wake-up, select_cpu has just looked at all of them in vain.
    return ["\tif (!selected)", f"\t\tkick_idle({own});"] if seen else [f"\tkick_idle({own});"]


def _masks(sets: list[str]) -> str:
    return ", ".join([*sets, "-1", "-1", "-1", "-1"][:4])


def _preemption(ctx: Context, rule: Rule) -> Function:
    """`preempt_for_CLASS`: end the stint of a victim on the task's cpu, at once or at a tick to come."""
    preempt = rule.preempt
    ran = ctx.print(preempt.ran)
    body = [
        f"\tif (!({may_preempt(ctx, rule)}))",
        "\t\treturn;",
        *ctx.mark(preempt.span, [f"\tif ((s64)(now - c->running_since) >= {ran})"]),
        "\t\tscx_bpf_kick_cpu(cpu, SCX_KICK_PREEMPT);",
        "\telse",
        f"\t\tc->retry |= BIT({class_id(rule.cls)});",
    ]
    return function(f"preempt_for_{rule.cls}", "void", body)


def may_preempt(ctx: Context, rule: Rule) -> str:
    """Condition: the running task is of a victim class, and the queue's own budget is not spent."""
    victims = " | ".join(f"BIT({class_id(v)})" for v in rule.preempt.victims)
    test = f"c->cls_bit & ({victims})"
    for line in ctx.policy.dispatch:
        if isinstance(line, Take) and line.queue == rule.queue and isinstance(line.limit, Budget):
            number = ctx.needs.budgets.index(line)
            percent, period = ctx.print(line.limit.percent), ctx.print(line.limit.period_ns)
            test += (
                f" &&\n\t      bucket_credit(&c->bucket[{number}], now, {percent}, {period}) > 0"
            )
    return test


def retries(ctx: Context) -> list[str]:
    """Statements of `tick`: preemptions that had to wait for the victim's minimum."""
    lines = []
    for rule in ctx.policy.rules:
        if rule.preempt is None:
            continue
        queue = ctx.policy.queue(rule.queue)
        where = "cgroup_slot(p)" if queue.domain == "cgroup" else "cpu"
        lines += [
            f"\tif (c->retry & BIT({class_id(rule.cls)}) &&",
            f"\t    {may_preempt(ctx, rule)} &&",
            f"\t    (s64)(now - c->running_since) >= {ctx.print(rule.preempt.ran)} &&",
            f"\t    scx_bpf_dsq_nr_queued(dsq_{queue.name}({where})) > 0)",
            "\t\tp->scx.slice = 0;",
        ]
    return lines


def settled_clock(ctx: Context, window: dict[str, Function]) -> list[str]:
    """Statements of `running`: the clock of the task's queue follows its vtime."""
    bodies: list[list[str]] = []
    for rule in ctx.policy.rules:
        queue = ctx.policy.queue(rule.queue)
        if queue.order != "vtime":
            bodies.append([])
            continue
        state = next(
            s
            for s in ctx.policy.states
            if s.scope == "task" and s.type.kind is Kind.VTIME and s.type.clock == queue.clock
        )
        value = ctx.print(StateRef("task", state.name, state.type, state.span), 6)
        drift = f" - (s64)(now >> {queue.drift_shift})" if queue.drift_shift is not None else ""
        index = "0"
        body = []
        if queue in ctx.needs.homes:
            body.append(f"{window[f'rebase_{queue.name}'].call};")
            index = f"t->home_{queue.name} & ({clock_size(queue)} - 1)"
        body.append(f"advance_clock(&clock_{clock_id(queue)}[{index}], {value}{drift});")
        bodies.append(body)
    return ctx.switch(bodies, "t->cls") if any(bodies) else []


def clock_size(queue: Queue) -> str:
    """How many clocks a queue has, as a C constant."""
    if queue.shared_clock:
        return "1"
    return {
        "machine": "1",
        "cpu": "MAX_CPUS",
        "llc": "MAX_LLCS",
        "node": "MAX_NODES",
        "cgroup": "MAX_CGROUPS",
    }[queue.domain]
