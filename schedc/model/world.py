"""What a policy does not choose: the machine's cpus, and the facts of a task.

Input: nothing. Output: `Topology` and `Profile`, values. Invariant: every cpu is online, and a
topology never changes (a policy ends when it does).
"""

from __future__ import annotations

from schedc.records import dataclass


@dataclass(frozen=True, slots=True)
class Topology:
    """`llc_of`, `node_of`: by cpu. `core_of`: by cpu, empty without hyperthreads. `capacity`: by
    cpu, 1..1024, empty where all cpus are alike."""

    llc_of: tuple[int, ...] = (0,)
    node_of: tuple[int, ...] = ()
    core_of: tuple[int, ...] = ()
    capacity: tuple[int, ...] = ()

    @property
    def cpus(self) -> int:
        return len(self.llc_of)

    def node(self, cpu: int) -> int:
        return self.node_of[cpu] if self.node_of else 0

    def capacity_of(self, cpu: int) -> int:
        return self.capacity[cpu] if self.capacity else 1024

    def is_fast(self, cpu: int) -> bool:
        """Whether the cpu is one of the highest capacity."""
        return self.capacity_of(cpu) == max(self.capacity, default=1024)

    def siblings(self, cpu: int) -> tuple[int, ...]:
        """The cpus of its core, itself included."""
        if not self.core_of:
            return (cpu,)
        return tuple(i for i, core in enumerate(self.core_of) if core == self.core_of[cpu])


@dataclass(frozen=True, slots=True)
class Profile:
    """Facts of a task that its environment chooses. `allowed`: its cpus; empty means all.

    `held`: it may not migrate now. `exe`: an index into the policy's `exes`, or -1. `within`:
    indices into its `cgroup_paths`. `cgroup`: which control group the task is in, any number.
    """

    weight: int = 100
    nice: int = 0
    kthread: bool = False
    allowed: frozenset[int] = frozenset()
    held: bool = False
    comm: bytes = b"task"
    exe: int = -1
    within: frozenset[int] = frozenset()
    cgroup: int = 0
    cgroup_weight: int = 100
    uid: int = 0
    tgid: int = 0
