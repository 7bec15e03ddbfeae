"""What a cpu does when it needs a task: the lines of `dispatch`.

Input: a machine, a cpu, the task that ran there until now (it could go on) or None. Output: a task
in the cpu's local queue, or a new slice for the previous one, or nothing.

Order: lines as written up to the first `steal`; then the local lines whose budget or count was
spent, for free; then the steals; then the previous task goes on. It stands in its own queue's line:
behind the others of a fifo, by its key among those of a keyed queue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from schedc.model import queueing
from schedc.model.lines import Line
from schedc.model.state import FOREVER, LOCAL, NO_LINE, Cpu, Task

if TYPE_CHECKING:
    from schedc.model.machine import Machine

_NOBODY = -1


def dispatch(m: Machine, c: Cpu, prev: Task | None) -> None:
    """`ops.dispatch`."""
    own = _own_queue(m, c, prev) if prev is not None else _NOBODY
    c.picked, c.last = NO_LINE, _NOBODY
    stealing = False
    for line in m.program.lines:
        if line.kind == "steal" and not stealing:
            stealing = True
            if _skipped(m, c):
                return
        if _serve(m, c, line, prev, own):
            return
    if not stealing and _skipped(m, c):
        return
    if prev is not None:
        go_on(m, c, prev, NO_LINE, NO_LINE)


def _own_queue(m: Machine, c: Cpu, prev: Task) -> int:
    """The stint is over; gives the queue in whose line the task stands."""
    m.end_stint_once(c, prev)
    if not m.program.stores_class:
        prev.cls = queueing.classify(m, prev, c.number)
    return _NOBODY if _changed_class(m, c, prev) else m.program.queue_of[prev.cls]


def _changed_class(m: Machine, c: Cpu, prev: Task) -> bool:
    """Where a cpu may have to idle, a task that has become another class is queued anew."""
    program = m.program
    asks = program.enq_last and not program.one_class
    return asks and queueing.classify(m, prev, c.number) != prev.cls


def _serve(m: Machine, c: Cpu, line: Line, prev: Task | None, own: int) -> bool:
    """Whether the line has given the cpu something to run."""
    match line.kind:
        case "take":
            return _take(m, c, line, prev, own)
        case "share":
            return _share(m, c, line, prev, own)
        case "lowest":
            return _lowest(m, c, line, prev, own)
        case "steal":
            return _steal(m, c, line)
    return _keep(m, c, line, prev)


def open_(m: Machine, c: Cpu, queue: int) -> bool:
    """Whether the cpu serves the queue at all: its classes' cpus, and their caps."""
    cpus = m.program.served_by[queue]
    if cpus is not None and c.number not in cpus:
        return False
    return all(queueing.cap_open(m, c, number) for number in m.program.caps_of[queue])


def _take(m: Machine, c: Cpu, line: Line, prev: Task | None, own: int) -> bool:
    queue = line.queue
    if not open_(m, c, queue):
        return False
    if line.after >= 0 and _first_waited(m, c, queue) < line.after:
        return False
    if line.budget >= 0:
        c.credit[line.budget] = queueing.credit(m, c, line.budget)
        c.filled[line.budget] = m.now
        if c.credit[line.budget] <= 0:
            return False
    if line.counted >= 0 and c.count[line.counted] >= line.most:
        return False
    here = prev if line.after < 0 and own == queue else None
    if here is not None and line.competes:
        key = queueing.key_of(m, here, here.cls, c.number)
        if key < m.head(queue, m.domain_of_cpu(queue, c.number)):
            return _line_goes_on(m, c, here, line, line.pays)
    if take(m, c, queue, line.number):
        c.picked = line.pays
        _count(c, line)
        return True
    if here is not None and not line.final:
        return _line_goes_on(m, c, here, line, line.pays)
    return False


def _count(c: Cpu, line: Line) -> None:
    """Serving a line counts, and makes room again in the counts above it."""
    if line.counted >= 0:
        c.count[line.counted] += 1
    for number in line.resets:
        c.count[number] = 0


def _line_goes_on(m: Machine, c: Cpu, prev: Task, line: Line, pays: int) -> bool:
    """The previous task goes on, as if the line had served it."""
    c.kept = 0
    _count(c, line)
    go_on(m, c, prev, pays, line.number)
    return True


def go_on(m: Machine, c: Cpu, prev: Task, pays: int, by: int) -> None:
    """The task that runs already begins another stint, unless its cap is spent."""
    program = m.program
    if _changed_class(m, c, prev):
        return
    for number, (cls, _, _) in enumerate(program.caps):
        if c.cls == cls and not queueing.cap_open(m, c, number):
            return
    slice_ns = queueing.within_caps(m, c, queueing.slice_of(m, prev, prev.cls, c.number))
    c.slice_end = m.now + slice_ns if slice_ns < FOREVER else FOREVER
    c.due = FOREVER
    c.ended, c.line, c.last, c.retry = False, pays, prev.id, 0
    c.running_since = c.began = m.now
    queueing.follow(m, prev, c.number)
    queue = program.queue_of[prev.cls]
    domain = m.domain(queue, prev, c.number)
    m.tell("keep", c.number, prev, queue, domain, value=slice_ns, line=by)


