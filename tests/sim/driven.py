"""One environment for two machines: the reference semantics, and the generated C in the simulator.

Input: a policy, a topology, a source of choices. Output: what the environment did as a script, and
the model's state after each step, as the simulator would tell it; `first_difference` compares the
two, cpu by cpu and queue by queue: tasks, keys, slices.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from schedc.ir.nodes import Policy
from schedc.model import Machine, Profile, Topology
from schedc.model.state import FOREVER, RUNNING
from schedc.prove.parameters import declared
from schedc.refute.profiles import weight_of
from schedc.sim import build
from schedc.sim.replay import how_of
from schedc.sim.script import FIRST, Played, Queue, Script, State, Waiting, play
from tests.emit.generated import from_text
from tests.model.environment import COMMS, Action, Choose, do, next_action

START_NS = 1 << 30
"""Both begin here: a multiple of every drift's step, with full buckets."""

UNLIMITED = (1 << 64) - 1
NICES = (-20, -5, 0, 0, 4, 19)


@dataclass(frozen=True)
class Driven:
    """`actions[i]` leads to `states[i]`; `told[i]`: the model's events of it, for people."""

    script: str
    actions: list[Action]
    states: list[State]
    told: list[list[str]]


def profile(choose: Choose, cpus: int) -> Profile:
    """Facts that a kernel can give: the weight is nice's."""
    allowed = frozenset(cpu for cpu in range(cpus) if choose(4))
    nice = NICES[choose(len(NICES))]
    return Profile(
        weight=weight_of(nice),
        nice=nice,
        kthread=not choose(8),
        allowed=allowed if allowed and not choose(3) else frozenset(),
        comm=COMMS[choose(len(COMMS))],
        uid=choose(3),
        tgid=1 + choose(5),
    )


def possible(m: Machine, action: Action, choose: Choose) -> Action:
    """The action as a kernel can do it: facts that fit each other, wakers that run."""
    match action:
        case ("fork", _, cpu):
            return ("fork", profile(choose, len(m.cpus)), cpu)
        case ("set_profile", task, _):
            old = m.tasks[task].profile
            others = [nice for nice in NICES if nice != old.nice]
            nice = others[choose(len(others))]
            return ("set_profile", task, replace(old, nice=nice, weight=weight_of(nice)))
        case ("wake", task, cpu, waker, sync):
            if waker is not None and m.tasks[waker].state == RUNNING:
                return ("wake", task, cpu, waker, sync)
            # A timer's interrupt, in which the kernel's current task is who runs there.
            running = m.cpus[m.tasks[task].cpu].running
            return ("wake", task, cpu, running if running >= 0 else None, False)
    return action


def drive(policy: Policy, topology: Topology, seed: int | Choose, actions: int) -> Driven:
    """An environment of so many actions, done on the reference machine."""
    choose = random.Random(seed).randrange if isinstance(seed, int) else seed
    m = Machine(policy, topology, parameters=declared(policy))
    script = Script(topology.cpus)
    script.start(START_NS)
    script.block(1, FIRST)
    m.advance(START_NS)
    driven = Driven("", [], [], [])
    before = m.now
    for number in range(actions):
        action = possible(m, next_action(m, choose, most=8), choose)
        fresh = len(m.events)
        do_and_say(m, script, action, before)
        before = m.now
        driven.actions.append(action)
        driven.states.append(state_of(m, number))
        driven.told.append([str(event) for event in m.events[fresh:]])
    return replace(driven, script=script.text())


def do_and_say(m: Machine, script: Script, action: Action, before: int) -> None:
    """One action on the model, and the same as a step of the script."""
    running = {cpu.number: cpu.running for cpu in m.cpus}
    forked = len(m.tasks)
    do(m, action)
    after = m.now - before
    match action:
        case ("fork", facts, cpu):
            script.fork(after, forked, facts, cpu)
        case ("wake", task, _, waker, sync):
            script.wake(after, task, waker, sync)
        case ("end_at", cpu, _, how):
            script.stop(after, running[cpu], cpu, how_of(how))
        case ("rt_done", cpu):
            script.back(after, cpu)
        case ("tick", cpu):
            script.tick(after, cpu)
        case ("set_affinity", task, cpus):
            script.affinity(after, task, cpus & m.program.all_cpus)
        case ("set_profile", task, facts):
            script.nice(after, task, facts.nice)
        case ("advance", _):
            script.pause(after)
        case other:
            raise AssertionError(other)


def state_of(m: Machine, step: int) -> State:
    """The model's state, as the simulator tells its own."""
    runs = tuple(
        None if cpu.running < 0 else (cpu.running, left(cpu.slice_end, m.now)) for cpu in m.cpus
    )
    queues = [
        Queue(
            number, domain,
            tuple(
                Waiting(task, 0 if m.program.orders[number] == "fifo" else key, given(m, task))
                for key, task in entries
            ),
        )
        for number, domains in enumerate(m.queues)
        for domain, entries in enumerate(domains)
        if entries
    ]  # fmt: skip
    queues += [
        Queue(-1, cpu.number, tuple(Waiting(task, 0, given(m, task)) for task in cpu.local))
        for cpu in m.cpus
        if cpu.local
    ]
    return State(step, 0, m.now, runs, tuple(sorted(queues, key=lambda q: (q.number, q.domain))))


def left(slice_end: int, now: int) -> int:
    return UNLIMITED if slice_end >= FOREVER else max(slice_end - now, 0)


def given(m: Machine, task: int) -> int:
    slice_ns = m.tasks[task].slice
    return UNLIMITED if slice_ns >= FOREVER else slice_ns


def comparable(policy: Policy, state: State) -> State:
    """Without what says nothing: keys of queues in order of arrival, and their order of telling."""
    queues = [
        queue
        if queue.number >= 0 and policy.queues[queue.number].order != "fifo"
        else replace(queue, waiting=tuple(replace(one, key=0) for one in queue.waiting))
        for queue in state.queues
    ]
    return replace(state, queues=tuple(sorted(queues, key=lambda q: (q.number, q.domain))))


@cache
def shared_object(path: Path) -> Path:
    return build.policy(from_text(path.read_text(), path.name)[1])


def played(shared: Path, driven: Driven, topology: Topology) -> Played:
    return play(
        build.runtime(), shared, driven.script, topology, {}, until_ns=1 << 45, limit_s=30.0
    )


def first_difference(policy: Policy, driven: Driven, played: Played) -> str:
    """What the two do not agree on, told with the steps that led there; empty if they agree."""
    for number, mine in enumerate(driven.states):
        if number >= len(played.states):
            return _told(driven, number, f"the C stops: {played.difference} {played.thrown_out}")
        theirs = comparable(policy, played.states[number])
        if theirs != comparable(policy, mine):
            return _told(driven, number, f"model  {_line(mine)}\nnative {_line(theirs)}")
    if played.thrown_out or played.difference is not None:
        return f"at the end: {played.thrown_out} {played.difference}"
    return ""


def _told(driven: Driven, number: int, what: str) -> str:
    lines = []
    for at in range(max(0, number - 3), number + 1):
        lines += [f"step {at}: {driven.actions[at]}", *(f"    {one}" for one in driven.told[at])]
        lines += [f"  model  {_line(driven.states[at])}"] if at < number else []
    return "\n".join([*lines, what])


def _line(state: State) -> str:
    queues = "; ".join(
        f"{q.number}/{q.domain}: "
        + ", ".join(f"{one.task} key {one.key} slice {one.slice_ns}" for one in q.waiting)
        for q in state.queues
    )
    return f"{state.at_ns} runs {state.runs} | {queues}"


