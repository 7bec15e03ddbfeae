"""A task's affinity, weight or control group changes: the kernel takes it out and puts it back.

Input: a machine, a task, and what makes its facts the new ones. Output: the task in its place.
Invariant: the watchdog's stamp of a waiting task stays, though it goes to the tail; a running task
goes on with what its slice has left, and no policy is asked, unless it must leave its cpu.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from schedc.model import placing, queueing
from schedc.model.state import FOREVER, LOCAL, QUEUED, RUNNING, Cpu, Task

if TYPE_CHECKING:
    from schedc.model.machine import Machine


def queue_anew(m: Machine, t: Task, change: Callable[[], None]) -> None:
    """See the module; a task that sleeps is left alone."""
    since = t.since
    if t.state == RUNNING:
        _running(m, t, m.cpus[t.cpu], change)
    elif t.state not in (QUEUED, LOCAL):
        change()
    else:
        _take_out(m, t)
        change()
        queueing.enqueue(m, t, selected=False, waking=False)
        if t.cpu not in t.allowed:
            _move(m, t)
        t.since = since
    m.look()


def _take_out(m: Machine, t: Task) -> None:
    if t.state == QUEUED:
        m.queues[t.queue][t.domain].remove((t.key, t.id))
    else:
        next(cpu for cpu in m.cpus if t.id in cpu.local).local.remove(t.id)


def _move(m: Machine, t: Task) -> None:
    """A waiting task that may not stay where it was put is queued anew elsewhere."""
    _take_out(m, t)
    placing.fall_back(m, t)
    queueing.enqueue(m, t, selected=False, waking=False)
    m.came_to(t.cpu)


def _running(m: Machine, t: Task, cpu: Cpu, change: Callable[[], None]) -> None:
    """A running task begins another piece of its stint; a cpu that it may not use any more is taken
    by the kernel's stopper, which moves it."""
    end, due = cpu.slice_end, cpu.due
    m.account(cpu, t)
    m.stopping(cpu, t, runnable=False)
    change()
    t.slice = max(end - m.now, 0) if end < FOREVER else FOREVER
    m.begin(cpu, t, again=True)
    cpu.slice_end, cpu.due = min(cpu.slice_end, end), due
    if cpu.number in t.allowed:
        return
    over = cpu.slice_end <= m.now
    m.stopping(cpu, t, runnable=True)
    t.state = LOCAL
    if over:
        queueing.enqueue(m, t, selected=False, waking=False)
        _take_out(m, t)
    placing.fall_back(m, t)
    queueing.enqueue(m, t, selected=False, waking=False)
    m.came_to(t.cpu)
    m.pick(cpu, None)
