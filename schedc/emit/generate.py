"""From the typed policy to C text: the last pure stage.

Input: a `Policy` and where its spans lie. Output: the text. The same policy gives the same bytes. Nothing of the policy
reaches the text but numbers, its identifiers (which are C identifiers), and strings as arrays of bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import jinja2

import schedc
from schedc.data import data_path
from schedc.emit import beat as timer
from schedc.emit import dispatching, placing, queueing
from schedc.emit.context import Context
from schedc.emit.expression import clock_arguments, clock_id, comm_patterns
from schedc.emit.functions import (
    PARAMETERS,
    Function,
    Locate,
    declarations,
    mentions,
    resolve_lines,
)
from schedc.emit.names import byte_array, class_id, field, nanoseconds, prefix, queue_id
from schedc.emit.needs import Needs, of, scope_states, task_states
from schedc.ir.nodes import EVENTS, CpuSet, Kind, Policy, Queue, Tune
from schedc.ir.walk import queues_asked

WATCHDOG_MS = 30_000
"""The kernel's largest `timeout_ms`; the proof's bound lies below it."""


def generate(policy: Policy, locate: Locate, policy_hash: str, *, counting: bool = True) -> str:
    """C for a policy.

    `locate` gives the file and line of a span, `policy_hash` is the hex sha256 of the source. `counting` False leaves
    all counters out; with it, the loader may still switch them off (`counters` in rodata).
    """
    ctx = Context(policy, of(policy), locate)
    text = (
        _environment()
        .get_template("policy.bpf.c.j2")
        .render(**_variables(ctx, policy_hash, counting))
    )
    text = text.replace("@@MEMBERS@@", _members(text, prefix(policy.name)))
    text = re.sub(r"\n{3,}", "\n\n", text)
    text = re.sub(r"\n\n(\t*\})", r"\n\1", text)
    return resolve_lines(text, f"{policy.name}.bpf.c")


def _members(text: str, name: str) -> str:
    """Initialisers of the operations that the text defines."""
    found = re.findall(rf"BPF_STRUCT_OPS(?:_SLEEPABLE)?\({name}_(\w+)", text)
    return "\n".join(f"\t.{op} = (void *){name}_{op}," for op in found)


def _variables(ctx: Context, policy_hash: str, counting: bool) -> dict[str, object]:
    """Everything that the templates name."""
    policy, needs = ctx.policy, ctx.needs
    handlers = queueing.event_handlers(ctx)
    window = queueing.windows(ctx)
    classify, place = queueing.classify(ctx), placing.places(ctx)
    admit = queueing.admission(ctx, handlers, window)
    rules = queueing.enqueue_rules(ctx, window)
    dispatch = dispatching.helpers(ctx)
    capped = {cap.cls for cap in policy.caps}
    placing_ = any(policy.places[cls.index] for cls in policy.classes if cls.name not in capped)
    before = [
        *handlers.values(),
        *window.values(),
        *([] if ctx.one_class else [classify]),
        *([place] if placing_ else []),
        queueing.slices(ctx),
        *([admit] if placing_ else []),
        *rules,
        *dispatch,
    ]
    sets = _sets(ctx)
    everything = "".join(made.text for made in before)
    classify_call = "0" if ctx.one_class else classify.call
    wake_work = bool(needs.wake_facts or "wake" in handlers)
    settle = "\n".join([*dispatching.payments(ctx), *_cap_payments(ctx)])
    keep = _keep_running(ctx, classify_call)
    stop_ran = [
        handlers[e] for e in ("stop", "tick") if e in handlers and "ran" in handlers[e].parameters
    ]
    started = bool(stop_ran or needs.last_ran or needs.keeps)
    functions = [Function("kick_idle", (), _KICK_IDLE), *_cgroups_waiting(ctx), *before]
    masks = bool(sets or policy.pack or re.search(r"claim_in_(llc|node)|claim_within", everything))
    return {
        "policy": policy,
        "needs": needs,
        "policy_hash": policy_hash,
        "counting": counting,
        "schedc_version": schedc.__version__,
        "policy_file": ctx.locate(policy.span)[0],
        "prefix": prefix(policy.name),
        "timeout_ms": WATCHDOG_MS,
        "one_class": ctx.one_class,
        "handlers": {event: handlers.get(event) for event in EVENTS},
        "functions": functions,
        "place": place,
        "placing": placing_,
        "admit": admit,
        "classify_call": classify_call,
        "placed_here": _placed_here(policy),
        "wake_work": wake_work,
        "kick_idle": False,
        "task_states": task_states(policy, needs),
        "cpu_fields": _cpu_fields(ctx, started or counting, settle),
        "globals": _globals(ctx),
        "sets": sets,
        "masks": masks,
        "clocks": _clocks(ctx),
        "heads": _heads(ctx),
        "aged": {
            line.queue for line in policy.dispatch if getattr(line, "after", None) is not None
        },
        "exes": policy.exes,
        "cgroup_paths": policy.cgroup_paths,
        "comm_patterns": comm_patterns(policy),
        "cgroup_slots": 1 << max(1, policy.cgroups).bit_length(),
        "counted": _counted(needs),
        "insert": "\n".join(ctx.switch([[f"{made.call};"] for made in _only_rules(rules)])),
        "queue_of_class": _queue_of_class(policy),
        "keep_running": keep,
        "keep_running_call": _keep_call(keep),
        "keep_conditions": _keep_conditions(ctx),
        "settle": settle,
        "started": started,
        "dispatch": "\n".join(dispatching.lines(ctx, _keep_call(keep))),
        "advance": "\n".join(queueing.settled_clock(ctx, window)),
        "perf": "\n".join(_perf(ctx)),
        "retries": "\n".join(_tick(ctx)),
        "newcomer": "\n".join(queueing.newcomer(ctx)),
        "beat": timer.beat(ctx),
        "init_loops": needs.paid or any(q.domain != "machine" for q in policy.queues),
    }


def _cgroups_waiting(ctx: Context) -> list[Function]:
    """Whether anybody waits in a queue that each control group has one of; asked by the timer and by shares."""
    shared = {name for line in ctx.needs.shares for name, _ in line.portions}
    return [
        Function(f"cgroups_waiting_{queue.name}", (), timer.cgroups_waiting(queue))
        for queue in ctx.policy.queues
        if queue.domain == "cgroup" and (timer.period_ns(ctx) or queue.name in shared)
    ]


_KICK_IDLE = """/* Wake the cpu, if there is one; whether there was. */
static __always_inline bool kick_idle(s32 cpu)
{
	if (cpu < 0)
		return false;
	scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
	return true;
}
"""


def _only_rules(made: list[Function]) -> list[Function]:
    return [function for function in made if function.name.startswith("enqueue_")]


def _counted(needs: Needs) -> str:
    """Where no context is at hand, counting looks it up by itself."""
    return "" if needs.task_ctx else "struct task_ctx *s = task_ctx(p);\n\n\t\tif (s)\n\t\t\t"


def _queue_of_class(policy: Policy) -> str:
    """Expression for the number of the class's queue."""
    numbers = [queue_id(rule.queue) for rule in policy.rules]
    if len(set(numbers)) == 1:
        return numbers[0]
    choice = numbers[-1]
    for cls, number in reversed(list(zip(policy.classes, numbers, strict=True))[:-1]):
        choice = f"cls == {class_id(cls.name)} ? {number} : {choice}"
    return choice


