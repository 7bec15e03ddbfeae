"""The search engine: no model and no network.

Rounds: what was stored for such a goal; the library as it stands; then the best changed in their
structure (`moves`) and tuned (by Optuna's tree-structured Parzen estimator, asked for batches), in
turn, until two rounds in a row bring nothing. Invariant: the same state, seed and outcomes give the
same proposals.

A policy is proved for all values of its tunables, so tuning needs no new proof; a change of
structure is a new text and gets one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from schedc.ir.literal import literal_of
from schedc.ir.nodes import Kind, Tune
from schedc.pipeline import analyze
from schedc.records import dataclass
from schedc.source import Source
from schedc.synth.engine import Outcome, Proposal, Round, Rounds, State
from schedc.synth.engine.moves import moves
from schedc.synth.engine.tuning import Tuner, available
from schedc.synth.goal import Goal
from schedc.synth.messages import Observed

FAMILIES = 3
"""So many of the best policies are tuned and changed."""

BATCH = 6
_PATIENCE = 2
_MOVES_A_ROUND = (4, 3, 2)
"""For the best policy, the next and the third; each is a new text, and a proof takes some 0.3 s."""


@dataclass(frozen=True, slots=True)
class SearchEngine:
    """`name` and `model` as `Engine` wants them."""

    name: str = "search"
    model: str = ""

    def rounds(self, state: State) -> Rounds:
        """See the module."""
        search = _Search(state)
        stored = search.stored()
        if stored:
            outcomes = yield stored
            search.take(outcomes)
            if any(one.best and one.improves(state.goal) for one in outcomes):
                return  # what was found before is as good as it was: nothing to spend
        search.take((yield search.library()))
        idle = 0
        while idle < _PATIENCE:
            found = False
            for step in (search.changed, search.tuned):
                proposals = step()
                if proposals:
                    outcomes = yield proposals
                    search.take(outcomes)
                    found |= any(one.best for one in outcomes)
            idle = 0 if found else idle + 1
            if not search.alive:
                return


class _Search:
    """What a search knows so far."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.outcomes: list[Outcome] = []
        self.tuners: dict[str, Tuner] = {}
        self.tried: set[str] = set()
        self.alive = True
        self._asked: list[tuple[Tuner, int]] = []

    def take(self, outcomes: Iterable[Outcome]) -> None:
        """Learn of a round's outcomes."""
        got = tuple(outcomes)
        self.outcomes += got
        for (tuner, number), outcome in zip(self._asked, got, strict=False):
            tuner.tell(number, outcome.score)
        self._asked = []

    def stored(self) -> Round:
        """Policies that were good for this goal before, measured anew."""
        chosen = [one for one in self.state.planned.choices if one.how == "reuse"]
        return tuple(Proposal(one.text, f"{one.name}, used again", final=True) for one in chosen)

    def library(self) -> Round:
        """The policies of the plan as they stand."""
        chosen = [one for one in self.state.planned.choices if one.how in ("tune", "compose")]
        return tuple(Proposal(one.text, f"{one.name} as it stands") for one in chosen)

    def families(self) -> list[Outcome]:
        """The best outcome of each of the best texts."""
        best: dict[str, Outcome] = {}
        for one in self.outcomes:
            if one.simulated is None or one.simulated.void:
                continue
            text = one.candidate.text
            if text not in best or one.score < best[text].score:
                best[text] = one
        ordered = sorted(best.values(), key=lambda one: (one.score, one.candidate.number))
        # The same score to the last digit: two texts that decide alike here.
        different = {one.score: one for one in reversed(ordered)}
        return [different[score] for score in sorted(different)][:FAMILIES]

    def tuned(self) -> Round:
        """Other values for the tunables of the best policies."""
        if not available():
            return ()
        self._asked = []
        proposals: list[Proposal] = []
        for rank, family in enumerate(self.families()):
            text = family.candidate.text
            tuner = self.tuners.get(text)
            if tuner is None:
                tuner = Tuner(tuple(tunes_of(text)), self.state.seed)
                tuner.begin(family.candidate.tunes, family.score)
                self.tuners[text] = tuner
            if not tuner.tunes:
                continue
            for number, values in tuner.ask(BATCH if rank == 0 else BATCH // 2):
                self._asked.append((tuner, number))
                shown = ", ".join(f"{name} {value}" for name, value in values.items())
                proposals.append(Proposal(
                    text, f"{_name(text)} with {shown}", family.candidate.number, values
                ))  # fmt: skip
        return tuple(proposals)

    def changed(self) -> Round:
        """The best policies with one change of structure each."""
        proposals: list[Proposal] = []
        for family, most in zip(self.families(), _MOVES_A_ROUND, strict=False):
            proposals += islice(self._fresh(family), most)
        self.alive = bool(proposals) or available()
        return tuple(proposals)

    def _fresh(self, family: Outcome) -> Iterator[Proposal]:
        names = names_of(self.state.observed, self.state.goal)
        for text, how in moves(family.candidate.text, self.state.goal, names):
            if text in self.tried:
                continue
            self.tried.add(text)
            # What is no policy costs no place in the round.
            if analyze(Source.from_text("candidate.sched", text)).policy is not None:
                how = f"{_name(text)}: {how}"
                yield Proposal(
                    text, how, family.candidate.number, _still(family.candidate.tunes, text)
                )


def names_of(observed: Observed, goal: Goal) -> list[str]:
    """Names of tasks, those first whom to favour helps the goal most: who holds up the end, or who
    needs a cpu for the shortest time. A name that all groups have tells nobody apart."""
    groups = [one for one in observed.traits if one.comm]
    if len({one.comm for one in groups}) < 2:
        return []
    if goal.kind == "makespan":
        groups.sort(key=lambda one: -one.cpus)
    elif goal.kind == "completion":
        groups.sort(key=lambda one: one.cpus)
    else:
        groups.sort(key=lambda one: one.value)
    return list(dict.fromkeys(one.comm for one in groups))


def tunes_of(text: str) -> Iterator[Tune]:
    """The tunables of a policy's text that can be varied."""
    policy = analyze(Source.from_text("candidate.sched", text)).policy
    for tune in policy.tunes if policy is not None else ():
        if tune.low < tune.high and tune.type.kind is not Kind.BOOL:
            yield tune


def _still(tunes: Mapping[str, str], text: str) -> dict[str, str]:
    """The values of tunables that the changed text still has, with ranges that take them."""
    from schedc.ir.literal import BadLiteral, value_of

    kept = {}
    for tune in tunes_of(text):
        if tune.name in tunes:
            try:
                kept[tune.name] = literal_of(tune.type.kind, value_of(tune, tunes[tune.name]))
            except BadLiteral:
                continue
    return kept


def _name(text: str) -> str:
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "policy":
            return words[1]
    return "a policy"
