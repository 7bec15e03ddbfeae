"""Values of tunables, asked of Optuna in batches.

Input: tunables with their ranges, scores of values tried. Output: values to try. Invariant: every
value lies in its tunable's range and is one that a policy can be written with (whole microseconds
for times); the same seed and scores give the same values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from schedc.ir.literal import literal_of, value_of
from schedc.ir.nodes import Kind, Tune

if TYPE_CHECKING:
    import optuna

_MICROSECOND = 1_000
_TIMES = (Kind.TIME, Kind.LAG, Kind.MOMENT)


def available() -> bool:
    """Whether Optuna is installed (the extra `search`)."""
    return find_spec("optuna") is not None


class Tuner:
    """The tunables of one policy; times vary by their logarithm where they can."""

    def __init__(self, tunes: tuple[Tune, ...], seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.tunes = tunes
        sampler = optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=4, multivariate=True, constant_liar=True,
        )  # fmt: skip
        self._study: optuna.Study = optuna.create_study(direction="minimize", sampler=sampler)
        self._trials: dict[int, Any] = {}
        self._seen: set[tuple[tuple[str, str], ...]] = set()

    def begin(self, values: Mapping[str, str], score: float) -> None:
        """What is known already: the policy's own defaults, or other values, and their score."""
        import optuna

        chosen = {
            one.name: self._coded(one, value_of(one, values[one.name]))
            if one.name in values else self._coded(one, one.value) for one in self.tunes
        }  # fmt: skip
        if self.tunes and score < 1e9:
            distributions = {one.name: _distribution(one) for one in self.tunes}
            self._study.add_trial(optuna.trial.create_trial(
                params=chosen, distributions=distributions, value=score
            ))  # fmt: skip

    def ask(self, count: int) -> Iterator[tuple[int, dict[str, str]]]:
        """Values to try, each with the number under which its score is told; fewer than `count` if
        the ranges hold no more."""
        for _ in range(4 * count):
            trial = self._study.ask({one.name: _distribution(one) for one in self.tunes})
            values = {one.name: self._literal(one, trial.params[one.name]) for one in self.tunes}
            key = tuple(sorted(values.items()))
            if key in self._seen:
                self._study.tell(trial, 1e9)
                continue
            self._seen.add(key)
            self._trials[trial.number] = trial
            yield trial.number, values
            count -= 1
            if count == 0:
                return

    def tell(self, number: int, score: float) -> None:
        """The score of values that were asked for."""
        self._study.tell(self._trials.pop(number), min(score, 1e9))

    def _coded(self, tune: Tune, value: int) -> int:
        return value // _step(tune)

    def _literal(self, tune: Tune, coded: int) -> str:
        value = min(max(coded * _step(tune), tune.low), tune.high)
        return literal_of(tune.type.kind, value)


def _step(tune: Tune) -> int:
    return _MICROSECOND if tune.type.kind in _TIMES else 1


def _distribution(tune: Tune) -> Any:
    from optuna.distributions import IntDistribution

    step = _step(tune)
    low, high = -(-tune.low // step), tune.high // step
    return IntDistribution(low, max(high, low), log=low > 0 and high > 20 * low)
