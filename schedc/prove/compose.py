"""From the lines of `dispatch` to the way of each queue to the cpu.

Input: a typed policy, `Parameters`, a queue. Output: `Way`s, one for each line that serves the
queue, or a `Failure` for the lines where no argument is known, with what to write instead.
Invariant: no way leaves out a line above: each is a bucket, a count or a failure.
"""

from __future__ import annotations

from fractions import Fraction

from schedc.ir import nodes as ir
from schedc.ir.nodes import Const, TuneRef
from schedc.prove.discipline import Demand, Discipline, Opaque, demand, joined
from schedc.prove.machine import queues_of
from schedc.prove.service import Above, Bucket, Counted, Paced, Plain, Shared, Way
from schedc.prove.times import Times
from schedc.records import dataclass
from schedc.source import Span

Kinds = dict[str, Discipline]
"""The discipline of each queue, by name."""


@dataclass(frozen=True, slots=True)
class Failure:
    """`reason`: why no bound is known here. `hint`: an edit that would bring one."""

    reason: str
    hint: str
    span: Span


@dataclass(frozen=True, slots=True)
class Route:
    """A line that serves a queue, and the way through it. `queues`: those that it compares."""

    line: ir.Line
    queues: tuple[ir.Queue, ...]
    kind: Discipline
    way: Way


@dataclass(frozen=True, slots=True)
class _Site:
    """A line, those above and below it, and the numbers of the policy."""

    policy: ir.Policy
    times: Times
    kinds: Kinds
    queue: ir.Queue
    line: ir.Line
    above: tuple[ir.Line, ...]
    below: tuple[ir.Line, ...]


def routes(
    policy: ir.Policy, times: Times, kinds: Kinds, queue: ir.Queue
) -> tuple[list[Route], list[Failure]]:
    """All ways of a queue, best first at the policy's N, and where there is none."""
    found: list[Route] = []
    failed: list[Failure] = []
    local = [line for line in policy.dispatch if not isinstance(line, ir.Steal | ir.Keep)]
    for at, line in enumerate(local):
        if queue.name not in queues_of(line):
            continue
        site = _Site(policy, times, kinds, queue, line, tuple(local[:at]), tuple(local[at + 1 :]))
        one = _route(site)
        (found if isinstance(one, Route) else failed).append(one)  # type: ignore[arg-type]
    found.sort(key=lambda one: one.way.wait.at(policy.runnable))
    return found, failed


def _route(site: _Site) -> Route | Failure:
    line = site.line
    queues: tuple[ir.Queue, ...] = (site.queue,)
    if isinstance(line, ir.Lowest):
        # The task's own queue first: its discipline names the result.
        others = [site.policy.queue(name) for name in line.queues if name != site.queue.name]
        queues = (site.queue, *others)
    kind = joined(queues, tuple(site.kinds[queue.name] for queue in queues))
    groups = 1 if isinstance(line, ir.Lowest) else site.times.groups(site.queue)
    wanted = demand(kind, queues, site.times, groups)
    if isinstance(wanted, Opaque):
        return Failure(f"no known class of queue: {wanted.why}", wanted.hint, site.queue.span)
    above = _above(site)
    if isinstance(above, Failure):
        return above
    way = _way(site, wanted, above)
    return way if isinstance(way, Failure) else Route(line, queues, kind, way)


# --- what stands above ----------------------------------------------------------------------------


def _above(site: _Site) -> Above | Failure:
    """The lines above, or the first that leaves no time for certain."""
    times, buckets, counts = site.times, list[Bucket](), list[tuple[int, int]]()
    filled = {rule.queue for rule in site.policy.rules} - {site.queue.name}
    for line in site.above:
        if not filled.intersection(queues_of(line)):
            continue  # it serves the queue itself, which only helps, or nobody
        bucket = _bucket(site, line)
        if bucket is not None:
            if counts:
                return _count_above_bucket(site, line)
            buckets.append(bucket)
        elif isinstance(line, ir.Take) and isinstance(line.limit, ir.CountLimit):
            count = _upper(site.policy, line.limit.count)
            counts.append((count, times.turn(site.policy.queue(line.queue))))
        else:
            return _strict(site, line)
    parameters = times.parameters
    higher = Bucket(
        "higher classes", Fraction(parameters.higher_percent, 100),
        Fraction(parameters.higher_burst_ns), 0,
    )  # fmt: skip
    above = Above(tuple(buckets), tuple(counts), times.residue, times.direct, higher)
    if above.left <= 0:
        return Failure(
            f"the lines above `{site.queue.name}` may take all of the time",
            "lower their shares until they sum to less than 100%", site.line.span,
        )  # fmt: skip
    return above


