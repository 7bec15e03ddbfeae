"""A policy made ready to run: what its text says, in numbers and functions.

Input: a typed policy, a topology, values of tunables. Output: a `Program`, shared by all copies of
a machine. Invariant: nothing in it changes while a machine runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from schedc.ir import nodes as ir
from schedc.ir.semantics import Leaf, evaluate
from schedc.ir.walk import everywhere, facts_used, queues_asked, stores_class
from schedc.model.expressions import Body, compiled
from schedc.model.lines import Line, lines
from schedc.model.normal import lows
from schedc.model.state import FOREVER
from schedc.model.world import Topology

Function = Callable[..., Any]

SCOPES = ("task", "cpu", "llc", "node", "class", "cgroup", "comm", "global")

_OBJECT = {
    "task": "t.v",
    "cpu": "m.cpus[cpu].v",
    "llc": "m.shared['llc'][m.program.topology.llc_of[cpu]]",
    "node": "m.shared['node'][m.program.topology.node(cpu)]",
    "class": "m.shared['class'][t.cls]",
    "cgroup": "m.of_cgroup(t)",
    "comm": "m.of_comm(t)",
    "global": "m.shared['global'][0]",
}

_FACTS = {
    "now": "now",
    "burst": "m.burst(t)",
    "slept": "t.slept",
    "waited": "t.waited",
    "wakes": "t.wakes",
    "wakings": "t.wakings",
    "weight": "t.weight",
    "nice": "t.profile.nice",
    "uid": "t.profile.uid",
    "pid": "t.id",
    "tgid": "t.profile.tgid",
    "sync": "t.sync",
    "runnable": "m.nr_runnable",
    "kthread": "t.profile.kthread",
    "pinned": "t.pinned",
    "allowed_cpus": "len(t.allowed)",
    "cgroup_weight": "m.cgroup_weight(t)",
    "cgroup_runnable": "m.cgroup_runnable.get(m.slot(t), 0)",
    "cpus": "len(m.cpus)",
    "cpus_idle": "m.count_idle()",
    "busy": "m.busy()",
    "capacity": "m.program.topology.capacity_of(cpu)",
}


class Program:
    """Queues, classes and variables go by number, in the order of their declarations.

    `stores_class`: whether a task keeps the class that it was given when a cpu was looked for until
    it is inserted, and then for its stint; else it is asked for anew each time, as generated code
    does where no part of the policy asks for the class of a task.
    """

    def __init__(
        self, policy: ir.Policy, topology: Topology, tunes: Mapping[str, int] | None = None
    ) -> None:
        self.policy, self.topology = policy, topology
        self.tunes = {tune.name: tune.value for tune in policy.tunes} | dict(tunes or {})
        self.all_cpus = frozenset(range(topology.cpus))
        self.facts = facts_used(policy)
        self._variables()
        self._queues()
        self._classes()
        self.lines: list[Line] = lines(self)
        self._limits()
        self.stores_class = stores_class(policy)
        self.random_steals = any(
            isinstance(line, ir.Steal) and line.pick is not None for line in policy.dispatch
        )

    # --- constants ---------------------------------------------------------------------------

    def constant(self, expr: ir.Expr) -> int:
        """The value of an expression of constants and tunables."""

        def read(leaf: Leaf) -> int:
            assert isinstance(leaf, ir.TuneRef), "only tunables are constant"
            return self.tunes[leaf.name]

        return evaluate(expr, read, self.policy.stint_max_ns)

    def cpus_of(self, name: str) -> frozenset[int]:
        """The cpus of a set."""
        found = next(one for one in self.policy.cpu_sets if one.name == name)
        cpus, topology = range(self.topology.cpus), self.topology
        match found.kind:
            case "list":
                return frozenset(c for c in cpus if any(a <= c <= b for a, b in found.cpus))
            case "llc":
                return frozenset(c for c in cpus if topology.llc_of[c] == found.llc)
            case "fast":
                return frozenset(c for c in cpus if topology.is_fast(c))
            case "slow":
                return frozenset(c for c in cpus if not topology.is_fast(c))

    # --- variables and handlers --------------------------------------------------------------

    def _variables(self) -> None:
        policy = self.policy
        self.states = {scope: [s for s in policy.states if s.scope == scope] for scope in SCOPES}
        self.number = {
            (scope, state.name): i
            for scope, states in self.states.items()
            for i, state in enumerate(states)
        }
        self.handlers: dict[str, Function | None] = {
            event: self._handler(policy.events.get(event, ())) for event in ir.EVENTS
        }
        self.initial: dict[str, list[Function | int | None]] = {
            scope: [self._initial(state) for state in states]
            for scope, states in self.states.items()
        }

    def _initial(self, state: ir.State) -> Function | int | None:
        """None: a task's vtime."""
        if state.initial is None:
            return None if state.type.kind is ir.Kind.VTIME and state.scope == "task" else 0
        return self.function(state.initial)

    def _handler(self, assigns: tuple[ir.Assign, ...]) -> Function | None:
        if not assigns:
            return None
        body = self._body("ran")
        for assign in assigns:
            body.assign(assign, self.policy.state(assign.target.scope, assign.target.name))
        return compiled(body.function("None"), {})

    def function(self, expr: ir.Expr, ran: str = "t.ran") -> Function:
        """An expression; `ran`: where the length of the stint is."""
        body = self._body(ran)
        return compiled(body.function(body.value(expr)), {})

    def _body(self, ran: str) -> Body:
        return Body(lambda leaf: self._leaf(leaf, ran), self.policy.stint_max_ns)

    def _leaf(self, leaf: Leaf, ran: str) -> str:
        match leaf:
            case ir.TuneRef(name=name):
                return str(self.tunes[name])
            case ir.StateRef(scope=scope, name=name):
                return f"{_OBJECT[scope]}[{self.number[(scope, name)]}]"
            case ir.FactRef(name="ran"):
                return ran
            case ir.FactRef(name=name):
                return _FACTS[name]
            case ir.QueueFact(function=function, queue=queue):
                return f"m.{function}_here({self.policy.queue(queue).index}, t, cpu)"
            case ir.MatchComm(patterns=patterns):
                found = [
                    f"t.profile.comm.startswith({p.text!r})" if p.prefix
                    else f"t.profile.comm == {p.text!r}"
                    for p in patterns
                ]  # fmt: skip
                return f"({' or '.join(found)})"
            case ir.MatchPath(kind="exe", indices=indices):
                return f"(t.profile.exe in {indices!r})"
            case ir.MatchPath(indices=indices):
                return f"(not t.profile.within.isdisjoint({indices!r}))"
            case ir.IsClass(who=who, cls=cls):
                member = "t.waker" if who == "waker" else "t.cls"
                return f"({member} == {self.policy.class_index(cls)})"

    # --- queues and clocks -------------------------------------------------------------------

    def _queues(self) -> None:
        queues = self.policy.queues
        self.names = [queue.name for queue in queues]
        self.domains = [queue.domain for queue in queues]
        self.orders = [queue.order for queue in queues]
        self.low = [queue.window.low if queue.window else 0 for queue in queues]
        self.high = [queue.window.high if queue.window else 0 for queue in queues]
        clocks: dict[tuple[str, bool], int] = {}
        self.clock_of = [
            clocks.setdefault((queue.clock or queue.name, queue.shared_clock), len(clocks))
            if queue.order == "vtime" else -1
            for queue in queues
        ]  # fmt: skip
        self.clocks = len(clocks)
        self.single_clock = [q.shared_clock or q.domain == "machine" for q in queues]
        self.drift = [queue.drift_shift for queue in queues]
        self.homed = [
            queue.order == "vtime" and not single
            for queue, single in zip(queues, self.single_clock, strict=True)
        ]
        self.vtimes = [self._vtimes(queue, ("task", "cgroup")) for queue in queues]
        self.own_vtime = [self._vtimes(queue, ("task",)) for queue in queues]
        self.stolen = [
            any(isinstance(line, ir.Steal) and line.queue == queue.name
                for line in self.policy.dispatch)
            for queue in queues
        ]  # fmt: skip
        asked = {name for line in self.policy.dispatch if isinstance(line, ir.Lowest)
                 for name in line.queues} | queues_asked(self.policy, "head")  # fmt: skip
        self.first_queue, self.low_of_clock, self.low_moment = lows(self)
        self.compared = [queue.name in asked for queue in queues]

    def _vtimes(self, queue: ir.Queue, scopes: tuple[str, ...]) -> list[tuple[str, int]]:
        """Scope and number of each vtime on the queue's clock."""
        if queue.order != "vtime":
            return []
        return [
            (state.scope, self.number[(state.scope, state.name)])
            for state in self.policy.states
            if state.type.kind is ir.Kind.VTIME and state.type.clock == queue.clock
            if state.scope in scopes
        ]

    def longest_slice(self, clock: str | None) -> int:
        """The longest slice into any queue on a clock: what a newcomer is charged."""
        return max(queue.slice_max_ns for queue in self.policy.queues if queue.clock == clock)

    # --- classes -----------------------------------------------------------------------------

    def _classes(self) -> None:
        policy = self.policy
        self.class_names = [cls.name for cls in policy.classes]
        self.conditions = [
            self.function(cls.when) if cls.when is not None else None for cls in policy.classes
        ]
        self.sets = [self.cpus_of(cls.cpus) if cls.cpus else None for cls in policy.classes]
        self.confined = [cls.affinity == "confine" for cls in policy.classes]
        self.queue_of = [policy.queue(rule.queue).index for rule in policy.rules]
        self.keys = [self.function(rule.key) if rule.key is not None else None
                     for rule in policy.rules]  # fmt: skip
        self.slices = [
            self.function(rule.slice.value) if isinstance(rule.slice, ir.Slice) else None
            for rule in policy.rules
        ]
        self.contended = [
            self.constant(rule.slice.contended)
            if isinstance(rule.slice, ir.SliceUnlimited) else FOREVER
            for rule in policy.rules
        ]  # fmt: skip
        self.preempt = [self._preempt(rule) for rule in policy.rules]
        capped = {cap.cls for cap in policy.caps}
        self.capped = [cls.name in capped for cls in policy.classes]
        self.rungs = [
            [(rung, self.function(rung.when) if rung.when is not None else None) for rung in rungs]
            if cls.name not in capped else []
            for cls, rungs in zip(policy.classes, policy.places, strict=True)
        ]  # fmt: skip
        self.placing = any(self.rungs)
        self.one_class = len(policy.classes) == 1

    def _preempt(self, rule: ir.Rule) -> tuple[frozenset[int], int] | None:
        """Victims' classes, and what they must have run."""
        if rule.preempt is None:
            return None
        victims = frozenset(self.policy.class_index(name) for name in rule.preempt.victims)
        return victims, self.constant(rule.preempt.ran)

    # --- limits ------------------------------------------------------------------------------

    def _limits(self) -> None:
        policy = self.policy
        self.budgets = [line for line in self.lines if line.budget >= 0]
        self.budget_of_queue = {line.queue: line for line in reversed(self.budgets)}
        self.counts = sum(line.counted >= 0 for line in self.lines)
        self.portions = sum(len(line.portions) for line in self.lines)
        self.scales = [scale for line in self.lines for _, scale in line.portions]
        self.pays = bool(self.budgets or self.portions)
        self.keeps = any(line.kind == "keep" for line in self.lines)
        self.enq_last = bool(policy.caps) or any(self.confined)
        self.caps = [(policy.class_index(cap.cls), cap.percent, cap.period_ns)
                     for cap in policy.caps]  # fmt: skip
        self.served_by = [self._served_by(queue) for queue in range(len(policy.queues))]
        self.caps_of = [
            [i for i, (cls, _, _) in enumerate(self.caps) if self.queue_of[cls] == queue]
            for queue in range(len(policy.queues))
        ]
        self.pack = policy.pack.percent if policy.pack is not None else 0
        self.beat_ns = self._beat()
        self.aged = {line.queue for line in self.lines if line.after >= 0}
        self.asks_head = any(
            isinstance(e, ir.QueueFact) and e.function == "head" for e in everywhere(policy)
        )

    def _served_by(self, queue: int) -> frozenset[int] | None:
        """The cpus that serve a queue, if not all do: those of its classes' only set."""
        found = {
            cpus
            for cls, cpus in enumerate(self.sets)
            if self.queue_of[cls] == queue and self.confined[cls] and cpus is not None
        }
        return found.pop() if len(found) == 1 else None

    def _beat(self) -> int:
        """Time between the timer's beats, 0 without one (as `schedc.emit.beat` decides)."""
        spans = [period * percent // 100 for _, percent, period in self.caps]
        spans += [
            self.policy.lower(rule.slice.contended)
            for rule in self.policy.rules
            if isinstance(rule.slice, ir.SliceUnlimited)
            if isinstance(rule.slice.contended, ir.Const | ir.TuneRef)
        ]
        if self.pack:
            spans.append(20 * ir.NS_PER_MS)
        if not spans:
            return 0
        return min(max(min(spans) // 2, ir.NS_PER_MS), 10 * ir.NS_PER_MS)
