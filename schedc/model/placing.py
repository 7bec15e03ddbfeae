"""Where a waking task may run at once: the rungs of `place` as claims of idle cpus.

Input: a machine and a task. Output: a claimed cpu or -1. Invariant: a claim takes the cpu's idle
mark. Among several idle cpus the kernel may take any; here it is the one with the lowest number
(whole cores first, as the kernel does).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from schedc.ir import nodes as ir
from schedc.model.state import Task

if TYPE_CHECKING:
    from schedc.model.machine import Machine


def claim(m: Machine, t: Task, cpu: int) -> bool:
    """Take the idle mark of a cpu that the task may use."""
    if not m.cpus[cpu].idle or not m.may_run(t, cpu):
        return False
    m.cpus[cpu].idle = False
    return True


def claim_any(m: Machine, t: Task, cpus: Iterable[int], core: bool = False) -> int:
    """One of the cpus, claimed; -1 if none is idle and allowed."""
    found = [cpu for cpu in cpus if m.cpus[cpu].idle and m.may_run(t, cpu)]
    if not found:
        return -1
    whole = [cpu for cpu in found if _whole_core(m, cpu)] if m.program.topology.core_of else found
    if core and not whole:
        return -1
    chosen = (whole or found)[0]
    m.cpus[chosen].idle = False
    return chosen


def _whole_core(m: Machine, cpu: int) -> bool:
    return all(m.cpus[sibling].idle for sibling in m.program.topology.siblings(cpu))


def place(m: Machine, t: Task) -> int:
    """The cpu of the first rung that finds one; -1 if none does, or the class isn't placed."""
    program, cls = m.program, t.cls
    if not program.rungs[cls]:
        return -1
    cpus, idle = program.sets[cls], -1
    if cpus is not None:
        idle = _ladder(m, t, cpus)
    if idle < 0 and not program.confined[cls]:
        idle = _ladder(m, t, program.all_cpus)
    return idle


def _ladder(m: Machine, t: Task, within: frozenset[int]) -> int:
    if m.program.pack:
        within = frozenset(cpu for cpu in within if cpu < m.nr_awake)
    for rung, when in m.program.rungs[t.cls]:
        if when is not None and not when(m, t, t.cpu, m.now, 0):
            continue
        idle = claim_any(m, t, _candidates(m, t, rung, within), rung.core)
        if idle >= 0:
            return idle
    return -1


def _candidates(m: Machine, t: Task, rung: ir.Rung, within: frozenset[int]) -> list[int]:
    topology = m.program.topology
    match rung.where:
        case "prev":
            cpus = [t.cpu]
        case "llc":
            cpus = [c for c in sorted(within) if topology.llc_of[c] == topology.llc_of[t.cpu]]
        case "node":
            cpus = [c for c in sorted(within) if topology.node(c) == topology.node(t.cpu)]
        case "anywhere":
            cpus = sorted(within)
    return [c for c in cpus if c in within and (not rung.fast or topology.is_fast(c))]


def searched(m: Machine, cls: int) -> bool:
    """Whether a failed `place` has looked at every cpu that the class may be given."""
    if not m.program.rungs[cls] or m.program.pack:
        return False
    last = m.program.rungs[cls][-1][0]
    return last.where == "anywhere" and not (last.core or last.fast or last.when)


def idle_cpu(m: Machine, t: Task, cls: int) -> int:
    """A claimed idle cpu that serves the task's queue; -1 if there is none."""
    program, cpu = m.program, t.cpu
    queue, topology = program.queue_of[cls], program.topology
    domain = program.domains[queue]
    if domain not in ("machine", "cgroup") and claim(m, t, cpu):
        return cpu
    if domain not in ("machine", "cgroup") and not program.stolen[queue]:
        if domain == "cpu":
            return -1
        here = m.domain_of_cpu(queue, cpu)
        near = (c for c in range(topology.cpus) if m.domain_of_cpu(queue, c) == here)
        return claim_any(m, t, near)
    cpus = program.sets[cls]
    if program.confined[cls] and cpus is not None:
        return claim_any(m, t, sorted(cpus))
    awake = [c for c in range(topology.cpus) if c < m.nr_awake]
    if program.pack and any(c in t.allowed for c in awake):
        return claim_any(m, t, awake)
    return claim_any(m, t, range(topology.cpus))


def leave_asleep(m: Machine, t: Task) -> None:
    """A packed policy queues the task where cpus are awake."""
    awake = [cpu for cpu in sorted(t.allowed) if cpu < m.nr_awake]
    if t.cpu >= m.nr_awake and awake:
        t.cpu = awake[0]


def pack(m: Machine) -> None:
    """How many cpus stay awake: as many as hold the load, one more while all of them are busy."""
    cpus, percent = len(m.cpus), m.program.pack
    busy = cpus - m.count_idle()
    m.busy_average = (m.busy_average * 15 + busy * 100) // 16
    want = (m.busy_average + percent - 1) // percent
    if busy >= m.nr_awake and want <= m.nr_awake:
        want = m.nr_awake + 1
    m.nr_awake = min(max(want, 1), cpus)


def fall_back(m: Machine, t: Task) -> None:
    """A task that may not use its cpu goes to the lowest that it may, of its node first."""
    if t.cpu not in t.allowed:
        node = m.program.topology.node
        near = {cpu for cpu in t.allowed if node(cpu) == node(t.cpu)}
        t.cpu = min(near or t.allowed)
