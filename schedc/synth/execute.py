"""The execution agent: proposals tried one round after the other, the best one kept.

Input: an engine, a state, an evaluator, limits. Output: a `Result`. Invariant: a candidate becomes
the best only if it is proved, keeps the constraints if anything does, and is better than the best
so far beyond noise on full measurements; limits are checked between rounds, and a run that hits one
ends with what it has.

A round is screened with a few seeds; only candidates that could be better are measured in full.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace

from schedc.records import dataclass
from schedc.synth.engine import Engine, Outcome, Proposal, State
from schedc.synth.evaluate import Evaluator, Judgement, score
from schedc.synth.journal import Journal, step_key
from schedc.synth.messages import Answered, Best, Candidate, Judged, Simulated, Spent, Turn

SCREENING_RUNS = 5
"""The fewest pairs that give an interval with a meaning (93.75%)."""

_HOPELESS = 1.05
"""A candidate whose screening is so much worse than the best one's is not measured in full."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may use; 0: no limit."""

    rounds: int = 0
    tokens: int = 0
    cost: float = 0.0
    seconds: float = 0.0

    def as_json(self) -> Mapping[str, float]:
        return {"rounds": self.rounds, "tokens": self.tokens, "cost": self.cost,
                "seconds": self.seconds}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Watch:
    """Called as a run goes on: for each outcome, and when a round begins."""

    outcome: Callable[[Outcome, Outcome | None], None] = field(default=lambda one, best: None)
    doing: Callable[[str], None] = field(default=lambda what: None)


@dataclass(frozen=True, slots=True)
class Result:
    """`best`: None if nothing is proved and measured; `improved`: it beats the default beyond
    noise. `reason`: why the run ended."""

    best: Outcome | None
    improved: bool
    outcomes: tuple[Outcome, ...]
    reason: str
    spent: Spent


