"""What to edit, so that the policy proves.

Input: the run retold, and the typed policy. Output: {"text", "edits": [{"span", "replacement"}],
"proves": bool, "bound_ns"}, as JSON values, at most two, those that prove first. An edit is tried
on the typed policy, and proved there; its text says the same. Invariant: at most `_MOST` proofs are
tried, in a fixed order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from schedc.ir import nodes as ir
from schedc.ir.nodes import Interval, Kind
from schedc.ir.print import time
from schedc.prove.parameters import Parameters
from schedc.prove.result import WATCHDOG_NS, Proof, Verdict
from schedc.records import dataclass
from schedc.refute.blame import above, span_json
from schedc.refute.retell import Retold
from schedc.source import Span

_MOST = 6
_BUDGETS = ((50, 40), (50, 80), (25, 160), (20, 320), (10, 640), (10, 1280))
_GROWTH = 5
_WEIGHTS = ((50, 200), (80, 125))


@dataclass(frozen=True, slots=True)
class Edit:
    """`spans`: what is replaced, by what; empty if it is a line to add or to change by hand."""

    text: str
    policy: ir.Policy
    spans: tuple[tuple[Span, str], ...] = ()


def suggest(
    run: Mapping[str, Any],
    policy: ir.Policy,
    parameters: Parameters,
    proof: Proof | None,
    told: Retold,
) -> list[dict[str, Any]]:
    """See the module."""
    made: list[dict[str, Any]] = []
    first: dict[str, Any] | None = None
    for edit in list(_edits(run, policy, proof, told))[:_MOST]:
        proved = _try(edit.policy, parameters)
        as_json = _as_json(edit, proved)
        first = first or as_json
        if as_json["proves"]:
            made.append(as_json)
            break
    return made or ([first] if first is not None else [])


def _try(policy: ir.Policy, parameters: Parameters) -> Proof:
    """The proof of the edited policy, for its own load and weights, within the user's tunables."""
    from schedc.prove.prove import prove

    narrower = Interval(
        max(parameters.weight.low, policy.weight.low),
        min(parameters.weight.high, policy.weight.high),
    )
    runnable = min(parameters.runnable, policy.runnable)
    return prove(policy, replace(parameters, weight=narrower, runnable=runnable))


def _as_json(edit: Edit, proof: Proof) -> dict[str, Any]:
    worst = proof.worst_bound
    proves = proof.verdict is Verdict.proved
    return {
        "text": edit.text,
        "edits": [{"span": span_json(span), "replacement": text} for span, text in edit.spans],
        "proves": proves,
        "bound_ns": worst.wait_ns(proof.runnable) if proves and worst is not None else None,
    }


def _edits(
    run: Mapping[str, Any], policy: ir.Policy, proof: Proof | None, told: Retold
) -> Iterator[Edit]:
    """From the most to the least specific to what the run shows."""
    lines = above(policy, told)
    if lines:
        yield from _bounded_lines(policy, lines)
        return
    queue = next((one for one in policy.queues if one.name == told.victim_queue), None)
    if queue is None:
        return
    if run["kind"] == "crowd" and queue.window is None:
        yield from _fewer(policy, proof)
    elif queue.order == "vtime":
        yield from _charged(policy, told)
        yield from _drifting(policy, queue)
        yield from _narrow_weights(policy)
    elif queue.order == "moment":
        yield from _narrow_window(policy, queue)
    yield from _fewer(policy, proof)


def _bounded_lines(policy: ir.Policy, lines: list[int]) -> Iterator[Edit]:
    """A share of time for each unbounded line above the victim's, of growing periods."""
    open_ = [
        number
        for number in lines
        if isinstance(line := policy.dispatch[number], ir.Take) and line.limit is None
    ]
    if not open_:
        return
    for percent, period_ms in _BUDGETS:
        dispatch, spans = list(policy.dispatch), []
        for place, number in enumerate(open_):
            line = dispatch[number]
            assert isinstance(line, ir.Take)
            share, period = percent >> place, period_ms * _GROWTH**place * ir.NS_PER_MS
            if share < 1:
                return
            dispatch[number] = replace(line, limit=_budget(share, period, line.span))
            after = f" after {_written(line.after)}" if line.after is not None else ""
            text = f"take {line.queue}{after} at most {share}% every {time(period)}"
            spans.append((line.span, text))
        yield Edit(
            " and ".join(f"`{text}`" for _, text in spans),
            replace(policy, dispatch=tuple(dispatch)),
            tuple(spans),
        )


