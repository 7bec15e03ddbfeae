"""In what order a queue serves: the few kinds that a bound is known for.

Input: a typed policy, `Parameters`, a queue or several that are compared with each other. Output: a
`Discipline`. Invariant: each but `Opaque` is a claim that `facts` turns into queries; where two
kinds fit, the one whose queries are proved is taken.

    Fifo    in order of arrival
    Now     key = real time + something bounded
    Drift   a vtime whose clock gains 1/2^k of real time
    Vtime   a vtime on one clock for the machine that every stint is charged to
    Opaque  nothing of these: no bound is known
"""

from __future__ import annotations

from fractions import Fraction

from schedc.ir import nodes as ir
from schedc.ir.nodes import Interval
from schedc.ir.print import time
from schedc.prove import facts
from schedc.prove.linear import Linear, per_contender
from schedc.prove.parameters import Parameters
from schedc.prove.result import Verdict
from schedc.prove.solve import solve
from schedc.prove.times import Times
from schedc.prove.windows import offset, reach, rules_of
from schedc.records import dataclass


@dataclass(frozen=True, slots=True)
class Fifo:
    name = "fifo"


@dataclass(frozen=True, slots=True)
class Now:
    """Keys lie in `reach` of real time at insertion."""

    reach: Interval
    name = "deadline on now"


@dataclass(frozen=True, slots=True)
class Drift:
    """Keys lie in `reach` of a clock that gains 1/2^shift of real time, and never goes back."""

    reach: Interval
    shift: int
    name = "vtime with drift"


@dataclass(frozen=True, slots=True)
class Vtime:
    """Vtimes lie in `window` of the one clock; a key is the vtime plus at least `lead_ns` (<= 0).
    A vtime never falls, and a stint costs at least its time over `weight` / 100."""

    window: Interval
    lead_ns: int
    weight: int
    name = "vtime without drift"


@dataclass(frozen=True, slots=True)
class Opaque:
    """`why`: what keeps the queue from being one of the others. `hint`: what would make it one."""

    why: str
    hint: str
    name = "unknown"


Discipline = Fifo | Now | Drift | Vtime | Opaque


@dataclass(frozen=True, slots=True)
class Demand:
    """What must be served before a task is next. After `delay_ns` no newcomer goes before it; then
    `work` is the longest time that one cpu spends on those before it (the least loaded of the cpus
    that may run it). `stint_ns`: the longest turn of one of them. `stints`: whether the work is
    N - 1 of those; else, there may be any number of short ones. `text`: the two, as a formula."""

    delay_ns: int
    work: Linear
    stint_ns: int
    stints: bool
    text: tuple[str, str]


def discipline(policy: ir.Policy, parameters: Parameters, queue: ir.Queue) -> Discipline:
    """The kind of one queue."""
    match queue.order:
        case "fifo":
            return Fifo()
        case "moment":
            return Now(reach(policy, parameters, queue))
        case "vtime" if queue.drift_shift is not None:
            return Drift(reach(policy, parameters, queue), queue.drift_shift)
    return _vtime(policy, parameters, queue)


def _vtime(policy: ir.Policy, parameters: Parameters, queue: ir.Queue) -> Vtime | Opaque:
    assert queue.window is not None
    drift = f"declare `drift 1/64` on `{queue.name}`: newcomers then fall behind whoever waits"
    one_clock = queue.domain == "machine" or queue.shared_clock
    if not one_clock:
        why = (
            f"`{queue.name}` has a clock in each {queue.domain}: a task that comes from another "
            "brings its credit along, again and again"
        )
        return Opaque(why, f"{drift}; or let all share one `clock`")
    windows = {one.window for one in policy.queues if one.clock == queue.clock}
    if len(windows) > 1:
        why = f"queues on the clock of `{queue.name}` have different windows: a task's debt is cut"
        return Opaque(why, f"declare the same window for all of them, or {drift}")
    lead = _lead(policy, parameters, queue)
    if lead is None:
        why = f"a key of `{queue.name}` is not its task's vtime plus something bounded"
        return Opaque(why, drift)
    if lead < 0 and queue.window.high == 0:
        why = f"the window of `{queue.name}` keeps no debt"
        return Opaque(why, f"{drift}, or widen the window")
    if not _holds(facts.monotone(policy, parameters, queue)):
        return Opaque(f"an event may lower the vtime of a task of `{queue.name}`", drift)
    for weight in (parameters.weight.high, 10_000):
        if _holds(facts.charged(policy, parameters, queue, weight)):
            return Vtime(queue.window, lead, weight)
    why = f"not every stint from `{queue.name}` is charged for its time"
    return Opaque(why, f"charge each stint: `task.used += charge(ran)` in `on stop`; or {drift}")