def _bucket(site: _Site, line: ir.Line) -> Bucket | None:
    """What bounds a line above by time: its own bucket, or the cap of its class."""
    if not isinstance(line, ir.Take):
        return None
    turn = site.times.turn(site.policy.queue(line.queue))
    if isinstance(line.limit, ir.Budget):
        share = Fraction(_upper(site.policy, line.limit.percent), 100)
        period = _upper(site.policy, line.limit.period_ns)
        return Bucket(line.queue, share, share * period, turn)
    cap = cap_of(site.policy, line.queue)
    if cap is not None and line.limit is None:
        share = Fraction(cap.percent, 100)
        return Bucket(f"cap {cap.cls}", share, share * cap.period_ns, turn)
    return None


def cap_of(policy: ir.Policy, queue: str) -> ir.Cap | None:
    """The cap on all tasks of a queue, if there is one (a capped class has its own queue)."""
    classes = {rule.cls for rule in policy.rules if rule.queue == queue}
    return next((cap for cap in policy.caps if classes == {cap.cls}), None)


def _upper(policy: ir.Policy, expr: ir.Expr) -> int:
    assert isinstance(expr, Const | TuneRef), "limits are constants or tunables"
    return policy.upper(expr)


def _lower(policy: ir.Policy, expr: ir.Expr) -> int:
    assert isinstance(expr, Const | TuneRef), "limits are constants or tunables"
    return policy.lower(expr)


def _strict(site: _Site, line: ir.Line) -> Failure:
    names = " and ".join(f"`{name}`" for name in queues_of(line))
    bound = f"bound it: `take {queues_of(line)[0]} at most 50% every 100ms`"
    if not isinstance(line, ir.Take):
        bound = "move it below, to the end of the local lines"
    return Failure(
        f"while {names} has tasks, `{site.queue.name}` below it is never served", bound, line.span
    )


def _count_above_bucket(site: _Site, line: ir.Line) -> Failure:
    name = queues_of(line)[0]
    return Failure(
        f"a count stands above `{name}`, whose share of time may hold any number of short stints, "
        "each of which resets the count",
        f"give the counted line a share of time, or move it below `take {name}`", line.span,
    )  # fmt: skip


# --- the line itself ------------------------------------------------------------------------------


def _way(site: _Site, wanted: Demand, above: Above) -> Way | Failure:
    guarded = _guarded(site)
    if guarded is not None:
        return guarded
    match site.line:
        case ir.Share(portions=portions):
            return _portion(site, wanted, above, dict(portions))
        case ir.Take(limit=ir.CountLimit(count=count)):
            return _counted(site, wanted, above, _lower(site.policy, count))
        case ir.Take(limit=ir.Budget(percent=percent, period_ns=period), after=after):
            share = Fraction(_lower(site.policy, percent), 100)
            aged = 0 if after is None else _upper(site.policy, after)
            return _paced(site, wanted, above, share, _lower(site.policy, period), aged, 0)
    cap = cap_of(site.policy, site.queue.name)
    if cap is not None:
        share = Fraction(cap.percent, 100)
        return _paced(site, wanted, above, share, cap.period_ns, 0, site.times.beat)
    if above.between_ns and not wanted.stints:
        return Failure(
            f"`{site.queue.name}` stands below a count by vtime without drift: any number of "
            "stints may be very short, and the counted lines go before each",
            f"declare `drift 1/64` on `{site.queue.name}`, or give the lines above shares of time",
            site.line.span,
        )  # fmt: skip
    return Plain(wanted, above)


