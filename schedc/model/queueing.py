"""From a task to its queue: variables, class, window, key, slice, insertion, preemption.

Input: a machine and a task. Output: the task in a queue of the policy, or behind a claimed cpu.
Invariant: at an insertion the class comes first, then the event, the window, key and slice.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from schedc.model import placing
from schedc.model.state import FOREVER, QUEUED, Cpu, Task

if TYPE_CHECKING:
    from schedc.model.machine import Machine

_SECOND = 1_000_000_000
_RATE_MAX = 1_000_000
_LAST = 1 << 62


def enable(m: Machine, t: Task) -> None:
    """A task is new: its variables start."""
    program, cpu = m.program, t.cpu
    domains = [m.domain(queue, t, cpu) if homed else 0 for queue, homed in enumerate(program.homed)]
    t.home = domains
    t.queued_at = -1
    for number, initial in enumerate(program.initial["task"]):
        if initial is None:
            t.v.append(_start(m, t, program.states["task"][number].type.clock))
        else:
            t.v.append(int(initial(m, t, cpu, m.now, 0)) if callable(initial) else initial)
    m.handle("enable", t, cpu, 0)


def _start(m: Machine, t: Task, clock: str | None) -> int:
    """A newcomer's vtime: behind the clock by the charge of the longest slice."""
    queue = next(q for q in m.program.policy.queues if q.clock == clock)
    here = m.clock(queue.index, m.domain(queue.index, t, t.cpu))
    return here - (-100 * m.program.longest_slice(clock)) // t.weight


def note_wake(m: Machine, t: Task, waker: Task | None) -> None:
    """What is noted when a task wakes, and the policy's own handler."""
    now = m.now
    t.burst_base = t.exec_ns
    t.slept = now - t.slept_at
    t.wakes, t.last_wake = _rate(t.wakes, now - t.last_wake), now
    t.waker = waker.cls if waker is not None else -1
    if waker is not None and waker is not t:
        waker.wakings, waker.last_waking = _rate(waker.wakings, now - waker.last_waking), now
    m.handle("wake", t, t.cpu, t.ran)


