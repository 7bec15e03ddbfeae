"""The longest times that a bound is made of: stints, turns, residues.

Input: a typed policy and `Parameters`. Output: a `Times`. Invariant: upper limits for the whole
range of every tunable; all in ns.
"""

from __future__ import annotations

from schedc.ir import nodes as ir
from schedc.ir.nodes import NS_PER_MS, SliceUnlimited
from schedc.prove.machine import capped, cgroup_slots
from schedc.prove.parameters import Parameters
from schedc.records import dataclass


@dataclass(frozen=True, slots=True)
class Times:
    """`keeps`: how often in a row `keep` may let a task go on."""

    policy: ir.Policy
    parameters: Parameters
    keeps: int

    def slice(self, queue: ir.Queue) -> int:
        """S: the longest slice into the queue."""
        rules = (rule for rule in self.policy.rules if rule.queue == queue.name)
        return max((rule.slice.high for rule in rules), default=0)

    def start(self, queue: ir.Queue) -> int:
        """What a newcomer is charged for: the longest slice over the declared range of every
        tunable, which is in the generated code, however narrow the parameters are."""
        return queue.slice_max_ns

    def stint(self, queue: ir.Queue) -> int:
        """S + tau, and the timer's period if it is what ends unlimited slices."""
        unlimited = any(
            isinstance(rule.slice, SliceUnlimited) and rule.queue == queue.name
            for rule in self.policy.rules
        )
        late = self.beat if unlimited else 0
        return self.slice(queue) + self.parameters.tick_ns + late

    def turn(self, queue: ir.Queue) -> int:
        """r: a stint, and those that `keep` adds to it."""
        return (self.keeps + 1) * self.stint(queue)

    @property
    def residue(self) -> int:
        """RES: until whatever runs when a task is queued is over."""
        stints = [self.stint(queue) for queue in self.policy.queues]
        kept_by_kernel = self.parameters.keep_slice_ns + self.parameters.tick_ns
        return (self.keeps + 1) * max([kept_by_kernel, *stints])

    @property
    def direct(self) -> int:
        """The longest turn of a task that was placed on a claimed cpu, past all queues; 0 where
        nobody is placed. One such task may come to a cpu while another waits for it."""
        placed = [
            self.turn(self.policy.queue(rule.queue))
            for rule, rungs in zip(self.policy.rules, self.policy.places, strict=True)
            if rungs and rule.cls not in capped(self.policy)
        ]
        return max(placed, default=0)

    @property
    def beat(self) -> int:
        """The timer's period: half of the shortest time that it must keep, within 1..10 ms. That of
        generated code is no longer, as its tunables' ranges are no narrower than these."""
        spans = [cap.period_ns * cap.percent // 100 for cap in self.policy.caps]
        spans += [
            self.policy.lower(rule.slice.contended)
            for rule in self.policy.rules
            if isinstance(rule.slice, SliceUnlimited)
            if isinstance(rule.slice.contended, ir.Const | ir.TuneRef)
        ]
        if self.policy.pack is not None:
            spans.append(20 * NS_PER_MS)
        return min(max(min(spans) // 2, NS_PER_MS), 10 * NS_PER_MS) if spans else 0

    def groups(self, queue: ir.Queue) -> int:
        """How many members of a family one line takes in turn."""
        return cgroup_slots(self.policy) if queue.domain == "cgroup" else 1


def times(policy: ir.Policy, parameters: Parameters) -> Times:
    """The times of a policy that has been narrowed to the parameters."""
    keeps = [
        policy.upper(line.count)
        for line in policy.dispatch
        if isinstance(line, ir.Keep) and isinstance(line.count, ir.Const | ir.TuneRef)
    ]
    return Times(policy, parameters, sum(keeps))
