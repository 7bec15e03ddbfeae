"""The typed policy as text: `--emit ir`, and the golden of its stage.

Input: a `Policy`. Output: text. Invariant: it shows everything that the policy holds but spans, in
a fixed order, so that two policies that print alike mean the same.
"""

from __future__ import annotations

from collections.abc import Iterator

from schedc.ir import nodes as ir
from schedc.ir.nodes import Kind

_UNITS = ((1_000_000_000, "s"), (1_000_000, "ms"), (1000, "us"))
_TIMES = (Kind.TIME, Kind.LAG, Kind.MOMENT)


def print_policy(policy: ir.Policy) -> str:
    """The policy as indented lines."""
    return "".join(f"{line}\n" for line in _policy(policy))


def _policy(policy: ir.Policy) -> Iterator[str]:
    yield f"policy {policy.name} {policy.version} {_quoted(policy.description.encode())}"
    yield f"goals {' '.join(policy.goals) or '-'}"
    yield (
        f"assume runnable {policy.runnable} weight {policy.weight.low}..{policy.weight.high} "
        f"cgroups {policy.cgroups}"
    )
    yield f"slice_max {time(policy.slice_max_ns)} stint_max {time(policy.stint_max_ns)}"
    for promise in policy.promises:
        yield f"promise {promise.cls or '*'} {time(promise.wait_ns)}"
    yield from _declarations(policy)
    for name, body in policy.events.items():
        if body:
            yield f"on {name}"
            yield from (f"  {_assign(assign)}" for assign in body)
    for cls, rungs, rule in zip(policy.classes, policy.places, policy.rules, strict=True):
        yield f"class {cls.index} {cls.name}{_affinity(cls)}"
        if cls.when is not None:
            yield f"  when {expression(cls.when)}"
        yield from (f"  {_rung(rung)}" for rung in rungs)
        yield from (f"  {line}" for line in _rule(rule))
    yield "dispatch"
    yield from (f"  {_line(line)}" for line in policy.dispatch)


def _declarations(policy: ir.Policy) -> Iterator[str]:
    for tune in policy.tunes:
        values = [value(number, tune.type) for number in (tune.value, tune.low, tune.high)]
        why = _quoted(tune.why.encode())
        numbers = f"{values[0]} in {values[1]}..{values[2]}"
        yield f"tune {tune.name} : {typename(tune.type)} = {numbers} {why}"
    for cpus in policy.cpu_sets:
        ranges = ",".join(f"{low}-{high}" for low, high in cpus.cpus)
        which = ranges or (str(cpus.llc) if cpus.llc is not None else "")
        yield f"cpus {cpus.name} {cpus.kind} {which}".rstrip()
    for kind, strings in (("exe", policy.exes), ("cgroup", policy.cgroup_paths)):
        for index, text in enumerate(strings):
            yield f"{kind} {index} {_quoted(text)}"
    for queue in policy.queues:
        yield _queue(queue)
    for state in policy.states:
        yield _state(state)
    for cap in policy.caps:
        yield f"cap {cap.cls} {cap.percent}% every {time(cap.period_ns)}"
    if policy.pack is not None:
        yield f"pack {policy.pack.percent}%"


def _queue(queue: ir.Queue) -> str:
    parts = [f"queue {queue.index} {queue.name} {queue.order} per {queue.domain}"]
    if queue.window is not None:
        parts.append(f"window {time(queue.window.low)}..{time(queue.window.high)}")
    if queue.drift_shift is not None:
        parts.append(f"drift 1/2^{queue.drift_shift}")
    if queue.clock is not None:
        parts.append(f"{'shared ' if queue.shared_clock else ''}clock {queue.clock}")
    return " ".join([*parts, f"slice_max {time(queue.slice_max_ns)}"])


def _state(state: ir.State) -> str:
    ends = f"{value(state.low, state.type)}..{value(state.high, state.type)}"
    how = "declared" if state.declared else "inferred"
    initial = expression(state.initial) if state.initial is not None else "clock"
    return f"state {state.scope}.{state.name} : {typename(state.type)} in {ends} {how} = {initial}"


def _affinity(cls: ir.Class) -> str:
    return f" {cls.affinity} {cls.cpus}" if cls.affinity is not None else ""


def _assign(assign: ir.Assign) -> str:
    ends = [end for end, on in (("low", assign.clamp_low), ("high", assign.clamp_high)) if on]
    saturated = f" saturate {'+'.join(ends)}" if ends else ""
    guard = f" when {expression(assign.when)}" if assign.when is not None else ""
    return f"{expression(assign.target)} = {expression(assign.value)}{saturated}{guard}"


