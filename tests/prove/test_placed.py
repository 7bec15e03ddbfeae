"""placed: for every topology and mask; and the model of the machine against the generator."""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from schedc.emit import placing
from schedc.emit.context import Context
from schedc.emit.needs import of as needs_of
from schedc.ir import nodes as ir
from schedc.prove import machine
from schedc.prove.machine import Task, queues_of
from schedc.prove.obligations.placed import placed
from schedc.prove.parameters import declared
from schedc.prove.result import Verdict
from tests.emit import generated
from tests.emit.generated import PATHS, functions
from tests.prove.written import (
    ROOT,
    SHIPPED,
    decided,
    failing,
    levels,
    shipped,
    with_class,
    with_lines,
    written,
)

RUNTIME = (ROOT / "backends/bpf/include/runtime.h").read_text()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_policies_are_placed(path: Path) -> None:
    policy = written(path.read_text())
    found = decided(placed, policy)
    assert not failing(found)
    assert {f"placed.{cls.name}" for cls in policy.classes} <= set(found)
    assert ("placed.local" in found) == any(policy.places)


def test_some_task_without_a_class() -> None:
    policy = written(levels())
    kthread = ir.FactRef("kthread", ir.Type(ir.Kind.BOOL), policy.span)
    found = decided(placed, with_class(policy, 1, when=kthread))
    assert failing(found)["placed.classes"] is Verdict.refuted
    assert "kthread = false" in found["placed.classes"].reason


def test_classes_that_cover_all_by_their_conditions() -> None:
    policy = written(levels())
    guard = policy.classes[0].when
    assert guard is not None
    rest = ir.Apply(ir.Op.NOT, (guard,), guard.type, policy.span)
    found = decided(placed, with_class(policy, 1, when=rest))
    assert not failing(found)


def test_a_last_class_that_is_confined_leaves_tasks_without_one() -> None:
    policy = shipped("cpu_sets")
    last = len(policy.classes) - 1
    found = decided(placed, with_class(policy, last, affinity="confine", cpus="studio"))
    assert "placed.classes" in failing(found)


@pytest.mark.parametrize("name", ["bands", "interactive", "cells", "tenants", "cpu_sets"])
def test_a_queue_that_nobody_takes_from(name: str) -> None:
    policy = shipped(name)
    for gone in policy.dispatch:
        if len(policy.dispatch) == 1 or isinstance(gone, ir.Steal):
            continue
        mutant = with_lines(policy, lambda line, gone=gone: line is not gone)
        taken = {q for x in mutant.dispatch if not isinstance(x, ir.Steal) for q in queues_of(x)}
        classes = [rule.cls for rule in policy.rules if rule.queue not in taken]
        assert set(failing(decided(placed, mutant))) == {f"placed.{cls}" for cls in classes}


def test_stealing_alone_does_not_drain_a_machine_of_one_domain() -> None:
    policy = shipped("flash")
    mutant = with_lines(policy, lambda line: not isinstance(line, ir.Take))
    assert failing(decided(placed, mutant)) == {
        "placed.early": Verdict.unproven,  # its condition reads state: maybe nobody is early
        "placed.steady": Verdict.unproven,
    }


def test_a_confined_class_in_a_queue_per_cpu() -> None:
    """A task would wait at a cpu outside of the set."""
    policy = shipped("cpu_sets")
    queues = tuple(
        replace(queue, domain="cpu") if queue.name == "audio" else queue for queue in policy.queues
    )
    assert set(failing(decided(placed, replace(policy, queues=queues)))) == {"placed.audio"}


def test_a_class_shares_the_queue_of_a_confined_one() -> None:
    """Its tasks may have no cpu that looks there."""
    policy = shipped("cpu_sets")
    rules = tuple(
        replace(rule, queue="audio") if rule.cls == "kernel" else rule for rule in policy.rules
    )
    found = decided(placed, replace(policy, rules=rules))
    assert failing(found) == {"placed.kernel": Verdict.refuted}


def test_a_class_that_no_task_is_in() -> None:
    """Nothing to prove about it, and no contradiction either."""
    policy = written(levels().replace("nice < 0", "nice < 0 and nice > 0"))
    assert not failing(decided(placed, policy))


# --- the model of the machine is that of the generated code ---------------------------------------


@pytest.mark.parametrize("name", ["MAX_CPUS", "MAX_LLCS", "MAX_NODES", "MAX_CLASSES"])
def test_sizes_are_the_generated_codes(name: str) -> None:
    found = re.search(rf"#define {name} (\d+)", RUNTIME)
    assert found is not None and int(found[1]) == getattr(machine, name)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_who_was_searched_for_is_the_generators(path: Path) -> None:
    policy = written(path.read_text())
    task = Task(policy, declared(policy))
    ctx = Context(policy, needs_of(policy), lambda span: ("", 1), False)
    for cls in policy.classes:
        assert task.placed(cls) == placing.is_placed(ctx, cls)
        assert task.searched(cls) == (placing.searched(ctx, cls) and policy.pack is None)


_KICK = re.compile(r"kick_idle\((?P<near>claim\(p, cpu\) \? cpu : )?(?P<where>-1|\w+\([^()]*\))\)")
_WHERE = {
    "-1": "nowhere",
    "claim_any": "anywhere",
    "claim_preferring": "awake",
    "claim_within": "set",
    "claim_in_llc": "domain",
    "claim_in_node": "domain",
}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_whom_an_insertion_wakes_is_the_generators(path: Path) -> None:
    policy, bodies = generated.policy(path), functions(generated.text(path))
    inlined = generated.callback(path, "enqueue")
    for rule, cls in zip(policy.rules, policy.classes, strict=True):
        body = bodies.get(f"enqueue_{cls.name}", inlined)
        kick = _KICK.search(body)
        assert kick is not None
        near, where = machine.search(policy, policy.queue(rule.queue), cls)
        assert (kick["near"] is not None, _WHERE[kick["where"].split("(")[0]]) == (near, where)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_who_is_tried_by_dispatch_is_the_generators(path: Path) -> None:
    """Each line once, and each limited one once more."""
    policy, text = generated.policy(path), generated.callback(path, "dispatch")
    tries: Counter[str] = Counter()
    for line in policy.dispatch:
        if isinstance(line, ir.Take):
            per_group = policy.queue(line.queue).domain == "cgroup"
            call = f"take_{line.queue}(c)" if per_group else f"take(QUEUE_{line.queue.upper()}, "
            tries[call] += 1 if line.limit is None else 2
        elif isinstance(line, ir.Steal):
            kind = "steal" if line.pick is None else "steal_longer"
            tries[f"{kind}(QUEUE_{line.queue.upper()}, "] += 1
    assert {call: text.count(call) for call in tries} == dict(tries)