def _placed_here(policy: Policy) -> str:
    """Condition, ready to be followed by another, that the task's class is placed at all."""
    capped = {cap.cls for cap in policy.caps}
    placed = [cls for cls in policy.classes if policy.places[cls.index] and cls.name not in capped]
    if len(placed) == len(policy.classes):
        return ""
    return f"BIT(cls) & ({' | '.join(f'BIT({class_id(cls.name)})' for cls in placed)}) && "


def _cap_payments(ctx: Context) -> list[str]:
    return [
        line
        for number, cap in enumerate(ctx.policy.caps)
        for line in (
            f"\tif (c->cls_bit & BIT({class_id(cap.cls)}))",
            f"\t\tbucket_pay(&c->cap[{number}], ran);",
        )
    ]


def _perf(ctx: Context) -> list[str]:
    """Statements of `running` that ask for a performance level; full where a class doesn't say."""
    if not ctx.needs.perf:
        return []
    levels = [1024 if rule.perf is None else rule.perf for rule in ctx.policy.rules]
    return ctx.switch([[f"scx_bpf_cpuperf_set(cpu, {level});"] for level in levels], "t->cls")


def _tick(ctx: Context) -> list[str]:
    return queueing.retries(ctx)


def _keep_running(ctx: Context, classify_call: str) -> Function:
    """`keep_running`: give the task that runs already another slice, unless its cap is spent."""
    slice_ = queueing.slices(ctx)
    body = []
    if ctx.needs.enq_last and not ctx.one_class:
        # It may have become another class meanwhile, as by exec: then it is queued anew.
        body += [f"\tu32 cls = {classify_call};\n", "\tif (cls != t->cls)", "\t\treturn;"]
    elif "cls" in slice_.parameters:
        body.append(f"\tu32 cls = {'t->cls' if ctx.needs.stored_class else classify_call};\n")
    for number, cap in enumerate(ctx.policy.caps):
        body += [
            f"\tif (c->cls_bit & BIT({class_id(cap.cls)}) &&",
            f"\t    !bucket_open(&c->cap[{number}], now, {cap.percent}, {cap.period_ns}LL))",
            "\t\treturn;",
        ]
    body.append(f"\tp->scx.slice = {slice_.call};")
    text = declare("\n".join(body), "p, cpu, now", "return;")
    names = tuple(name for name in ("p", "cpu", "now") if mentions(text, name))
    listed = ", ".join(PARAMETERS[name] for name in names)
    head = f"static __always_inline void keep_running({listed})"
    return Function("keep_running", names, f"{head}\n{{\n{text}\n}}\n")