def _rate(rate: int, interval: int) -> int:
    """1 per interval, as a rate per second; averaged over the last few."""
    return (rate * 3 + min(_SECOND // max(interval, 1), _RATE_MAX)) // 4


def classify(m: Machine, t: Task, cpu: int) -> int:
    """The first class whose condition holds."""
    program = m.program
    for number, condition in enumerate(program.conditions):
        if condition is not None and not condition(m, t, cpu, m.now, 0):
            continue
        if program.confined[number] and not _may_use(t, program.sets[number], cpu):
            continue
        return number
    raise AssertionError("the last class takes all")


def _may_use(t: Task, cpus: frozenset[int] | None, cpu: int) -> bool:
    assert cpus is not None, "a confined class has a set"
    return cpu in cpus if t.pinned else not cpus.isdisjoint(t.allowed)


def slice_of(m: Machine, t: Task, cls: int, cpu: int) -> int:
    """The slice of a task of a class."""
    value = m.program.slices[cls]
    return int(value(m, t, cpu, m.now, 0)) if value is not None else FOREVER


def rebase(m: Machine, queue: int, t: Task, here: int) -> None:
    """A task that changed its domain keeps its distance to the clock."""
    home = t.home[queue]
    if home == here or not m.program.homed[queue]:
        return
    moved = m.clock(queue, here) - m.clock(queue, home)
    for _, number in m.program.own_vtime[queue]:
        t.v[number] += moved
    t.home[queue] = here


def window(m: Machine, queue: int, t: Task, cpu: int) -> int:
    """The task's vtime stays near the queue's clock; gives the clock."""
    program = m.program
    domain = m.domain(queue, t, cpu)
    clock = m.clock(queue, domain)
    rebase(m, queue, t, domain)
    low, high = clock + program.low[queue], clock + program.high[queue]
    for scope, number in program.vtimes[queue]:
        values = t.v if scope == "task" else m.of_cgroup(t)
        value = values[number]
        if value < low or value > high:
            values[number] = min(max(value, low), high)
            m.tell("clamp", cpu, t, queue, domain, values[number], values[number] - value)
    return clock


def key_of(m: Machine, t: Task, cls: int, cpu: int) -> int:
    """The key that a task of a class is queued with; its vtime is clamped on the way."""
    program = m.program
    key, queue = program.keys[cls], program.queue_of[cls]
    if key is None:
        return 0
    clock = window(m, queue, t, cpu) if program.orders[queue] == "vtime" else m.now
    value = int(key(m, t, cpu, m.now, 0))
    return min(max(value, clock + program.low[queue]), clock + program.high[queue])


def admit(m: Machine, t: Task, cpu: int) -> int:
    """What precedes a direct insertion behind a claimed cpu; gives the slice."""
    queue = m.program.queue_of[t.cls]
    rebase(m, queue, t, m.domain(queue, t, cpu))
    m.handle("enqueue", t, cpu, t.ran)
    if m.program.orders[queue] == "vtime":
        window(m, queue, t, cpu)
    return slice_of(m, t, t.cls, cpu)


def enqueue(m: Machine, t: Task, selected: bool, waking: bool) -> None:
    """`ops.enqueue`. `selected`: a cpu was looked for just before, in vain."""
    program, cpu = m.program, t.cpu
    if not selected or not program.stores_class:
        t.cls = classify(m, t, cpu)
    cls = t.cls
    t.queued_at = m.now
    if not selected and program.rungs[cls] and t.pinned and placing.claim(m, t, cpu):
        m.insert_local(t, cpu, admit(m, t, cpu))
        return
    queue = program.queue_of[cls]
    rebase(m, queue, t, m.domain(queue, t, cpu))
    m.handle("enqueue", t, cpu, t.ran)
    key = key_of(m, t, cls, cpu)
    t.slice = slice_of(m, t, cls, cpu)
    domain = m.domain(queue, t, cpu)
    entries = m.entries(queue, domain)
    if program.orders[queue] == "fifo":
        entries.append((0, t.id))
    else:
        # Behind those of the same key, as in the kernel's tree.
        entries.insert(bisect_right(entries, (key, _LAST)), (key, t.id))
    t.state, t.queue, t.domain, t.key = QUEUED, queue, domain, key
    m.tell("queue", cpu, t, queue, domain, key, t.slice)
    _wake_up(m, t, cls, selected, waking)


def _wake_up(m: Machine, t: Task, cls: int, selected: bool, waking: bool) -> None:
    """An idle cpu that may take the task is woken; if there is none, maybe a victim's stint
    ends."""
    if selected and placing.searched(m, cls):
        kicked = False
    else:
        kicked = m.kick_idle(placing.idle_cpu(m, t, cls))
    if waking and not kicked:
        _preempt(m, t, cls)


def _preempt(m: Machine, t: Task, cls: int) -> None:
    wanted = m.program.preempt[cls]
    cpu = m.cpus[t.cpu]
    if wanted is None or not _may_preempt(m, cls, cpu):
        return
    if m.now - cpu.running_since >= wanted[1]:
        m.preempt(cpu)
    else:
        cpu.retry |= 1 << cls


def _may_preempt(m: Machine, cls: int, cpu: Cpu) -> bool:
    """The running task is of a victim class, and the queue's own budget isn't spent."""
    wanted = m.program.preempt[cls]
    if wanted is None or cpu.cls not in wanted[0]:
        return False
    queue = m.program.queue_of[cls]
    return all(credit(m, cpu, line.budget) > 0 for line in m.program.budgets if line.queue == queue)


def retries(m: Machine, cpu: Cpu) -> bool:
    """Whether a preemption that had to wait for the victim's minimum is due at this tick."""
    task = m.tasks[cpu.running]
    for cls, wanted in enumerate(m.program.preempt):
        if wanted is None or not cpu.retry >> cls & 1:
            continue
        ran_enough = m.now - cpu.running_since >= wanted[1]
        queue = m.program.queue_of[cls]
        if _may_preempt(m, cls, cpu) and ran_enough and m.length_here(queue, task, cpu.number):
            return True
    return False


def credit(m: Machine, cpu: Cpu, bucket: int) -> int:
    """What a bucket holds now, in hundredths of a nanosecond."""
    line = m.program.budgets[bucket]
    filled = cpu.credit[bucket] + (m.now - cpu.filled[bucket]) * line.percent
    return min(filled, line.period * line.percent)


def within_caps(m: Machine, cpu: Cpu, slice_ns: int) -> int:
    """A stint ends when its cap is spent, but runs a millisecond."""
    for number, (cls, _, _) in enumerate(m.program.caps):
        if cls == cpu.cls:
            slice_ns = min(slice_ns, max(cpu.cap_credit[number] // 100, 1_000_000))
    return slice_ns


def cap_credit(m: Machine, cpu: Cpu, number: int) -> int:
    """What a cap's bucket holds now."""
    _, percent, period = m.program.caps[number]
    filled = cpu.cap_credit[number] + (m.now - cpu.cap_filled[number]) * percent
    return min(filled, period * percent)


def cap_open(m: Machine, cpu: Cpu, number: int) -> bool:
    """Refill a cap's bucket; whether it has credit."""
    cpu.cap_credit[number] = cap_credit(m, cpu, number)
    cpu.cap_filled[number] = m.now
    return cpu.cap_credit[number] > 0


def follow(m: Machine, t: Task, cpu: int) -> None:
    """The clock of the task's queue follows its vtime."""
    program = m.program
    queue = program.queue_of[t.cls]
    if program.orders[queue] != "vtime" or not program.own_vtime[queue]:
        return
    here = m.domain(queue, t, cpu)
    rebase(m, queue, t, here)
    at = 0 if program.single_clock[queue] else here
    m.clock(queue, at)  # there may be a new domain
    clock = m.clocks[program.clock_of[queue]]
    drift = program.drift[queue]
    value = t.v[program.own_vtime[queue][0][1]]
    if drift is not None:
        value -= m.now >> drift
    clock[at] = max(clock[at], value)


def beat(m: Machine) -> None:
    """The policy's timer: unlimited stints end, capped cpus are woken, cpus go to sleep."""
    program = m.program
    for cpu in m.cpus:
        if cpu.running >= 0 and cpu.cls >= 0 and program.contended[cpu.cls] < FOREVER:
            ran = m.now - cpu.running_since
            if ran >= program.contended[cpu.cls] and m.anybody_waits(cpu.number):
                m.preempt(cpu)
        for number, (cls, _, _) in enumerate(program.caps):
            waits = m.waits_in(program.queue_of[cls], cpu.number)
            if waits and cpu.running < 0 and cap_credit(m, cpu, number) > 0:
                m.kick_idle(cpu.number)
    if program.pack:
        placing.pack(m)