class _Search:
    """The state of one execution."""

    def __init__(
        self, state: State, evaluator: Evaluator, journal: Journal, limits: Limits, watch: Watch
    ) -> None:
        self.state = state
        self.evaluator = evaluator
        self.journal = journal
        self.limits = limits
        self.watch = watch
        self.began = time.monotonic()
        self.outcomes: list[Outcome] = []
        self.best: Outcome | None = None
        self.full: dict[int, Simulated] = {}
        self.rounds = 0

    def turn(self) -> Turn:
        """Whether another round is begun: decided once, so that a resumed run goes the same way."""
        number = self.rounds + 1
        return self.journal.once(step_key("turn", number), Turn, lambda: self._decide(number))

    def _decide(self, number: int) -> Turn:
        spent = self.spent()
        for limit, used, name in (
            (self.limits.rounds, number - 1, "rounds"),
            (self.limits.tokens, spent.prompt_tokens + spent.reply_tokens, "tokens"),
            (self.limits.cost, spent.cost, "cost"),
            (self.limits.seconds, spent.seconds, "seconds"),
        ):
            if limit and used >= limit:
                return Turn(number, False, f"the limit of {limit:g} {name} is reached")
        return Turn(number, True, "")

    def spent(self) -> Spent:
        answers = [one for one in self.journal if isinstance(one, Answered)]
        return Spent(
            time.monotonic() - self.began, self.rounds, sum(one.prompt_tokens for one in answers),
            sum(one.reply_tokens for one in answers), sum(one.cost for one in answers),
        )  # fmt: skip

    def round(self, proposals: Sequence[Proposal]) -> tuple[Outcome, ...]:
        """Judge, screen and measure what was proposed."""
        self.rounds += 1
        first = len(self.outcomes) + 1
        candidates = [self._numbered(first + i, one) for i, one in enumerate(proposals)]
        judged = {}
        self.evaluator.ahead(candidates)
        for one in candidates:
            self.watch.doing(f"proving candidate {one.number}: {one.how}")
            judged[one.number] = self.evaluator.judge(one)
        sound = [one for one in candidates if judged[one.number].verdict == "proved"]
        final = {
            candidate.number
            for candidate, proposal in zip(candidates, proposals, strict=True)
            if proposal.final
        }
        figures = self._figures(sound, final)
        made = []
        for candidate in candidates:
            outcome = self._outcome(
                candidate, judged[candidate.number], figures.get(candidate.number)
            )
            made.append(outcome)
            self.outcomes.append(outcome)
            self.watch.outcome(outcome, self.best)
        return tuple(made)

    def _numbered(self, number: int, proposal: Proposal) -> Candidate:
        made = Candidate(number, proposal.parent, proposal.how, proposal.text, proposal.tunes)
        found = self.journal.once(step_key("candidate", number), Candidate, lambda: made)
        if found != made:
            raise self.journal.diverged(f"candidate {number}")
        return found

    def _figures(self, sound: Sequence[Candidate], final: set[int]) -> dict[int, Simulated]:
        """Screened with a few seeds; in full where that could be better than the best."""
        if not sound:
            return {}
        few = min(SCREENING_RUNS, self.evaluator.runs)
        self.watch.doing(f"simulating {len(sound)} candidates")
        screened = dict(zip(
            (one.number for one in sound), self.evaluator.measure(sound, few), strict=True
        ))  # fmt: skip
        base = self.evaluator.baseline(few)
        limit = _HOPELESS * self._best_score(few)
        scores = {
            number: score(self.state.goal, self.evaluator.compare(one, base))
            for number, one in screened.items()
        }
        # The two best of a round always: nothing may be good enough yet.
        ranked = sorted(scores, key=lambda number: (scores[number], number))
        promising = [
            one for one in sound
            if one.number in final
            or (scores[one.number] < limit and one.number in ranked[:2])
        ]  # fmt: skip
        if promising and self.evaluator.runs > few:
            full = self.evaluator.measure(promising, self.evaluator.runs)
            self.full.update(zip((one.number for one in promising), full, strict=True))
        elif promising:
            self.full.update({one.number: screened[one.number] for one in promising})
        return screened

    def _best_score(self, runs: int) -> float:
        """The best one's score on the seeds of a screening."""
        if self.best is None:
            return float("inf")
        figures = self.evaluator.measure([self.best.candidate], runs)[0]
        against = self.evaluator.compare(figures, self.evaluator.baseline(runs))
        return score(self.state.goal, against)

    def _outcome(
        self, candidate: Candidate, judged: Judged, screened: Simulated | None
    ) -> Outcome:
        if screened is None:
            return Outcome(candidate, judged, None, (), False, float("inf"), False)
        figures = self.full.get(candidate.number, screened)
        runs = len(figures.seeds)
        against = self.evaluator.compare(figures, self.evaluator.baseline(runs))
        outcome = Outcome(
            candidate, judged, figures, against.ratios, against.met,
            score(self.state.goal, against), False,
        )  # fmt: skip
        if candidate.number in self.full and self._beats(outcome, against):
            outcome = replace(outcome, best=True)
            reason = _reason(self.state.goal.objectives[0].metric, outcome)
            number = candidate.number
            self.journal.once(step_key("best", number), Best, lambda: Best(number, reason))
            self.best = outcome
        return outcome

    def _beats(self, mine: Outcome, against_default: Judgement) -> bool:
        """Whether a candidate measured in full takes the place of the best one."""
        assert mine.simulated is not None
        if mine.simulated.void:
            return False
        if self.best is None:
            return True
        assert self.best.simulated is not None
        if mine.met != self.best.met:
            return mine.met
        return self.evaluator.compare(mine.simulated, self.best.simulated).better


def _reason(metric: str, outcome: Outcome) -> str:
    found = next((one for one in outcome.ratios if one.metric == metric), None)
    if found is None:
        return "the first that is proved"
    return f"{metric} {found.ratio:.2f} [{found.low:.2f}..{found.high:.2f}] of the default's"


def execute(
    engine: Engine, state: State, evaluator: Evaluator, journal: Journal, limits: Limits,
    watch: Watch,
) -> Result:  # fmt: skip
    """Run an engine to its end, or to a limit."""
    search = _Search(state, evaluator, journal, limits, watch)
    rounds = engine.rounds(state)
    reason = f"the {engine.name} engine has nothing more to try"
    outcomes: tuple[Outcome, ...] | None = None
    while True:
        turn = search.turn()
        if not turn.go:
            reason = turn.reason
            rounds.close()
            break
        try:
            proposals = next(rounds) if outcomes is None else rounds.send(outcomes)
        except StopIteration:
            break
        outcomes = search.round(proposals)
    best = search.best
    improved = best is not None and best.improves(state.goal)
    return Result(best, improved, tuple(search.outcomes), reason, search.spent())