def _keep_call(made: Function) -> str:
    return f"{made.name}({', '.join('prev' if name == 'p' else name for name in made.parameters)})"


def _keep_conditions(ctx: Context) -> list[Function]:
    """`keep_N(prev, …)`: the condition of a `keep` line, over the previous task and its stint so far."""
    made = []
    for number, line in enumerate(ctx.needs.keeps):
        body = (
            []
            if not mentions(ctx.print(line.when, stint=True), "ran")
            else ["\ts64 ran = p->se.sum_exec_runtime - c->started;", ""]
        )
        body += ctx.mark(line.span, [f"\treturn {ctx.print(line.when, stint=True)};"])
        text = declare("\n".join(body), "p, cpu, c, now", "return false;")
        head = f"static __always_inline bool keep_{number}(struct task_struct *p, s32 cpu, struct cpu_ctx *c, u64 now)"
        made.append(Function(f"keep_{number}", (), f"{head}\n{{\n{text}\n}}\n"))
    return made


def _cpu_fields(ctx: Context, started: bool, settle: str) -> list[str]:
    """Members of `struct cpu_ctx`."""
    needs, policy = ctx.needs, ctx.policy
    fields = list(scope_states(policy, "cpu"))
    if started:
        fields.append("u64 started;\t\t/* cpu time of the running task when its stint began */")
    if settle:
        fields += ["u64 paid;\t\t/* … and when its line last paid for it */", "bool running_now;"]
    if needs.preempt or needs.unlimited or policy.caps:
        fields.append("u32 cls_bit;\t\t/* class of the running task, as a bit; 0 with none */")
    if needs.preempt or needs.unlimited:
        fields.append("u64 running_since;")
    if needs.preempt:
        fields.append("u32 retry;\t\t/* classes whose preemption waits for a tick */")
    if needs.paid:
        fields += [
            "u32 line;\t\t/* the line that pays for the running task */",
            "u32 picked;\t\t/* … for the next */",
        ]
    if needs.budgets:
        fields.append(f"struct bucket bucket[{_padded(len(needs.budgets))}];")
    if policy.caps:
        fields.append(f"struct bucket cap[{len(policy.caps)}];")
    if needs.shares:
        fields.append(f"s64 served[{_padded(dispatching.served_size(ctx))}];")
    if needs.counts:
        fields.append(f"u32 count[{len(needs.counts)}];")
    if needs.keeps:
        fields.append("u32 kept;")
    fields += [f"u32 next_{q.name};" for q in policy.queues if q.domain == "cgroup"]
    return fields


def _padded(size: int) -> int:
    """Arrays that are indexed by a masked variable are as long as the mask allows."""
    return 32 if size else 0


def _globals(ctx: Context) -> list[str]:
    """Variables of the whole machine."""
    made = ["u32 nr_cpu_ids"]
    if ctx.needs.facts & {"cpus", "busy"}:
        made.append("s64 nr_online")
    if "runnable" in ctx.needs.facts:
        made.append("s64 nr_runnable")
    if "cgroup_runnable" in ctx.needs.facts:
        made.append("s64 cgroup_runnable[MAX_CGROUPS]")
    if ctx.policy.pack is not None:
        made += ["u32 nr_awake", "s64 busy_average"]
    return made


@dataclass(frozen=True, slots=True)
class _Set:
    name: str
    mask: str
    kind: str
    cpus: tuple[tuple[int, int], ...]
    llc: int | None


def _sets(ctx: Context) -> list[_Set]:
    sets = [
        _Set(s.name, f"MASK_SET_{s.name.upper()}", s.kind, s.cpus, s.llc)
        for s in ctx.policy.cpu_sets
    ]
    if any(rung.fast and rung.where != "prev" for rungs in ctx.policy.places for rung in rungs):
        sets.append(_Set("the_fast", "MASK_FAST", "fast", (), None))
    return sets


