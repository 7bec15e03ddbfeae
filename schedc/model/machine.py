"""A machine that runs a policy: the kernel's rules for who runs next.

Input: a typed policy, a topology, and what the environment does, one call at a time: tasks come,
wake, stop, change; time passes. Output: who runs where, who waits, and what happened (`events`).

The kernel's rules, in order: the previous task goes on while it has slice left; else the local
queue's first; else `ops.dispatch`, after which the previous task goes on if it was given a slice;
else the local queue again; else the kernel keeps the previous task for 20 ms, unless the policy set
ENQ_LAST. A task preempted by a higher scheduling class returns to the head of the local queue. The
previous task is put back after the pick, before the next one begins. An idle cpu looks when it is
kicked, and when a task wakes on it.

Invariant: a task is in exactly one place; every action is atomic, and afterwards every cpu that was
told to look for a task has done so. What the environment may not do is `Illegal`.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING

from schedc.ir.nodes import KEEP_SLICE_NS, TICK_MARGIN_NS, Policy
from schedc.model import changes, dispatch, normal, placing, queueing
from schedc.model.program import Program
from schedc.model.state import (
    ASLEEP,
    FOREVER,
    GONE,
    LOCAL,
    NO_CLASS,
    NO_LINE,
    QUEUED,
    RUNNING,
    Cpu,
    Event,
    Task,
    Waiting,
)
from schedc.model.views import Views
from schedc.model.world import Profile, Topology

if TYPE_CHECKING:
    from schedc.prove.parameters import Parameters

ENDS = ("slice", "sleep", "yield", "exit", "preempted_by_rt")


class Illegal(Exception):
    """What the environment asked for can't happen."""


