"""What an engine is: it proposes policies, and is told what came of them.

An engine is a generator of rounds. A round is a tuple of proposals; what comes back is an outcome
for each, in their order. It ends when it has nothing more to try. Invariant: an engine is a
deterministic function of its state, its seed and the outcomes, so that a run can be resumed; what
costs money goes through the journal.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import field
from typing import Protocol

from schedc.records import dataclass
from schedc.synth.goal import Goal
from schedc.synth.journal import Journal
from schedc.synth.messages import Candidate, Judged, Observed, Planned, Ratio, Simulated


@dataclass(frozen=True, slots=True)
class Proposal:
    """A policy to try. `how`: what was done, for people. `parent`: the candidate that it was made
    of, 0 for none. `final`: measure it in full at once."""

    text: str
    how: str
    parent: int = 0
    tunes: Mapping[str, str] = field(default_factory=dict)
    final: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a proposal. `simulated` is None unless it was proved; `score`: the first
    objective against the default scheduler, less is better; `best`: it is the best one now."""

    candidate: Candidate
    judged: Judged
    simulated: Simulated | None
    ratios: tuple[Ratio, ...]
    met: bool
    score: float
    best: bool

    def improves(self, goal: Goal) -> bool:
        """Whether it beats the default beyond noise, and keeps the constraints."""
        metric = goal.objectives[0].metric
        return self.met and any(
            one.metric == metric and one.finding == "better" for one in self.ratios
        )


@dataclass(frozen=True, slots=True)
class State:
    """What an engine knows when it begins. `texts`: the policies that the plan names; `journal`:
    for steps that cost money."""

    journal: Journal
    goal: Goal
    observed: Observed
    planned: Planned
    texts: Mapping[str, str]
    seed: int
    rounds: int


Round = tuple[Proposal, ...]
Rounds = Generator[Round, tuple[Outcome, ...], None]


class Engine(Protocol):
    """`name`: as the command line has it; `model`: empty where none is asked."""

    @property
    def name(self) -> str: ...

    @property
    def model(self) -> str: ...

    def rounds(self, state: State) -> Rounds:
        """The rounds of one run."""
        ...
