"""The machine's state, and what expressions and people read of it.

Input: a `Program`. Output: a base of `Machine` that holds the state and never decides anything.
Invariant: `copy` shares nothing that changes.
"""

from __future__ import annotations

from typing import Any, TypeVar

from schedc.model.program import Program
from schedc.model.state import NO_CLASS, RUNNING, Cpu, Event, Task

Self = TypeVar("Self", bound="Views")

_CLASSES = 17
"""Objects of scope `class`: the last is for tasks that have none yet."""


class Views:
    """State: `queues[q][domain]` lists of (key, task), `clocks[clock][domain]` less their drift,
    `shared[scope]` objects of the scopes that aren't of one task or cpu."""

    program: Program
    record: bool
    now: int
    beat_at: int
    tick_ns: int
    keep_ns: int

    def start(self) -> None:
        """Everything empty, every cpu idle."""
        program = self.program
        topology = program.topology
        self.tasks: list[Task] = []
        self.cpus = [Cpu(number) for number in range(topology.cpus)]
        self.events: list[Event] = []
        self.pending: list[int] = []
        self.slots: dict[int, int] = {}
        self.nr_runnable = 0
        self.cgroup_runnable: dict[int, int] = {}
        self.nr_awake, self.busy_average, self.random = topology.cpus, 0, 1
        llcs = max(topology.llc_of) + 1
        nodes = max(topology.node(cpu) for cpu in program.all_cpus) + 1
        sizes = {"machine": 1, "cpu": topology.cpus, "llc": llcs, "node": nodes, "cgroup": 1}
        self.queues: list[list[list[tuple[int, int]]]] = [
            [[] for _ in range(sizes[domain])] for domain in program.domains
        ]
        self.clocks = [[0] * max(topology.cpus, 1) for _ in range(program.clocks)]
        self.shared: dict[str, Any] = {
            "llc": [self._initial("llc") for _ in range(llcs)],
            "node": [self._initial("node") for _ in range(nodes)],
            "class": [self._initial("class") for _ in range(_CLASSES)],
            "global": [self._initial("global")],
            "cgroup": {},
            "comm": {},
        }
        for cpu in self.cpus:
            cpu.credit = [0] * len(program.budgets)
            cpu.filled = [0] * len(program.budgets)
            cpu.cap_credit, cpu.cap_filled = [0] * len(program.caps), [0] * len(program.caps)
            cpu.served, cpu.count = [0] * program.portions, [0] * program.counts
            cpu.next = [0] * len(program.names)
            cpu.v = self._initial("cpu")

    def _initial(self, scope: str) -> list[int]:
        return [
            int(value(self, None, 0, 0, 0)) if callable(value) else value or 0
            for value in self.program.initial[scope]
        ]

    def copy(self: Self) -> Self:
        """Another machine in the same state. Its events are a list of its own."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.tasks = [task.copy() for task in self.tasks]
        other.cpus = [cpu.copy() for cpu in self.cpus]
        other.events, other.pending = self.events[:], self.pending[:]
        other.queues = [[domain[:] for domain in queue] for queue in self.queues]
        other.clocks = [clock[:] for clock in self.clocks]
        other.slots = dict(self.slots)
        other.cgroup_runnable = dict(self.cgroup_runnable)
        other.shared = {
            scope: _copied(objects, bool(self.program.states[scope]))
            for scope, objects in self.shared.items()
        }
        return other

    # --- tasks -------------------------------------------------------------------------------

    def task(self, number: int) -> Task:
        return self.tasks[number]

    def running(self, cpu: int) -> int | None:
        """The task on a cpu."""
        found = self.cpus[cpu].running
        return found if found >= 0 else None

    def class_name(self, number: int) -> str | None:
        """The class of a task's last insertion."""
        cls = self.tasks[number].cls
        return self.program.class_names[cls] if cls != NO_CLASS else None

    def value(self, number: int, name: str) -> int:
        """A task's variable."""
        return self.tasks[number].v[self.program.number[("task", name)]]

    def slice_end(self, cpu: int) -> int:
        """When the slice of the stint on a cpu is used up: the earliest end by `slice`."""
        return self.cpus[cpu].slice_end

    def set_facts(self, task: Task, allowed: bool = True) -> None:
        """What follows from a task's profile."""
        profile, weight = task.profile, self.program.policy.weight
        task.weight = min(max(profile.weight, weight.low), weight.high)
        if allowed:
            task.allowed = (profile.allowed or self.program.all_cpus) & self.program.all_cpus
        task.pinned = len(task.allowed) == 1 or profile.held

    def may_run(self, task: Task, cpu: int) -> bool:
        """Whether a cpu may take a waiting task."""
        return cpu in task.allowed and not (task.profile.held and task.cpu != cpu)

    def burst(self, task: Task) -> int:
        """Cpu time since the task woke."""
        since = 0
        if task.state == RUNNING:
            since = self.now - self.cpus[task.cpu].exec_from
        return task.exec_ns + since - task.burst_base

    def count_runnable(self, task: Task, change: int) -> None:
        self.nr_runnable += change
        if "cgroup_runnable" in self.program.facts:
            if change > 0:
                task.counted = self.slot(task)
            self.cgroup_runnable[task.counted] = self.cgroup_runnable.get(task.counted, 0) + change

    # --- facts -------------------------------------------------------------------------------

    def cgroup_weight(self, task: Task) -> int:
        weight = self.program.policy.weight
        return min(max(task.profile.cgroup_weight, weight.low), weight.high)

    def count_idle(self) -> int:
        return sum(cpu.idle for cpu in self.cpus)

    def busy(self) -> int:
        return 100 - 100 * self.count_idle() // len(self.cpus)

    def slot(self, task: Task) -> int:
        """The number of the task's control group: first come, first numbered; 0 for the rest."""
        group = task.profile.cgroup
        if group not in self.slots:
            most = 1 << max(1, self.program.policy.cgroups).bit_length()
            used = len(set(self.slots.values()) - {0}) + 1
            self.slots[group] = used if used < most else 0
        return self.slots[group]

    def of_cgroup(self, task: Task) -> list[int]:
        """Variables of the task's control group."""
        slot, objects = self.slot(task), self.shared["cgroup"]
        if slot not in objects:
            objects[slot] = self._initial("cgroup")
        found: list[int] = objects[slot]
        return found

    def of_comm(self, task: Task) -> list[int]:
        """Variables of the task's name."""
        comm, objects = task.profile.comm, self.shared["comm"]
        if comm not in objects:
            objects[comm] = self._initial("comm")
        found: list[int] = objects[comm]
        return found

    # --- queues ------------------------------------------------------------------------------

    def domain(self, queue: int, task: Task, cpu: int) -> int:
        """Which of a queue's domains a task belongs to on a cpu."""
        match self.program.domains[queue]:
            case "machine":
                return 0
            case "cpu":
                return cpu
            case "cgroup":
                return self.slot(task)
        return self.domain_of_cpu(queue, cpu)

    def domain_of_cpu(self, queue: int, cpu: int) -> int:
        """The domain that a cpu serves (of a queue that is not by control group)."""
        match self.program.domains[queue]:
            case "cpu":
                return cpu
            case "llc":
                return self.program.topology.llc_of[cpu]
            case "node":
                return self.program.topology.node(cpu)
        return 0

    def entries(self, queue: int, domain: int) -> list[tuple[int, int]]:
        """(key, task) of those who wait, first to last."""
        domains = self.queues[queue]
        while domain >= len(domains):
            domains.append([])
        return domains[domain]

    def clock(self, queue: int, domain: int) -> int:
        """The clock of a keyed queue, in a domain."""
        program = self.program
        if program.orders[queue] == "moment":
            return self.now
        clock = self.clocks[program.clock_of[queue]]
        at = 0 if program.single_clock[queue] else domain
        while at >= len(clock):
            clock.append(0)
        drift = program.drift[queue]
        return clock[at] + (self.now >> drift) if drift is not None else clock[at]

    def clock_here(self, queue: int, task: Task, cpu: int) -> int:
        return self.clock(queue, self.domain(queue, task, cpu))

    def length_here(self, queue: int, task: Task, cpu: int) -> int:
        return len(self.entries(queue, self.domain(queue, task, cpu)))

    def head(self, queue: int, domain: int) -> int:
        """The key of the first; the upper end of the window if nobody waits."""
        waiting = self.entries(queue, domain)
        return waiting[0][0] if waiting else self.clock(queue, domain) + self.program.high[queue]

    def head_here(self, queue: int, task: Task, cpu: int) -> int:
        return self.head(queue, self.domain(queue, task, cpu))

    def visible(self, queue: int, cpu: int) -> range:
        """The domains of a queue that a cpu serves: its own, or all control groups."""
        if self.program.domains[queue] == "cgroup":
            return range(len(self.queues[queue]))
        here = self.domain_of_cpu(queue, cpu)
        return range(here, here + 1)

    def waits_in(self, queue: int, cpu: int) -> bool:
        """Whether somebody waits in a queue, as a cpu sees it."""
        return any(self.queues[queue][domain] for domain in self.visible(queue, cpu))

    def anybody_waits(self, cpu: int) -> bool:
        """Whether somebody waits in a queue that a cpu serves."""
        return any(self.waits_in(queue, cpu) for queue in range(len(self.queues)))

    def handle(self, event: str, task: Task, cpu: int, ran: int) -> None:
        """The policy's handler of an event, if it has one. `ran`: how long the stint was, or the
        last one, where none goes on."""
        handler = self.program.handlers[event]
        if handler is not None:
            handler(self, task, cpu, self.now, ran)


def _copied(objects: Any, variables: bool) -> Any:
    """Of one scope: its objects by name or by number, each a list of variables. Without variables
    the numbered ones stay empty for ever, and are shared: searches copy thousands of machines."""
    if isinstance(objects, dict):
        return {key: value[:] for key, value in objects.items()}
    return [value[:] for value in objects] if variables else objects