def _guarded(site: _Site) -> Failure | None:
    """What a cap or a `confine` hides, other queues of the line are passed over for."""
    names = queues_of(site.line)
    if len(names) > 1:
        for name in names:
            if cap_of(site.policy, name) is not None:
                return Failure(
                    f"`{name}` is capped, and compared with other queues: while its cap is spent, "
                    "their order is lost", f"give `{name}` a line of its own", site.line.span,
                )  # fmt: skip
            if isinstance(site.line, ir.Lowest) and _confined(site.policy, name):
                return Failure(
                    f"`{name}` is for some cpus only, and compared with other queues: where it is "
                    "not served, their order is lost", f"give `{name}` a line of its own",
                    site.line.span,
                )  # fmt: skip
    limited = isinstance(site.line, ir.Take) and site.line.limit is not None
    if limited and cap_of(site.policy, site.queue.name) is not None:
        return Failure(
            f"`{site.queue.name}` has a cap and a limited line: together they may lose time",
            "leave one of them out", site.line.span,
        )  # fmt: skip
    return None


def _confined(policy: ir.Policy, queue: str) -> bool:
    classes = [
        cls
        for rule, cls in zip(policy.rules, policy.classes, strict=True)
        if rule.queue == queue and cls.affinity == "confine"
    ]
    return bool(classes)


def _paced(
    site: _Site, wanted: Demand, above: Above, share: Fraction, period: int, aged: int, late: int
) -> Way | Failure:
    if above.between_ns:
        return Failure(
            f"a count stands above the share of `{site.queue.name}`: any number of short stints "
            "may go before it", "give the counted lines shares of time as well", site.line.span,
        )  # fmt: skip
    if share <= 0 or period <= 0:
        return Failure(
            f"the share of `{site.queue.name}` may be 0", "at least 1%, over 1 ms", site.line.span
        )
    endless = _endless(site)
    if endless is not None:
        return endless
    turn = site.times.turn(site.queue)
    return Paced(wanted, above, share, period, turn, late, aged)


def _endless(site: _Site) -> Failure | None:
    """A stint is paid in full when it ends, and an unlimited one may have lasted for hours before
    anybody waited: its line then stays closed, or behind the others of its `share`, as long."""
    for rule in site.policy.rules:
        if rule.queue == site.queue.name and isinstance(rule.slice, ir.SliceUnlimited):
            return Failure(
                f"`{site.queue.name}` pays for all of an unlimited stint, which may have run for "
                "any time before anybody waited, and is not served until that is made up for",
                "give it a slice that ends: `slice 20ms`", rule.span,
            )  # fmt: skip
    return None


def _counted(site: _Site, wanted: Demand, above: Above, count: int) -> Way | Failure:
    if isinstance(site.line, ir.Take) and site.line.after is not None:
        return Failure(
            "`after` with a count: the tasks that have waited so long may be any number",
            "give it a share of time: `at most 10% every 100ms`", site.line.span,
        )  # fmt: skip
    filled = {rule.queue for rule in site.policy.rules} - {site.queue.name}
    limited = [line for line in site.above if filled.intersection(queues_of(line))]
    if limited:
        name = queues_of(limited[0])[0]
        return Failure(
            f"`{site.queue.name}` is counted below `{name}`: when nothing below it runs, its count "
            f"is never reset, and spare turns go to `{name}` first",
            f"give it a share of time: `take {site.queue.name} at most 20% every 100ms`",
            site.line.span,
        )  # fmt: skip
    if not wanted.stints:
        return Failure(
            f"a count on `{site.queue.name}`, a vtime without drift: its stints may be very short",
            f"declare `drift 1/64` on `{site.queue.name}`, or give it a share of time",
            site.line.span,
        )  # fmt: skip
    if count < 1:
        return Failure("a count of 0 never lets the line be served", "at least 1", site.line.span)
    turns = [site.times.turn(site.policy.queue(name)) for x in site.below for name in queues_of(x)]
    services = site.times.groups(site.queue)
    if services > 1:
        return Failure(
            "a count on control groups in turn", "give the line a share of time", site.line.span
        )
    return Counted(wanted, above, count, max(turns, default=0))


def _portion(site: _Site, wanted: Demand, above: Above, portions: dict[str, int]) -> Way | Failure:
    if above.between_ns:
        return Failure(
            "a count stands above a `share`: any number of short stints may reset it",
            "give the counted line a share of time", site.line.span,
        )  # fmt: skip
    endless = _endless(site)
    if endless is not None:
        return endless
    others = tuple(
        (parts, site.times.turn(site.policy.queue(name)))
        for name, parts in portions.items()
        if name != site.queue.name
    )
    turn = site.times.turn(site.queue)
    return Shared(wanted, above, portions[site.queue.name], turn, others)