def _budget(percent: int, period_ns: int, span: Span) -> ir.Budget:
    return ir.Budget(
        ir.Const(percent, ir.Type(Kind.RATIO), span), ir.Const(period_ns, ir.Type(Kind.TIME), span)
    )


def _written(expr: ir.Expr) -> str:
    return f"tune.{expr.name}" if isinstance(expr, ir.TuneRef) else time(_value(expr))


def _value(expr: ir.Expr) -> int:
    assert isinstance(expr, ir.Const)
    return expr.value


def _charged(policy: ir.Policy, told: Retold) -> Iterator[Edit]:
    """A charge that no condition skips."""
    body = policy.events.get("stop", ())
    guarded = [a for a in body if a.when is not None and a.target.type.kind is Kind.VTIME]
    if not told.stood_still or not guarded:
        return
    free = tuple(replace(a, when=None) if a in guarded else a for a in body)
    events = {**policy.events, "stop": free}
    spans = tuple(
        (Span(a.value.span.end, a.when.span.end, a.span.file), "") for a in guarded if a.when
    )
    plain = replace(policy, events=events)
    for edit in _drifting(plain, next(q for q in plain.queues if q.name == told.victim_queue)):
        text = f"charge every stint: leave out the `when`, and {edit.text}"
        yield Edit(text, edit.policy, (*spans, *edit.spans))
    yield Edit("charge every stint: leave out the `when`", plain, spans)


def _drifting(policy: ir.Policy, queue: ir.Queue) -> Iterator[Edit]:
    """A clock that also gains a share of real time: as little as lets newcomers fall behind the
    window in two thirds of the promise."""
    if queue.drift_shift is not None or queue.window is None:
        return
    promise = min([WATCHDOG_NS, *(one.wait_ns for one in policy.promises)])
    width = queue.window.high - queue.window.low
    fit = [shift for shift in (6, 5, 4, 3) if (width << shift) * 3 <= promise * 2]
    for shift in fit[:2]:
        changed = replace(queue, drift_shift=shift)
        same = {one.name for one in policy.queues if one.clock == queue.clock}
        queues = tuple(
            replace(one, drift_shift=shift) if one.name in same else one for one in policy.queues
        )
        yield Edit(
            f"`{declaration(changed)}`",
            replace(policy, queues=queues),
            tuple((one.span, declaration(one)) for one in queues if one.name in same),
        )


def _narrow_weights(policy: ir.Policy) -> Iterator[Edit]:
    for low, high in _WEIGHTS:
        if policy.weight.low < low or policy.weight.high > high:
            yield Edit(
                f"`assume weight in {low}..{high}`, which clamps all weights",
                replace(policy, weight=Interval(low, high)),
            )


def _narrow_window(policy: ir.Policy, queue: ir.Queue) -> Iterator[Edit]:
    assert queue.window is not None
    for part in (2, 4, 8):
        high = queue.window.high // part // ir.NS_PER_MS * ir.NS_PER_MS
        changed = replace(queue, window=Interval(queue.window.low, high))
        queues = tuple(changed if one.name == queue.name else one for one in policy.queues)
        text = declaration(changed)
        yield Edit(f"`{text}`", replace(policy, queues=queues), ((queue.span, text),))


def _fewer(policy: ir.Policy, proof: Proof | None) -> Iterator[Edit]:
    """As many contenders as the formula allows."""
    bounds = proof.bounds if proof is not None else ()
    most = min((one.most_runnable for one in bounds), default=0)
    if 0 < most < policy.runnable:
        yield Edit(
            f"`assume runnable <= {most} per cpu`, if no more contend",
            replace(policy, runnable=most),
        )


def declaration(queue: ir.Queue) -> str:
    """The line that declares a queue."""
    parts = [f"queue {queue.name}", "fifo" if queue.order == "fifo" else f"by {queue.order}"]
    if queue.window is not None:
        ends = [time(end) if end else "0ms" for end in (queue.window.low, queue.window.high)]
        parts.append(f"within {ends[0]}..{ends[1]}")
    if queue.drift_shift is not None:
        parts.append(f"drift 1/{1 << queue.drift_shift}")
    if queue.shared_clock:
        parts.append(f"clock {queue.clock}")
    if queue.domain != "machine":
        parts.append(f"per {queue.domain}")
    return " ".join(parts)