def _lead(policy: ir.Policy, parameters: Parameters, queue: ir.Queue) -> int | None:
    """The least that a rule adds to the vtime for its key; at most 0. None if that isn't proved."""
    lows = [
        offset(policy, parameters, queue, rule.key, Interval(0, 0)).low
        for rule in rules_of(policy, queue)
        if rule.key is not None
    ]
    lead = min(0, *lows)
    return lead if _holds(facts.led(policy, parameters, queue, lead)) else None


def _holds(query: facts.Query) -> bool:
    (found,) = solve([query])
    return found.verdict is Verdict.proved


def joined(queues: tuple[ir.Queue, ...], kinds: tuple[Discipline, ...]) -> Discipline:
    """Several queues whose heads are compared on one clock are one queue."""
    if len(kinds) == 1:
        return kinds[0]
    names = " and ".join(f"`{queue.name}`" for queue in queues)
    match kinds[0]:
        case Opaque() as opaque:
            return opaque
        case Now() if all(isinstance(kind, Now) for kind in kinds):
            return Now(_hull([kind.reach for kind in kinds if isinstance(kind, Now)]))
        case Drift(shift=shift):
            same = [kind for kind in kinds if isinstance(kind, Drift) and kind.shift == shift]
            if len(same) == len(kinds):
                return Drift(_hull([kind.reach for kind in same]), shift)
        case Vtime():
            all_of = [kind for kind in kinds if isinstance(kind, Vtime)]
            if len(all_of) == len(kinds):
                # One clock, so the same window.
                lead = min(kind.lead_ns for kind in all_of)
                return Vtime(all_of[0].window, lead, max(kind.weight for kind in all_of))
    bad = next((kind for kind in kinds if isinstance(kind, Opaque)), None)
    why = f"{names} are compared, but not all are ordered alike"
    return bad or Opaque(why, "give them one clock and one drift")


def _hull(intervals: list[Interval]) -> Interval:
    return Interval(min(one.low for one in intervals), max(one.high for one in intervals))


def demand(
    kind: Discipline, queues: tuple[ir.Queue, ...], times: Times, groups: int
) -> Demand | Opaque:
    """What a task in one of these queues waits for. `groups`: how many members of a family one
    line takes in turn (control groups); 1 for all other queues."""
    turn = max(times.turn(queue) for queue in queues)
    own = per_contender(turn, less=1)
    # Before each service of the own group, and before its own turn, each other group has one.
    others = per_contender(turn * (groups - 1))
    text = "(N-1) r" if groups == 1 else f"(N-1) r + N {groups - 1} r"
    match kind:
        case Fifo():
            return Demand(0, own + others, turn, True, ("", text))
        case Now(reach=found):
            delay = found.high - found.low
            return Demand(delay, own + others, turn, True, (f"D = {time(delay)}", text))
        case Drift(reach=found, shift=shift):
            width = found.high - found.low
            delay = (width + 1) << shift
            return Demand(
                delay, own + others, turn, True, (f"{1 << shift} (L+H = {time(width)})", text)
            )
        case Vtime() if groups > 1:
            why = "control groups in turn, each by vtime without drift: any number of short stints"
            return Opaque(why, "declare `drift 1/64`, or use `lowest`")
        case Vtime():
            return _charged(kind, queues, times, turn)
        case Opaque():
            return kind


def _charged(kind: Vtime, queues: tuple[ir.Queue, ...], times: Times, turn: int) -> Demand:
    """K1: what each of N contenders may run before its vtime is past the waiting task's key."""
    factor = max(rate(kind, queue, times) for queue in queues)
    credit = kind.window.high - kind.window.low - kind.lead_ns
    spare = 2 + lost(kind)
    each = factor * credit + spare * turn
    text = f"N ({_factor(factor)} {time(credit)} + {spare} r)"
    return Demand(0, per_contender(each), turn, False, ("", text))


def lost(kind: Vtime) -> int:
    """How many stints of one task may go uncharged, as its vtime is cut at the window's upper end
    while a lead still brings it forward: each moves the clock by H."""
    return -(kind.lead_ns // kind.window.high) if kind.lead_ns < 0 else 0


def rate(kind: Vtime, queue: ir.Queue, times: Times) -> Fraction:
    """Real time per unit of vtime, at most: by weight; more where a stint outlasts what it is
    charged for; and more as a forked task is run for a stint and pays for a slice."""
    stint, start_ns = times.stint(queue), times.start(queue)
    charged = Fraction(stint, min(stint, times.policy.stint_max_ns))
    found = Fraction(kind.weight, 100) * charged * max(Fraction(stint, start_ns), Fraction(1))
    if kind.lead_ns < 0:
        found = max(found, Fraction(stint, kind.window.high))
    return found


def _factor(factor: Fraction) -> str:
    return f"{float(factor):.4g}"


__all__ = [
    "Demand", "Discipline", "Drift", "Fifo", "Now", "Opaque", "Vtime", "demand", "discipline",
    "joined", "lost", "rate",
]  # fmt: skip