def _rung(rung: ir.Rung) -> str:
    words = ["idle", *(["fast"] if rung.fast else []), *(["core"] if rung.core else []), rung.where]
    guard = f" when {expression(rung.when)}" if rung.when is not None else ""
    return " ".join(words) + guard


def _rule(rule: ir.Rule) -> Iterator[str]:
    yield f"to {rule.queue}"
    if rule.key is not None:
        yield f"  key {expression(rule.key)}"
    match rule.slice:
        case ir.Slice(value=slice_, low=low, high=high):
            yield f"  slice {expression(slice_)} in {time(low)}..{time(high)}"
        case ir.SliceUnlimited(contended=contended, high=high):
            yield f"  slice unlimited contended {expression(contended)} to {time(high)}"
    if rule.preempt is not None:
        yield f"  preempt {' '.join(rule.preempt.victims)} ran {expression(rule.preempt.ran)}"
    if rule.perf is not None:
        yield f"  perf {rule.perf}"


def _line(line: ir.Line) -> str:
    match line:
        case ir.Take(queue=queue, after=after, limit=limit):
            waited = f" after {expression(after)}" if after is not None else ""
            return f"take {queue}{waited}{_limit(limit)}"
        case ir.Share(portions=portions):
            return "share " + " ".join(f"{queue}:{parts}" for queue, parts in portions)
        case ir.Lowest(queues=queues):
            return "lowest " + " ".join(queues)
        case ir.Steal(queue=queue, pick=pick):
            return f"steal {queue}" + (f" pick {pick}" if pick is not None else "")
        case ir.Keep(count=count, when=when):
            return f"keep {expression(count)} when {expression(when)}"


def _limit(limit: ir.CountLimit | ir.Budget | None) -> str:
    match limit:
        case ir.CountLimit(count=count):
            return f" count {expression(count)}"
        case ir.Budget(percent=percent, period_ns=period):
            return f" budget {expression(percent)} every {expression(period)}"
    return ""


def expression(expr: ir.Expr) -> str:
    """An expression in prefix form, with the type of each constant seen in its unit."""
    match expr:
        case ir.Const(value=number, type=type):
            return value(number, type)
        case ir.TuneRef(name=name):
            return f"tune.{name}"
        case ir.StateRef(scope=scope, name=name):
            return f"{scope}.{name}"
        case ir.FactRef(name=name):
            return name
        case ir.QueueFact(function=function, queue=queue):
            return f"{function}({queue})"
        case ir.Apply(op=op, args=args):
            return f"({' '.join([op.value, *map(expression, args)])})"
        case ir.Charge(value=amount, weight=weight, stint=stint):
            word = "charge_stint" if stint else "charge"
            return f"({word} {expression(amount)} {expression(weight)})"
        case ir.Ewma(average=average, sample=sample, numerator=part, denominator=whole):
            return f"(ewma {expression(average)} {expression(sample)} {part}/{whole})"
        case ir.MatchComm(patterns=patterns):
            return f"(comm {' '.join(_pattern(pattern) for pattern in patterns)})"
        case ir.MatchPath(kind=kind, indices=indices):
            return f"({kind} {' '.join(map(str, indices))})"
        case ir.IsClass(who=who, cls=cls):
            return f"({who} is {cls})"


def _pattern(pattern: ir.CommPattern) -> str:
    return _quoted(pattern.text) + ("*" if pattern.prefix else "")


def typename(type: ir.Type) -> str:
    """`time`, or `vtime:clock`."""
    return type.kind.value if type.clock is None else f"{type.kind.value}:{type.clock}"


def value(number: int, type: ir.Type) -> str:
    """A constant as one writes it in a policy."""
    if type.kind in _TIMES:
        return time(number)
    if type.kind is Kind.BOOL:
        return "true" if number else "false"
    return f"{number}%" if type.kind is Kind.RATIO else str(number)


def time(ns: int) -> str:
    """A time in the largest unit that shows it exactly."""
    for size, unit in _UNITS:
        if ns != 0 and ns % size == 0:
            return f"{ns // size}{unit}"
    return f"{ns}ns" if ns else "0"


def _quoted(text: bytes) -> str:
    """ASCII only, every other byte escaped: hostile text stays one line of this output."""
    shown = "".join(
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02x}" for byte in text
    )
    return f'"{shown}"'
