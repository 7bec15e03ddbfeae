"""What is proved work-conserving leaves no cpu idle beside a waiting task, in all runs tried; where
the proof fails for want of a steal, such a run is found.

Runs over the reference semantics, which were written from the kernel's behaviour, of environments
made at random: masks, wake-ups, exits, higher classes.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from schedc.ir import nodes as ir
from schedc.model import Machine, Topology
from schedc.model.state import QUEUED
from schedc.prove.obligations.work_conserving import work_conserving
from schedc.prove.parameters import declared
from tests.model.environment import do, next_action
from tests.prove.written import SHIPPED, decided, failing, shipped, with_lines, written

TOPOLOGIES = (Topology((0, 0)), Topology((0, 1), (0, 1)), Topology((0, 0, 1, 1), (0, 0, 1, 1)))
ACTIONS = 150


def left_waiting(m: Machine) -> Iterator[tuple[int, int]]:
    """Idle cpus, each with a task that it could run: without those that `cap` and `confine` hold
    back."""
    policy = m.program.policy
    capped = {policy.class_index(cap.cls) for cap in policy.caps}
    for cpu in m.cpus:
        if not cpu.idle:
            continue
        for task in m.tasks:
            if task.state != QUEUED or task.cls in capped or not m.may_run(task, cpu.number):
                continue
            cpus = m.program.sets[task.cls]
            if m.program.confined[task.cls] and cpus is not None and cpu.number not in cpus:
                continue
            yield cpu.number, task.id


def first_idle(policy: ir.Policy, topology: Topology, seed: int) -> tuple[int, int] | None:
    """The first idle cpu beside a waiting task in a run made from a seed."""
    m = Machine(policy, topology, parameters=declared(policy), record=False)
    draw = random.Random(seed)
    for _ in range(ACTIONS):
        do(m, next_action(m, draw.randrange))
        found = next(left_waiting(m), None)
        if found is not None:
            return found
    return None


@pytest.mark.parametrize(
    "path", [path for path in SHIPPED if "\npack " not in path.read_text()], ids=lambda p: p.stem
)
def test_no_cpu_idles_beside_a_waiting_task(path: Path) -> None:
    policy = written(path.read_text())
    for seed, topology in enumerate(TOPOLOGIES):
        assert first_idle(policy, topology, seed) is None


@pytest.mark.parametrize(
    ("name", "queue"), [("locality", "home"), ("saved_lag", "ready"), ("mixed", "bulk")]
)
def test_without_a_steal_some_cpu_does(name: str, queue: str) -> None:
    policy = with_lines(
        shipped(name), lambda line: not (isinstance(line, ir.Steal) and line.queue == queue)
    )
    assert set(failing(decided(work_conserving, policy))) == {f"work-conserving.{queue}"}
    topology = TOPOLOGIES[2]
    assert any(first_idle(policy, topology, seed) is not None for seed in range(20))
