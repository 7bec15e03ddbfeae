"""Whom to blame: the places of the policy that make the run possible.

Input: the run retold, and the policy. Output: {"span": [start, end, file], "note": text}, as JSON
values, the main one first. Invariant: at most five, each a place of the policy's text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from schedc.ir import nodes as ir
from schedc.refute.retell import Retold
from schedc.refute.words import duration, listed
from schedc.source import Span


def blame(run: Mapping[str, Any], policy: ir.Policy, told: Retold) -> list[dict[str, Any]]:
    """See the module."""
    found = list(_places(run, policy, told))
    return [{"span": span_json(span), "note": note} for span, note in found[:5]]


def span_json(span: Span) -> list[Any]:
    """As JSON values."""
    return [span.start, span.end, span.file]


def own_line(policy: ir.Policy, queue: str) -> int:
    """Number of the last local line that serves a queue."""
    numbers = [
        number
        for number, line in enumerate(policy.dispatch)
        if not isinstance(line, (ir.Steal, ir.Keep)) and queue in queues_of(line)
    ]
    return numbers[-1] if numbers else len(policy.dispatch)


def queues_of(line: ir.Line) -> tuple[str, ...]:
    """Queues that a line serves."""
    match line:
        case ir.Take(queue=queue) | ir.Steal(queue=queue):
            return (queue,)
        case ir.Share(portions=portions):
            return tuple(queue for queue, _ in portions)
        case ir.Lowest(queues=queues):
            return queues
    return ()


def above(policy: ir.Policy, told: Retold) -> list[int]:
    """Lines above the victim's that served others while it waited."""
    own = own_line(policy, told.victim_queue)
    return [
        number
        for number in told.lines
        if number < own and told.victim_queue not in queues_of(policy.dispatch[number])
    ]


def _places(run: Mapping[str, Any], policy: ir.Policy, told: Retold) -> Iterator[tuple[Span, str]]:
    for_ever = run["wait_ns"] is None
    own = own_line(policy, told.victim_queue)
    for number in above(policy, told):
        served = listed(told.lines[number])
        yield policy.dispatch[number].span, f"serves {served} {_often(for_ever)}"
    if above(policy, told):
        if own < len(policy.dispatch):
            yield (
                policy.dispatch[own].span,
                f"where `{run['victim']}` waits; never reached",
            )
        return
    yield from _in_queue(run, policy, told)


def _often(for_ever: bool) -> str:
    return "at every pick" if for_ever else "first"


def _in_queue(
    run: Mapping[str, Any], policy: ir.Policy, told: Retold
) -> Iterator[tuple[Span, str]]:
    """The victim's own queue lets others by."""
    queue = next((one for one in policy.queues if one.name == told.victim_queue), None)
    if queue is None:
        return
    rule = next(one for one in policy.rules if one.cls == run["victim_class"])
    if queue.window is None:
        yield rule.span, f"everybody gets up to {duration(queue.slice_max_ns)} and a tick at a turn"
        yield queue.span, "in order of arrival: all that are ahead have their turn first"
        return
    width = duration(queue.window.high - queue.window.low)
    if queue.order == "moment":
        yield queue.span, f"who comes within {width} may still go ahead"
    elif told.stood_still:
        for assign in _guarded(policy):
            yield assign.span, "no charge unless the condition holds"
        yield queue.span, "its clock moves only when somebody's vtime does"
    else:
        yield queue.span, f"heavy tasks are slow to use up {width} of vtime"
        for assign in policy.events.get("stop", ()):
            yield assign.span, "a stint costs a heavy task little"
    yield rule.span, "where the victim is queued"


def _guarded(policy: ir.Policy) -> list[ir.Assign]:
    """Charges of a vtime that a condition can skip."""
    return [
        assign
        for assign in policy.events.get("stop", ())
        if assign.when is not None and assign.target.type.kind is ir.Kind.VTIME
    ]
