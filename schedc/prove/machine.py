"""One machine, of any size and shape, as the solver sees it; and what generated code does on it.

Input: a typed policy and `Parameters`. Output: terms: where a task waits, which cpu takes it from
there, which cpu is woken for it. Cpus are integers; what cache or node a cpu belongs to, whether a
task may run on it, whether it is in a set or idle are uninterpreted functions, so that whatever is
proved holds for every topology and every mask. Invariant: what is said here of `dispatch`, `place`
and wake-ups is what `schedc.emit` writes (`dispatching`, `placing`, `queueing`).
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field
from typing import Literal

import z3

from schedc.ir import nodes as ir
from schedc.prove.parameters import Parameters
from schedc.prove.terms import Environment, Term, every, some, truth

MAX_CPUS = 512
MAX_LLCS = 64
MAX_NODES = 16
MAX_CLASSES = 16
MAX_LINES = 32
"""Sizes of the arrays of generated code, as in backends/bpf/include/runtime.h."""


def cgroup_slots(policy: ir.Policy) -> int:
    """How many control groups are told apart: a power of two above those assumed."""
    return 1 << max(1, policy.cgroups).bit_length()


@dataclass(slots=True)
class Task:
    """One task that waits, and the machine around it. `here`: the cpu it belongs to."""

    policy: ir.Policy
    parameters: Parameters
    env: Environment = field(init=False)
    here: z3.ArithRef = field(init=False)
    cpus: z3.ArithRef = field(init=False)
    hypotheses: list[z3.BoolRef] = field(default_factory=list)
    _chosen: list[z3.BoolRef] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.env = Environment(self.policy, self.parameters)
        self.cpus = z3.Int("cpus.possible")
        self.hypotheses += [self.cpus >= 1, self.cpus <= MAX_CPUS]
        self.here = self.cpu("here")
        # The kernel moves a task whose mask no longer has its cpu before anybody else sees it.
        self.hypotheses.append(self.allowed(self.here))

    def again(self) -> Task:
        """The same task and machine for another query, which may say more about them."""
        made = copy(self)
        made.hypotheses = list(self.hypotheses)
        return made

    def known(self) -> tuple[z3.BoolRef, ...]:
        """Every hypothesis, of the machine and of what was read of the task."""
        return (*self.counts(), *self.hypotheses, *self.env.hypotheses())

    # --- cpus ---

    def cpu(self, name: str) -> z3.ArithRef:
        """Some cpu of the machine, with its place in it."""
        cpu = z3.Int(f"cpu.{name}")
        llc, node = self.domain("llc", cpu), self.domain("node", cpu)
        self.hypotheses += [
            cpu >= 0, cpu < self.cpus,
            llc >= 0, llc < self.count("llc"), node >= 0, node < self.count("node"),
        ]  # fmt: skip
        return cpu

    def count(self, domain: ir.Domain) -> Term:
        """How many members a family of queues has: as many as `init` makes."""
        match domain:
            case "machine":
                return 1
            case "cpu":
                return self.cpus
            case "cgroup":
                return cgroup_slots(self.policy)
        return z3.Int(f"{domain}s")

    def counts(self) -> list[z3.BoolRef]:
        """That the machine fits the generated code's arrays."""
        llcs, nodes = z3.Int("llcs"), z3.Int("nodes")
        return [llcs >= 1, llcs <= MAX_LLCS, nodes >= 1, nodes <= MAX_NODES]

    def domain(self, domain: ir.Domain, cpu: z3.ArithRef) -> Term:
        """Number of the queue in a family where a cpu (and a task of it) is."""
        match domain:
            case "machine":
                return 0
            case "cpu":
                return cpu
            case "cgroup":
                return z3.Int("slot")
        return z3.Function(f"{domain}_of", z3.IntSort(), z3.IntSort())(cpu)

    def allowed(self, cpu: z3.ArithRef) -> z3.BoolRef:
        """Whether the task may run there."""
        return _of("allowed", cpu)

    def idle(self, cpu: z3.ArithRef) -> z3.BoolRef:
        """Whether the cpu has its idle mark, which a claim takes away."""
        return _of("idle", cpu)

    def member(self, cpus: str, cpu: z3.ArithRef) -> z3.BoolRef:
        """Whether a cpu is in a set of the policy."""
        return _of(f"in.{cpus}", cpu)

    # --- classes ---

    def pinned(self) -> Term:
        """The fact `pinned`."""
        return self.env.read(ir.FactRef("pinned", ir.Type(ir.Kind.BOOL), self.policy.span))

    def only_here(self, cpu: z3.ArithRef) -> z3.BoolRef:
        """A pinned task may run on its cpu only."""
        return z3.Implies(z3.And(truth(self.pinned()), self.allowed(cpu)), cpu == self.here)

    def guard(self, cls: ir.Class) -> z3.BoolRef:
        """Whether a class's own conditions hold: `when`, and for `confine`, that the mask meets the
        set."""
        tests = [] if cls.when is None else [truth(self.env.evaluate(cls.when))]
        if cls.affinity == "confine" and cls.cpus is not None:
            tests.append(self.meets(cls.cpus))
        return every(tests)

    def meets(self, cpus: str) -> z3.BoolRef:
        """`may_use`: some allowed cpu is in the set; that of a pinned task is. The cpu has a name,
        so that whatever needs one can point at it."""
        meets = z3.Bool(f"meets.{cpus}")
        found = self.cpu(f"of.{cpus}")
        self.hypotheses += [
            z3.Implies(meets, z3.And(self.allowed(found), self.member(cpus, found))),
            self.only_here(found),
        ]
        return meets

    def chosen(self) -> list[z3.BoolRef]:
        """For each class, whether it is the task's: the first whose guard holds."""
        if not self._chosen:
            guards = [self.guard(cls) for cls in self.policy.classes]
            self._chosen = [
                z3.And(guard, *map(z3.Not, guards[:at])) for at, guard in enumerate(guards)
            ]
        return self._chosen

    # --- dispatch ---

    def serves(self, cpu: z3.ArithRef, queue: ir.Queue) -> z3.BoolRef:
        """Whether a cpu that finds nothing else takes the task from where it waits.

        A line is tried while its limit is open, and again, last, when that was spent; a `cap` that
        is spent holds it back (its bucket fills again)."""
        where = self.domain(queue.domain, self.here)
        mine = self.domain(queue.domain, cpu)
        reach = z3.BoolVal(True) if queue.domain == "cgroup" else mine == where
        found: list[z3.BoolRef] = []
        for number, line in enumerate(self.policy.dispatch):
            if queue.name not in queues_of(line):
                continue
            if isinstance(line, ir.Steal):
                found.append(z3.And(self.count(queue.domain) >= 2, mine != where))
            elif isinstance(line, ir.Take) and (line.limit is not None or line.after is not None):
                opened = z3.Bool(f"open.{number}")
                found += [z3.And(opened, truth(reach)), z3.And(z3.Not(opened), truth(reach))]
            else:
                found.append(truth(reach))
        return z3.And(some(found), *[self.member(cpus, cpu) for cpus in self.confines(queue)])

    def confines(self, queue: ir.Queue) -> list[str]:
        """The set whose cpus alone look at the queue, if it is one."""
        sets = {
            cls.cpus
            for rule, cls in zip(self.policy.rules, self.policy.classes, strict=True)
            if rule.queue == queue.name and cls.affinity == "confine" and cls.cpus is not None
        }
        return sorted(sets) if len(sets) == 1 else []

    # --- place and wake-ups ---

    def placed(self, cls: ir.Class) -> bool:
        """Whether a class is placed at all: not if it is capped."""
        return bool(self.policy.places[cls.index]) and cls.name not in capped(self.policy)

    def searched(self, cls: ir.Class) -> bool:
        """Whether a `place` that fails has looked at every cpu that the class may be given."""
        if not self.placed(cls) or self.policy.pack is not None:
            return False
        last = self.policy.places[cls.index][-1]
        return last.where == "anywhere" and not (last.core or last.fast or last.when)

    def woken(self, rule: ir.Rule, cls: ir.Class, cpu: z3.ArithRef) -> z3.BoolRef:
        """Whether an insertion wakes some cpu if this one, which is idle and allowed, is there to
        be woken: the search that the insertion makes, or that `place` has just made in vain,
        covers it."""
        queue = self.policy.queue(rule.queue)
        near, where = search(self.policy, queue, cls)
        kicked = self._within(where, queue, cls, cpu)
        if near:
            kicked = z3.Or(cpu == self.here, kicked)
        if not self.searched(cls):
            return kicked
        inside = self._within("set", queue, cls, cpu) if _confined(cls) else z3.BoolVal(True)
        return z3.If(z3.Bool("selected"), inside, kicked)

    def _within(self, where: Where, queue: ir.Queue, cls: ir.Class, cpu: z3.ArithRef) -> z3.BoolRef:
        match where:
            case "anywhere":
                return z3.BoolVal(True)
            case "awake":
                return self.awake(cpu)
            case "set":
                return self.member(str(cls.cpus), cpu)
            case "domain":
                return self.domain(queue.domain, cpu) == self.domain(queue.domain, self.here)
            case "nowhere":
                return z3.BoolVal(False)

    def awake(self, cpu: z3.ArithRef) -> z3.BoolRef:
        """Whether `pack` keeps the cpu awake."""
        return _of("awake", cpu)


