"""Small policies and machines for the tests of the reference semantics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from schedc.ir.nodes import NS_PER_MS as MS, Policy
from schedc.model import Machine, Profile, Topology
from schedc.pipeline import analyze
from schedc.prove.parameters import declared
from schedc.source import Source

ROOT = Path(__file__).parents[2]

SHIPPED = sorted([*ROOT.glob("stdlib_policies/*.sched"), *ROOT.glob("examples/*/*.sched")])


@lru_cache
def policy_of(text: str) -> Policy:
    """The typed policy of a text; without a header, one is put before it."""
    if not text.lstrip().startswith(("policy", "#")):
        text = f"policy p 1.0.0\n{text}"
    analysis = analyze(Source.from_text("p.sched", text))
    assert analysis.policy is not None, analysis.diagnostics
    return analysis.policy


def shipped(path: Path) -> Policy:
    return policy_of(path.read_text())


def machine(
    text: str,
    *,
    cpus: int = 1,
    llcs: tuple[int, ...] = (),
    topology: Topology | None = None,
    tunes: Mapping[str, int] | None = None,
    tick_ns: int = MS,
    record: bool = True,
) -> Machine:
    """A machine of one llc, or with a cpu of each llc named."""
    policy = policy_of(text)
    parameters = replace(declared(policy), tick_ns=tick_ns)
    found = topology or Topology(llcs or (0,) * cpus)
    return Machine(policy, found, tunes, parameters, record)


def slice_out(m: Machine, cpu: int = 0) -> int | None:
    """The stint on a cpu uses up its slice; who runs then."""
    m.end_at(cpu, max(m.slice_end(cpu), m.now), "slice")
    return m.running(cpu)


def order(m: Machine, picks: int, cpu: int = 0) -> list[int | None]:
    """Who runs after each of so many slices."""
    return [slice_out(m, cpu) for _ in range(picks)]


def told(m: Machine, *kinds: str) -> list[tuple[str, int]]:
    """(kind, task) of the events of some kinds."""
    return [(event.kind, event.task) for event in m.events if event.kind in kinds]


def nice(value: int) -> Profile:
    return Profile(nice=value)
