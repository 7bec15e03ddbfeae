"""The lines of `dispatch` in numbers.

Input: a `Program` in the making. Output: its `Line`s. Invariant: the order is that of the policy.
"""

from __future__ import annotations

from collections.abc import Callable
from math import lcm
from typing import TYPE_CHECKING, Any

from schedc.ir import nodes as ir
from schedc.records import dataclass

if TYPE_CHECKING:
    from schedc.model.program import Program


@dataclass(frozen=True, slots=True)
class Line:
    """`queue`: of `take` and `steal`. `budget`: number of its bucket, which fills at `percent` up
    to percent * `period`; `counted`: number of its count, at most `most`. `resets`: counts above
    it. `pays`: what pays for a stint from it (a bucket, the first portion), or -1. `portions`:
    (queue, scale of its time). `after`: -1 without.
    `competes`: the previous task stands in the queue by its key. `final`: nothing follows."""

    kind: str
    number: int
    queue: int = -1
    after: int = -1
    budget: int = -1
    percent: int = 0
    period: int = 0
    counted: int = -1
    most: int = 0
    resets: tuple[int, ...] = ()
    pays: int = -1
    queues: tuple[int, ...] = ()
    portions: tuple[tuple[int, int], ...] = ()
    pick: int = 0
    when: Callable[..., Any] | None = None
    competes: bool = False
    final: bool = False


def lines(program: Program) -> list[Line]:
    """All lines of the policy's dispatch."""
    policy = program.policy
    budgets = [x for x in policy.dispatch if isinstance(x, ir.Take) and _is(x, ir.Budget)]
    counts = [x for x in policy.dispatch if isinstance(x, ir.Take) and _is(x, ir.CountLimit)]
    made: list[Line] = []
    paid = len(budgets)
    for number, line in enumerate(policy.dispatch):
        above = policy.dispatch[:number]
        resets = tuple(i for i, counted in enumerate(counts) if counted in above)
        match line:
            case ir.Take():
                made.append(_take(program, line, number, resets, budgets, counts))
            case ir.Share(portions=portions):
                whole = lcm(*(parts for _, parts in portions))
                scaled = tuple((program.policy.queue(q).index, whole // n) for q, n in portions)
                made.append(Line("share", number, resets=resets, pays=paid, portions=scaled))
                paid += len(portions)
            case ir.Lowest(queues=queues):
                asked = tuple(policy.queue(name).index for name in queues)
                made.append(Line("lowest", number, resets=resets, queues=asked))
            case ir.Steal(queue=queue, pick=pick):
                q = policy.queue(queue).index
                made.append(Line("steal", number, q, resets=resets, pick=pick or 0))
            case ir.Keep(count=count, when=when):
                most = program.constant(count)
                made.append(Line("keep", number, most=most, when=program.function(when, "ran")))
    return made


def _is(line: ir.Take, kind: type) -> bool:
    return isinstance(line.limit, kind)


def _take(
    program: Program,
    line: ir.Take,
    number: int,
    resets: tuple[int, ...],
    budgets: list[ir.Take],
    counts: list[ir.Take],
) -> Line:
    queue = program.policy.queue(line.queue)
    budget = percent = period = counted = most = -1
    if isinstance(line.limit, ir.Budget):
        budget = budgets.index(line)
        percent = program.constant(line.limit.percent)
        period = program.constant(line.limit.period_ns)
    elif isinstance(line.limit, ir.CountLimit):
        counted = counts.index(line)
        most = program.constant(line.limit.count)
    return Line(
        "take", number, queue.index,
        after=program.constant(line.after) if line.after is not None else -1,
        budget=budget, percent=percent, period=period, counted=counted, most=most,
        resets=resets, pays=budget, competes=competes(program.policy, queue),
        final=line is program.policy.dispatch[-1] and not (budgets or counts),
    )  # fmt: skip


def competes(policy: ir.Policy, queue: ir.Queue) -> bool:
    """Whether the previous task stands in the queue by its key: not where an `enqueue` handler may
    change the key, nor where the queue's head isn't one task."""
    return (
        queue.order != "fifo"
        and queue.domain != "cgroup"
        and not policy.events.get("enqueue")
        and any(
            isinstance(line, ir.Take) and line.queue == queue.name and line.after is None
            for line in policy.dispatch
        )
    )