def _of(name: str, cpu: z3.ArithRef) -> z3.BoolRef:
    return z3.Function(name, z3.IntSort(), z3.BoolSort())(cpu)


def _confined(cls: ir.Class) -> bool:
    return cls.affinity == "confine" and cls.cpus is not None


Where = Literal["anywhere", "awake", "set", "domain", "nowhere"]
"""Where an insertion looks for an idle cpu: among all that the task may use, those kept awake, its
class's set, the queue's domain."""


def search(policy: ir.Policy, queue: ir.Queue, cls: ir.Class) -> tuple[bool, Where]:
    """The search of an insertion: whether the task's own cpu comes first, and where else."""
    stolen = any(isinstance(x, ir.Steal) and x.queue == queue.name for x in policy.dispatch)
    everywhere = queue.domain in ("machine", "cgroup")
    if not everywhere and not stolen:
        return True, "nowhere" if queue.domain == "cpu" else "domain"
    if _confined(cls):
        return not everywhere, "set"
    return not everywhere, "awake" if policy.pack is not None else "anywhere"


def capped(policy: ir.Policy) -> frozenset[str]:
    """Names of the classes under a hard limit."""
    return frozenset(cap.cls for cap in policy.caps)


def queues_of(line: ir.Line) -> tuple[str, ...]:
    """The queues that a line of `dispatch` takes from."""
    match line:
        case ir.Take(queue=queue) | ir.Steal(queue=queue):
            return (queue,)
        case ir.Share(portions=portions):
            return tuple(name for name, _ in portions)
        case ir.Lowest(queues=queues):
            return queues
    return ()