@dataclass(frozen=True, slots=True)
class _Clock:
    id: str
    about: str
    size: str
    parameters: str
    index: str
    drift: int | None


def _clocks(ctx: Context) -> list[_Clock]:
    """One clock for each vtime queue, or for each name that queues share."""
    found: dict[str, _Clock] = {}
    for queue in ctx.needs.keyed:
        size = queueing.clock_size(queue)
        parameters = ["u32 domain"] if size != "1" else []
        parameters += ["u64 now"] if queue.drift_shift is not None else []
        index = "0" if size == "1" else f"domain & ({size} - 1)"
        about = f"queues that share {queue.clock}" if queue.shared_clock else f"queue {queue.name}"
        clock = _Clock(
            clock_id(queue), about, size, ", ".join(parameters) or "void", index, queue.drift_shift
        )
        found.setdefault(clock.id, clock)
    return list(found.values())


def _heads(ctx: Context) -> frozenset[str]:
    """Queues whose head's key is looked at."""
    return queues_asked(ctx.policy, "head") | {
        name for line in ctx.needs.lowest for name in line.queues
    }


def declare(body: str, args: str, bail: str, cpu: str = "scx_bpf_task_cpu(p)") -> str:
    """The body of a callback below the declarations that it calls for. `args`: names (or declarations) it has."""
    known = {name for name in re.findall(r"\w+", args)}
    if bail == "enqueue":
        bail = "scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, 0, enq_flags);\n\t\treturn;"
    elif bail and not bail.startswith("return"):
        bail = f"return {bail};"
    local = declarations(body, known)
    top = []
    if mentions(body + "".join(local), "cpu") and "cpu" not in known:
        top.append(f"s32 cpu = {cpu};")
    top += local
    if mentions(body, "now") and "now" not in known:
        top.append("u64 now = scx_bpf_now();")
    if mentions(body, "t") and "t" not in known:
        top += [
            "struct task_ctx *t = task_ctx(p);",
            "",
            "if (!t)" + (" {" if "\n" in bail else ""),
            f"\t{bail or 'return;'}",
        ]
        top += ["}"] if "\n" in bail else []
    head = "\n".join(f"\t{line}" if line else "" for line in top)
    return f"{head}\n\n{body}" if head else body


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(str(data_path("backends/bpf/templates"))),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters |= {
        "class_id": class_id,
        "queue_id": queue_id,
        "nanoseconds": nanoseconds,
        "field": field,
        "task_field": lambda state: field(state.name, "task"),
        "scope_states": scope_states,
        "byte_array": _terminated,
        "tune_value": _tune_value,
        "domain_expr": _domain_expr,
        "domain_count": _domain_count,
        "clock_here": _clock_here,
        "set_words": _set_words,
        "declare": declare,
        "statements": lambda text: bool(text.strip()),
        "takes": lambda made, name: name in made.parameters,
        "initial": _initial,
    }
    return environment


def _terminated(text: bytes, exact: bool) -> str:
    """A comm pattern as bytes; an exact one ends with the NUL that ends a comm."""
    return byte_array(text + b"\0" if exact and len(text) < 16 else text)


def _tune_value(tune: Tune) -> str:
    return nanoseconds(tune.value) if tune.type.kind is Kind.TIME else str(tune.value)


def _initial(state) -> str:
    value = getattr(state.initial, "value", 0)
    return nanoseconds(value) if state.type.kind in (Kind.TIME, Kind.LAG) else str(value)


def _domain_expr(queue: Queue) -> str:
    return {
        "machine": "0",
        "cpu": "cpu_index(cpu)",
        "llc": "llc_of(cpu)",
        "node": "node_of(cpu)",
        "cgroup": "slot",
    }[queue.domain]


def _domain_count(queue: Queue) -> str:
    return {"cpu": "nr_cpu_ids", "llc": "nr_llcs", "node": "nr_nodes", "cgroup": "MAX_CGROUPS"}[
        queue.domain
    ]


def _clock_here(queue: Queue) -> str:
    if queue.order == "moment":
        return "(s64)now"
    return f"read_clock_{clock_id(queue)}({clock_arguments(queue)})"


def _set_words(cpus: CpuSet) -> str:
    """A list of cpus as 64-bit words."""
    bits = 0
    for low, high in cpus.cpus:
        bits |= ((1 << (high - low + 1)) - 1) << low
    words = [bits >> (64 * i) & (1 << 64) - 1 for i in range(8)]
    while len(words) > 1 and not words[-1]:
        words.pop()
    return "{ " + ", ".join(f"0x{word:x}ULL" for word in words) + " }"
