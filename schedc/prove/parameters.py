"""For which machine, load and settings a policy is proved.

Input: a typed policy and what the user asked for. Output: `Parameters`, and the policy narrowed to
them. Invariant: what is not asked for is as wide as the policy declares it.
"""

from __future__ import annotations

from typing import Any

from schedc.ir.nodes import KEEP_SLICE_NS, NS_PER_MS, TICK_MARGIN_NS, Interval, Policy
from schedc.records import dataclass

MODEL_VERSION = "1"
"""Of the model and the argument: certificates of another version are not comparable."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """Times in ns. `tick_ns`: τ, how far a stint runs past its slice: a tick and the longest
    section that can't be interrupted. `keep_slice_ns`: the slice of a task that the kernel keeps by
    itself. Higher scheduling classes take at most `higher_burst_ns` + `higher_percent` of any
    window. `changes`: changes of affinity, nice or cgroup of a waiting task, per wait."""

    runnable: int
    weight: Interval
    tunes: tuple[tuple[str, Interval], ...]
    tick_ns: int = TICK_MARGIN_NS
    keep_slice_ns: int = KEEP_SLICE_NS
    higher_burst_ns: int = 0
    higher_percent: int = 0
    changes: int = 0

    def as_json(self) -> dict[str, Any]:
        """Plain values, in a fixed order."""
        return {
            "runnable": self.runnable,
            "weight": [self.weight.low, self.weight.high],
            "tunes": {name: [range_.low, range_.high] for name, range_ in self.tunes},
            "tick_ns": self.tick_ns,
            "keep_slice_ns": self.keep_slice_ns,
            "higher_burst_ns": self.higher_burst_ns,
            "higher_percent": self.higher_percent,
            "changes": self.changes,
        }

    def stint_ns(self, slice_ns: int) -> int:
        """r: the longest that a stint of this slice takes."""
        return slice_ns + self.tick_ns

    def residue_ns(self, policy: Policy) -> int:
        """RES: the longest until the stint that runs when a task begins to wait is over."""
        return max(policy.slice_max_ns, self.keep_slice_ns) + self.tick_ns


def declared(policy: Policy) -> Parameters:
    """What the policy itself declares."""
    tunes = tuple((tune.name, Interval(tune.low, tune.high)) for tune in policy.tunes)
    return Parameters(policy.runnable, policy.weight, tunes)


def at_most(ns: int) -> str:
    """A time with four digits, rounded up: what is called a bound must be one."""
    from math import ceil, floor, log10

    unit = 10 ** max(floor(log10(ns)) - 3, 0) if ns > 0 else 1
    return milliseconds(ceil(ns / unit) * unit)


def milliseconds(ns: int | float) -> str:
    """For people: `24 ms`, `1.56 s`."""
    ms = ns / NS_PER_MS
    return f"{ms:.4g} ms" if ms < 1000 else f"{ms / 1000:.4g} s"