class Machine(Views):
    """See the module. `record`: whether events are kept. `beat_at`: when the policy's timer fires
    next (its phase is the environment's choice)."""

    def __init__(
        self,
        policy: Policy | Program,
        topology: Topology | None = None,
        tunes: Mapping[str, int] | None = None,
        parameters: Parameters | None = None,
        record: bool = True,
    ) -> None:
        if isinstance(policy, Policy):
            policy = Program(policy, topology or Topology(), tunes)
        self.program = policy
        self.record = record
        self.tick_ns = parameters.tick_ns if parameters is not None else TICK_MARGIN_NS
        self.keep_ns = parameters.keep_slice_ns if parameters is not None else KEEP_SLICE_NS
        self.now = 0
        self.start()
        self.beat_at = self.program.beat_ns or FOREVER

    # --- what the environment may do -----------------------------------------------------------

    def fork(self, profile: Profile, cpu: int = 0) -> int:
        """A new task, whose parent is on `cpu`; gives its number."""
        task = Task(len(self.tasks), profile, cpu, self.now)
        self.tasks.append(task)
        self.set_facts(task)
        self.tell("fork", cpu, task)
        queueing.enable(self, task)
        self._become_runnable(task, selects=not task.pinned, waking=False)
        self.look()
        return task.id

    def wake(
        self, number: int, cpu: int | None = None, waker: int | None = None, sync: bool = False
    ) -> None:
        """A sleeping task wakes. `cpu`: where it was last, if not where it last ran."""
        task = self._task(number, ASLEEP)
        if cpu is not None:
            self._require(cpu in task.allowed, "the task may not use that cpu")
            task.cpu = cpu
        elif task.pinned:
            placing.fall_back(self, task)  # nobody is asked where it goes
        task.sync = sync and not task.pinned
        self.tell("wake", task.cpu, task)
        queueing.note_wake(self, task, None if waker is None else self.tasks[waker])
        self._become_runnable(task, selects=not task.pinned, waking=True)
        self.look()

    def end_stint(self, number: int, after_ns: int, how: str) -> None:
        """The stint on a cpu ends `after_ns` after it began."""
        self.end_at(number, self.cpus[number].began + after_ns, how)

    def end_at(self, number: int, at: int, how: str) -> None:
        """The stint on a cpu ends at an instant."""
        cpu = self.cpus[number]
        self._require(cpu.running >= 0, "nothing runs there")
        self._require(how in ENDS, f"not a way to stop: {how}")
        self._pass_until(at)
        self._require(cpu.running >= 0, "the stint has ended before")
        self._end(cpu, self.tasks[cpu.running], how)
        self.look()

    def rt_begin(self, number: int) -> None:
        """A higher scheduling class takes an idle cpu."""
        cpu = self.cpus[number]
        self._require(cpu.idle, "the cpu is not idle")
        cpu.idle, cpu.rt = False, True
        self.tell("rt", number)

    def rt_done(self, number: int) -> None:
        """The higher scheduling class gives a cpu back."""
        cpu = self.cpus[number]
        self._require(cpu.rt, "no higher class has that cpu")
        cpu.rt = False
        self.tell("back", number)
        self.pick(cpu, None)
        self.look()

    def advance(self, ns: int) -> None:
        """Time passes; nothing else happens."""
        self._pass_until(self.now + ns)

    def tick(self, number: int) -> None:
        """The kernel's timer interrupts a stint."""
        cpu = self.cpus[number]
        self._require(cpu.running >= 0, "nothing runs there")
        task = self.tasks[cpu.running]
        self.account(cpu, task)
        self.tell("tick", number, task)
        self.handle("tick", task, number, self.now - cpu.started)
        if queueing.retries(self, cpu):
            self.tell("retry", number, task)
            self._cut(cpu)
        self.look()

    def set_affinity(self, number: int, cpus: frozenset[int]) -> None:
        """The cpus that a task may use change: it is queued anew, and its wait goes on."""
        self._require(bool(cpus & self.program.all_cpus), "no cpu of this machine")
        task = self.tasks[number]

        def change() -> None:
            task.allowed = cpus & self.program.all_cpus
            task.pinned = len(task.allowed) == 1 or task.profile.held

        changes.queue_anew(self, task, change)

    def set_profile(self, number: int, profile: Profile) -> None:
        """Weight, nice or control group of a task change: it is queued anew. (`allowed` stays.)"""
        task = self.tasks[number]

        def change() -> None:
            task.profile = profile
            self.set_facts(task, allowed=False)

        changes.queue_anew(self, task, change)

    def set_weight(self, number: int, weight: int) -> None:
        """A task's weight changes."""
        from dataclasses import replace

        self.set_profile(number, replace(self.tasks[number].profile, weight=weight))

    def set_comm(self, number: int, comm: bytes) -> None:
        """A task's name changes; nobody is told."""
        from dataclasses import replace

        task = self.tasks[number]
        task.profile = replace(task.profile, comm=comm)

    # --- the kernel ----------------------------------------------------------------------------

    def _become_runnable(self, task: Task, selects: bool, waking: bool) -> None:
        """Select a cpu, if the kernel asks for one, then queue. The cpu where the task was last is
        asked for even if the task may not use it any more; where it is queued, it may."""
        task.since = self.now
        idle = -1
        if selects:
            task.cls = queueing.classify(self, task, task.cpu)
            idle = placing.place(self, task)
            if idle >= 0:
                task.cpu = idle
                self.insert_local(task, idle, queueing.admit(self, task, idle))
            elif self.program.pack:
                placing.leave_asleep(self, task)
        placing.fall_back(self, task)
        self.count_runnable(task, 1)
        if idle < 0:
            queueing.enqueue(self, task, selected=selects and self.program.placing, waking=waking)
        self.came_to(task.cpu)

    def came_to(self, number: int) -> None:
        """A task is new on a cpu, or moved to it. Where nothing runs there the kernel has it look
        for a task, though the policy kicked another one; nobody has taken its idle mark."""
        if self.cpus[number].running < 0 and number not in self.pending:
            self.pending.append(number)

    def insert_local(self, task: Task, number: int, slice_ns: int) -> None:
        """To the local queue of a claimed cpu, which looks for a task then."""
        task.state, task.slice, task.queued_at = LOCAL, slice_ns, self.now
        self.cpus[number].local.append(task.id)
        self.tell("claim", number, task, value=slice_ns)
        self.pending.append(number)

    def kick_idle(self, number: int) -> bool:
        """Wake a claimed cpu, if there is one; whether there was."""
        if number < 0:
            return False
        self.tell("kick", number)
        self.pending.append(number)
        return True

    def preempt(self, cpu: Cpu) -> None:
        """End the stint of whoever runs there."""
        self.tell("preempt", cpu.number, self.tasks[cpu.running])
        self._cut(cpu)

    def _cut(self, cpu: Cpu) -> None:
        cpu.slice_end = min(cpu.slice_end, self.now)
        cpu.due = min(cpu.due, self.now + self.tick_ns)

    def look(self) -> None:
        """Cpus that were told to look for a task do so."""
        pending = self.pending
        while pending:
            cpu = self.cpus[pending.pop(0)]
            if cpu.running < 0 and not cpu.rt:
                self.pick(cpu, None)

    def account(self, cpu: Cpu, task: Task) -> None:
        task.exec_ns += self.now - cpu.exec_from
        cpu.exec_from = self.now

    def _end(self, cpu: Cpu, task: Task, how: str) -> None:
        """A stint is over."""
        self.account(cpu, task)
        if how == "slice":
            self._require(cpu.slice_end <= self.now, "its slice is not used up")
        elif how == "preempted_by_rt":
            self._yield_to_rt(cpu, task)
            return
        elif how == "yield":
            cpu.slice_end = min(cpu.slice_end, self.now)
        else:
            self.stopping(cpu, task, runnable=False)
            self.count_runnable(task, -1)
            self.handle("sleep", task, task.cpu, task.ran)
            task.slept_at = self.now
            task.state = ASLEEP if how == "sleep" else GONE
            self.tell(how, cpu.number, task)
            self.pick(cpu, None)
            return
        self.pick(cpu, task)

    def _yield_to_rt(self, cpu: Cpu, task: Task) -> None:
        left = cpu.slice_end - self.now
        self.stopping(cpu, task, runnable=True)
        cpu.rt = True
        self.tell("rt", cpu.number)
        if left > 0:
            task.state, task.slice = LOCAL, left if cpu.slice_end < FOREVER else FOREVER
            cpu.local.insert(0, task.id)
        else:
            queueing.enqueue(self, task, selected=False, waking=False)

    def pick(self, cpu: Cpu, prev: Task | None) -> None:
        """The next task for a cpu. `prev` ran until now and still could."""
        if not cpu.local:
            dispatch.dispatch(self, cpu, prev)
            if prev is not None and cpu.slice_end > self.now:
                return  # it goes on, with a new slice
            if not cpu.local and prev is not None and not self.program.enq_last:
                cpu.slice_end, cpu.due = self.now + self.keep_ns, FOREVER
                self.tell("kernel_keep", cpu.number, prev, value=self.keep_ns)
                return
        chosen = self.tasks[cpu.local.pop(0)] if cpu.local else None
        if prev is not None:
            self.stopping(cpu, prev, runnable=True)
            queueing.enqueue(self, prev, selected=False, waking=False)
            if chosen is None:
                self.pending.append(cpu.number)  # ENQ_LAST: the policy asks for another look
        if chosen is not None:
            self.begin(cpu, chosen)
        elif not cpu.idle:
            cpu.idle = True
            self.tell("idle", cpu.number)

    def stopping(self, cpu: Cpu, task: Task, runnable: bool) -> None:
        self.end_stint_once(cpu, task)
        cpu.started = self.now
        cpu.ended, cpu.running, cpu.cls = False, -1, NO_CLASS
        cpu.due = FOREVER
        task.queued_at = self.now if runnable else -1
        task.since = self.now

    def end_stint_once(self, cpu: Cpu, task: Task) -> None:
        """`on stop`, unless `dispatch` has ended the stint already."""
        if cpu.ended:
            return
        ran = self.now - cpu.started
        cpu.ended = True
        cpu.started = self.now
        dispatch.settle(self, cpu)
        task.ran = cpu.ran = ran
        self.tell("stop", cpu.number, task, value=ran)
        self.handle("stop", task, cpu.number, ran)

    def begin(self, cpu: Cpu, task: Task, again: bool = False) -> None:
        """`running`: a task begins a stint. `again`: it goes on where it was, be its slice over."""
        now = self.now
        task.state, task.cpu = RUNNING, cpu.number
        cpu.idle, cpu.running = False, task.id
        cpu.started = cpu.exec_from = cpu.paid_from = cpu.began = now
        cpu.ended, cpu.cls = False, task.cls
        if cpu.last != task.id:  # else it goes on with the same stint: no pick came between
            cpu.last, cpu.running_since = task.id, now
            cpu.kept = cpu.retry = 0
            cpu.line, cpu.picked = cpu.picked, NO_LINE
        task.waited = now - task.queued_at if task.queued_at >= 0 else 0
        queueing.follow(self, task, cpu.number)
        slice_ns = task.slice if again else task.slice or self.keep_ns
        slice_ns = queueing.within_caps(self, cpu, slice_ns)
        cpu.slice_end = now + slice_ns if slice_ns < FOREVER else FOREVER
        cpu.due = FOREVER
        self.tell("run", cpu.number, task, value=slice_ns, line=cpu.line)
        self.handle("run", task, cpu.number, task.ran)

    # --- time ----------------------------------------------------------------------------------

    def deadline(self, number: int) -> int:
        """The latest instant at which the stint on a cpu has ended; `FOREVER` if it need not."""
        cpu = self.cpus[number]
        if cpu.running < 0:
            return FOREVER
        due = min(cpu.due, cpu.slice_end + self.tick_ns)
        if cpu.slice_end >= FOREVER and cpu.cls >= 0 and self.anybody_waits(number):
            from_ = max(cpu.running_since + self.program.contended[cpu.cls], self.beat_at)
            beat = self.program.beat_ns
            kicked = self.beat_at + -(-(from_ - self.beat_at) // beat) * beat
            due = min(due, kicked + self.tick_ns)
        return due

    def latest(self) -> int:
        """Until when time may pass and nothing else happen: the next deadline, or the next beat of
        a timer that may wake a cpu."""
        latest = min(self.deadline(cpu.number) for cpu in self.cpus)
        return min(latest, self.beat_at) if self.program.caps else latest

    def _pass_until(self, at: int) -> None:
        self._require(at >= self.now, "time does not run backwards")
        latest = min(self.deadline(cpu.number) for cpu in self.cpus)
        self._require(at <= latest, "another stint, or this one, must have ended before")
        while self.beat_at <= at:
            self.now = self.beat_at
            self.beat_at += self.program.beat_ns
            queueing.beat(self)
            self.look()
            latest = min(self.deadline(cpu.number) for cpu in self.cpus)
            self._require(at <= latest, "a stint that the timer began must have ended before")
        self.now = at

    def _task(self, number: int, state: str) -> Task:
        task = self.tasks[number]
        self._require(task.state == state, f"the task is {task.state}, not {state}")
        return task

    def _require(self, holds: bool, why: str) -> None:
        if not holds:
            raise Illegal(f"at {self.now} ns: {why}")

    def tell(
        self, kind: str, cpu: int = -1, task: Task | None = None, queue: int = -1, domain: int = 0,
        key: int = 0, value: int = 0, line: int = -1,
    ) -> None:  # fmt: skip
        """Record an event."""
        if self.record:
            number = -1 if task is None else task.id
            name = self.program.names[queue] if queue >= 0 else ""
            self.events.append(Event(self.now, kind, cpu, number, name, domain, key, value, line))

    def normal_form(self, victim: int | None = None) -> Hashable:
        """What the future depends on, for a search that looks for a state again."""
        return normal.normal_form(self, victim)

    def waiting(self) -> tuple[Waiting, ...]:
        """Tasks that could run and don't, in the order of their numbers."""
        return tuple(
            Waiting(
                t.id, t.since, self.program.names[t.queue] if t.state == QUEUED else "local",
                t.domain if t.state == QUEUED else t.cpu, t.key, t.cpu,
            )
            for t in self.tasks
            if t.state in (QUEUED, LOCAL)
        )  # fmt: skip