def _first_waited(m: Machine, c: Cpu, queue: int) -> int:
    waiting = m.entries(queue, m.domain_of_cpu(queue, c.number))
    return m.now - m.tasks[waiting[0][1]].queued_at if waiting else 0


def move(m: Machine, c: Cpu, queue: int, domain: int, line: int) -> bool:
    """The first of a queue that may run here goes to the local queue; whether there was one."""
    entries = m.entries(queue, domain)
    for i, (key, number) in enumerate(entries):
        task = m.tasks[number]
        if m.may_run(task, c.number):
            del entries[i]
            task.state, task.cpu = LOCAL, c.number
            c.local.append(number)
            m.tell("pick", c.number, task, queue, domain, key, task.slice, line)
            return True
    return False


def take(m: Machine, c: Cpu, queue: int, line: int) -> bool:
    """From the cpu's own domain; of a queue by control group, each group in turn."""
    if m.program.domains[queue] != "cgroup":
        return move(m, c, queue, m.domain_of_cpu(queue, c.number), line)
    used = max(len(m.slots) + 1, len(m.queues[queue]))
    for i in range(used):
        slot = (c.next[queue] + i) % used
        if move(m, c, queue, slot, line):
            c.next[queue] = (slot + 1) % used
            return True
    return False


def _skipped(m: Machine, c: Cpu) -> bool:
    """Second chance of local lines whose limit held them back."""
    for line in m.program.lines:
        if line.kind != "take" or (line.budget < 0 and line.counted < 0):
            continue
        if not open_(m, c, line.queue):
            continue
        if line.after < 0 and not _spent(c, line):
            continue
        if take(m, c, line.queue, line.number):
            return True
    return False


def _spent(c: Cpu, line: Line) -> bool:
    if line.counted >= 0:
        return c.count[line.counted] >= line.most
    return c.credit[line.budget] <= 0


def _share(m: Machine, c: Cpu, line: Line, prev: Task | None, own: int) -> bool:
    """The portion served least goes first. The previous task stands in its own."""
    base, served = line.pays - len(c.credit), c.served
    for i in sorted(range(len(line.portions)), key=lambda i: served[base + i]):
        queue = line.portions[i][0]
        if not open_(m, c, queue):
            continue
        if take(m, c, queue, line.number):
            c.picked = line.pays + i
            _count(c, line)
        elif prev is not None and own == queue:
            _line_goes_on(m, c, prev, line, line.pays + i)
        else:
            continue
        # Queues that are empty keep level with the one served: they save nothing up.
        for j, (other, _) in enumerate(line.portions):
            if other != own and not m.waits_in(other, c.number):
                served[base + j] = max(served[base + j], served[base + i])
        return True
    return False


def _lowest(m: Machine, c: Cpu, line: Line, prev: Task | None, own: int) -> bool:
    least, best, domain = FOREVER, -1, 0
    for queue in line.queues:
        for where in m.visible(queue, c.number):
            entries = m.queues[queue][where]
            if entries and entries[0][0] < least:
                least, best, domain = entries[0][0], queue, where
    taken = best >= 0 and open_(m, c, best) and move(m, c, best, domain, line.number)
    taken = taken or any(open_(m, c, q) and take(m, c, q, line.number) for q in line.queues)
    if taken:
        _count(c, line)
        return True
    for queue in line.queues:
        if prev is not None and own == queue and open_(m, c, queue):
            return _line_goes_on(m, c, prev, line, NO_LINE)
    return False


def _steal(m: Machine, c: Cpu, line: Line) -> bool:
    """From another domain: the next that has somebody, the longer of a few random ones first."""
    queue = line.queue
    domains = m.queues[queue]
    here, total = m.domain_of_cpu(queue, c.number), len(domains)
    if not open_(m, c, queue) or total < 2:
        return False
    order = [(here + i) % total for i in range(1, total)]
    longest, found = 0, -1
    for _ in range(line.pick):
        m.random = (m.random * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        other = (m.random >> 33) % total
        if len(domains[other]) > longest:
            longest, found = len(domains[other]), other
    for domain in [*([found] if found >= 0 else []), *order]:
        if move(m, c, queue, domain, line.number):
            _count(c, line)
            return True
    return False


def _keep(m: Machine, c: Cpu, line: Line, prev: Task | None) -> bool:
    """The previous task goes on, as a task of the line that served it before."""
    if prev is None or c.kept >= line.most or line.when is None:
        return False
    if not line.when(m, prev, c.number, m.now, c.ran):
        return False
    c.kept += 1
    go_on(m, c, prev, c.line, line.number)
    return True


def settle(m: Machine, c: Cpu) -> None:
    """What the stint's line, share or cap pays for it, since the last payment."""
    ran = m.now - c.paid_from
    c.paid_from = m.now
    program = m.program
    if 0 <= c.line < len(c.credit):
        c.credit[c.line] -= 100 * ran
        m.tell("pay", c.number, value=c.credit[c.line] // 100, line=c.line)
    elif c.line >= len(c.credit) and program.portions:
        portion = c.line - len(c.credit)
        c.served[portion] += ran * program.scales[portion]
    for number, (cls, _, _) in enumerate(program.caps):
        if cls == c.cls:
            c.cap_credit[number] -= 100 * ran
