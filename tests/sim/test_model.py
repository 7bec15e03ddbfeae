"""The reference semantics and the generated C agree, step by step, whatever the environment does.

After each step the two are compared: who runs on each cpu with how much of its slice left, who
waits in which queue, in which order, with which key and slice. Both were written from the kernel's
behaviour, neither from the other: the model in Python over integers, the other as C callbacks under
a simulated kernel.

What is not compared: which of several random domains `steal … pick` looks at first.
"""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from schedc.ir import nodes as ir
from schedc.ir.nodes import Policy
from schedc.model import Topology
from schedc.sim import build
from tests.emit.generated import PATHS, from_text, policy as policy_of
from tests.prove.mutations import Mutant
from tests.prove.shipped import STDLIB
from tests.sim.driven import Driven, drive, first_difference, played, shared_object

TOPOLOGIES = (
    Topology((0,)),
    Topology((0, 0)),
    Topology((0, 1), (0, 1)),
    Topology((0, 0, 1, 1), (0, 0, 1, 1), (0, 0, 1, 1), (1024, 1024, 512, 512)),
)


def compared(path: Path) -> bool:
    """Whether the policy asks for nothing random, nothing that only a real file has, and not for
    tasks' numbers."""
    return not re.search(r"steal \w+ pick|\bexe \"|\bcgroup \"|\bpid\b", path.read_text())


COMPARED = [path for path in PATHS if compared(path)]


def agree(policy: Policy, shared: Path, topology: Topology, seed: int, actions: int) -> str:
    driven = drive(policy, topology, seed, actions)
    return told(policy, shared, topology, driven, f"seed {seed}")


def told(policy: Policy, shared: Path, topology: Topology, driven: Driven, case: str) -> str:
    found = first_difference(policy, driven, played(shared, driven, topology))
    return f"{policy.name} on {topology}, {case}:\n{found}" if found else ""


@pytest.mark.parametrize("path", STDLIB, ids=lambda path: path.stem)
def test_the_shipped_policies(path: Path) -> None:
    policy, shared = policy_of(path), shared_object(path)
    for topology in TOPOLOGIES:
        found = agree(policy, shared, topology, 1, 150)
        assert not found, found


@pytest.mark.parametrize("path", COMPARED[5::17], ids=lambda path: path.stem)
def test_every_part_of_the_language(path: Path) -> None:
    """A part of the policies that each show one; the campaign takes all."""
    policy, shared = policy_of(path), shared_object(path)
    for topology in TOPOLOGIES[1::2]:
        found = agree(policy, shared, topology, 2, 100)
        assert not found, found


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.data())
def test_whatever_is_chosen(data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(STDLIB))
    topology = data.draw(st.sampled_from(TOPOLOGIES))
    policy = policy_of(path)
    driven = drive(policy, topology, lambda n: data.draw(st.integers(0, n - 1)), 25)
    found = told(policy, shared_object(path), topology, driven, "chosen")
    assert not found, found


# --- the campaign ---------------------------------------------------------------------------------

SEEDS = range(int(os.environ.get("SCHEDC_MODEL_SEEDS", "20")))


@pytest.mark.slow
@pytest.mark.parametrize("path", COMPARED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_campaign_of_all_policies(path: Path) -> None:
    policy, shared = policy_of(path), shared_object(path)
    for topology in TOPOLOGIES:
        for seed in SEEDS:
            found = agree(policy, shared, topology, 100 + seed, 300)
            assert not found, found


@pytest.mark.slow
@pytest.mark.parametrize("base", STDLIB, ids=lambda path: path.stem)
def test_campaign_of_mutants(base: Path) -> None:
    """Policies that people and models would write by mistake."""
    from tests.prove.test_mutants import spread

    def one(mutant: Mutant) -> str:
        if any(isinstance(line, ir.Steal) and line.pick for line in mutant.policy.dispatch):
            return ""
        shared = build.policy(from_text(mutant.text)[1])
        for topology in TOPOLOGIES:
            found = agree(mutant.policy, shared, topology, 7, 200)
            if found:
                return f"{mutant.name}\n{found}"
        return ""

    with ThreadPoolExecutor(2) as pool:
        found = [text for text in pool.map(one, spread(base)[:40]) if text]
    assert not found, "\n\n".join(found)


# --- what the comparison has found ----------------------------------------------------------------

CAPPED_UNLIMITED = """\
policy p 1.0.0
queue all fifo
class everyone
cap everyone at 30% every 100ms
enqueue everyone to all slice unlimited contended 10ms
dispatch { take all }
"""
"""The largest slice is no negative number: the cap cuts it."""

CHARGED_BEFORE = """\
policy p 1.0.0
queue all by vtime within -20ms..100ms
state task.used : vtime of all
class everyone
on run { task.used += charge(ran) }
enqueue everyone to all key task.used slice 4ms
dispatch { take all }
"""
"""Where no stint goes on yet, `ran` is the last one's."""


PACKED = """\
policy p 1.0.0
queue all fifo
class everyone
pack until 80%
enqueue everyone to all slice 4ms
dispatch { take all }
"""
"""The idle cpu on which a task wakes (seed 108) or to which it is moved (119) looks for a task,
though it is left asleep and the policy kicked another one, which takes who was first in line."""

FOUND = [
    pytest.param(CAPPED_UNLIMITED, TOPOLOGIES[:2], 7, id="cap"),
    pytest.param(CHARGED_BEFORE, TOPOLOGIES[:2], 7, id="ran"),
    pytest.param(PACKED, TOPOLOGIES[3:], 108, id="woken"),
    pytest.param(PACKED, TOPOLOGIES[3:], 119, id="moved"),
]


@pytest.mark.parametrize(("text", "topologies", "seed"), FOUND)
def test_found_before(text: str, topologies: tuple[Topology, ...], seed: int) -> None:
    policy, c_text = from_text(text)
    shared = build.policy(c_text)
    for topology in topologies:
        found = agree(policy, shared, topology, seed, 150)
        assert not found, found
