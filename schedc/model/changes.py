"""A task's affinity, weight or control group changes: the kernel takes it out and queues it anew.

Input: a machine and a task whose facts are the new ones already. Output: the task in its place.
Invariant: the watchdog's stamp of a waiting task stays, though it goes to the tail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from schedc.model import queueing
from schedc.model.state import LOCAL, QUEUED, RUNNING, Task

if TYPE_CHECKING:
    from schedc.model.machine import Machine


def queue_anew(m: Machine, t: Task) -> None:
    """See the module; a task that sleeps is left alone."""
    since = t.since
    if t.state == RUNNING:
        _running(m, t)
        return
    if t.state == QUEUED:
        m.queues[t.queue][t.domain].remove((t.key, t.id))
    elif t.state == LOCAL:
        m.cpus[t.cpu].local.remove(t.id)
    else:
        return
    if t.cpu not in t.allowed:
        t.cpu = min(t.allowed)
    queueing.enqueue(m, t, selected=False, waking=False)
    t.since = since
    m.look()


def _running(m: Machine, t: Task) -> None:
    """A running task is queued anew and goes on at once, if it may stay on its cpu."""
    cpu = m.cpus[t.cpu]
    m.account(cpu, t)
    m.stopping(cpu, t, runnable=False)
    if cpu.number not in t.allowed:
        t.cpu = min(t.allowed)
    queueing.enqueue(m, t, selected=False, waking=False)
    if cpu.number in t.allowed and t.state == QUEUED:
        m.queues[t.queue][t.domain].remove((t.key, t.id))
        m.begin(cpu, t)
    else:
        m.pick(cpu, None)
    m.look()
