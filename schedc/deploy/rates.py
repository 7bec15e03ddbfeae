"""What happened between two looks at a policy: rates, waits, what the policy itself costs.

Input: two states and the seconds between them. Output: `Rates`. Invariant: counters that went back
(the policy was attached anew) give no rates, never negative ones.
"""

from __future__ import annotations

from collections.abc import Mapping

from schedc.deploy.state import BoundOf, ClassCounts, QueueCounts, State
from schedc.deploy.waits import quantile
from schedc.records import dataclass


@dataclass(frozen=True, slots=True)
class ClassRate:
    """A class over the interval. Rates per second; `share`: of one cpu; waits in ns, `longest`
    since it was attached; `bound`: what was proved of it."""

    name: str
    enqueued: float
    run: float
    preempted: float
    share: float
    p50: float | None
    p99: float | None
    longest: float | None
    bound: BoundOf | None

    @property
    def of_bound(self) -> float | None:
        """The longest wait as a part of the proved bound."""
        if self.bound is None or self.longest is None or self.bound.wait_ms <= 0:
            return None
        return self.longest / (self.bound.wait_ms * 1e6)


@dataclass(frozen=True, slots=True)
class QueueRate:
    """A queue over the interval, per second."""

    name: str
    inserted: float
    taken: float
    stolen: float
    skipped: float


@dataclass(frozen=True, slots=True)
class Rates:
    """`cost`: cpu time of the policy's callbacks, of one cpu; None if the kernel doesn't count it.
    `per_call_ns`: of one callback. `events`: those that happened in the interval."""

    seconds: float
    classes: tuple[ClassRate, ...]
    queues: tuple[QueueRate, ...]
    calls: float
    cost: float | None
    per_call_ns: float | None
    events: Mapping[str, int]


def between(then: State, now: State, seconds: float) -> Rates | None:
    """The rates; None if these are not two looks at the same run of one policy."""
    same = then.policy is not None and now.policy is not None and (
        then.policy.object == now.policy.object
        and then.kernel.enable_seq == now.kernel.enable_seq
        and [one.name for one in then.classes] == [one.name for one in now.classes]
    )
    if not same or seconds <= 0:
        return None
    bounds = {one.cls: one for one in now.bounds}
    run_time, calls = now.run_time_ns - then.run_time_ns, now.run_cnt - then.run_cnt
    return Rates(
        seconds,
        tuple(_class(a, b, seconds, bounds.get(b.name))
              for a, b in zip(then.classes, now.classes, strict=True)),
        tuple(_queue(a, b, seconds) for a, b in zip(then.queues, now.queues, strict=False)),
        calls / seconds,
        run_time / (seconds * 1e9) if calls > 0 else None,
        run_time / calls if calls > 0 else None,
        {name: count - then.kernel.events.get(name, 0)
         for name, count in now.kernel.events.items()
         if count > then.kernel.events.get(name, 0)},
    )  # fmt: skip


def _class(
    then: ClassCounts, now: ClassCounts, seconds: float, bound: BoundOf | None
) -> ClassRate:
    waits = tuple(b - a for a, b in zip(then.wait_hist, now.wait_hist, strict=False))
    return ClassRate(
        now.name, (now.enqueued - then.enqueued) / seconds, (now.run - then.run) / seconds,
        (now.preempted - then.preempted) / seconds, (now.ran_ns - then.ran_ns) / (seconds * 1e9),
        _wait(waits, 0.5, now), _wait(waits, 0.99, now),
        float(now.wait_max_ns) if now.run else None, bound,
    )  # fmt: skip


def _wait(waits: tuple[int, ...], share: float, now: ClassCounts) -> float | None:
    """A quantile of the interval: never above the longest that was ever seen."""
    value = quantile(waits, share)
    return None if value is None else min(value, float(now.wait_max_ns))


def _queue(then: QueueCounts, now: QueueCounts, seconds: float) -> QueueRate:
    return QueueRate(
        now.name, (now.inserted - then.inserted) / seconds, (now.taken - then.taken) / seconds,
        (now.stolen - then.stolen) / seconds, (now.skipped - then.skipped) / seconds,
    )  # fmt: skip
