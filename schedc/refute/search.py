"""From scenarios to a run: how many competitors it takes, and which run is worth showing.

Input: a policy narrowed to its parameters, the classes whose promise is not proved. Output: a
`Run`, or None. Invariant: at most `BUDGET` steps in all, in a fixed order, so that every machine
finds the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from schedc.ir import nodes as ir
from schedc.model import Program
from schedc.prove.parameters import Parameters
from schedc.prove.result import WATCHDOG_NS
from schedc.refute import breadth
from schedc.refute.run import Run, blocks_of
from schedc.refute.scenario import VICTIM, Outcome, Scenario, Theatre
from schedc.refute.strategies import casts, scenarios, topologies

BUDGET = 70_000
"""Steps of all plays together."""

_CASTS = 3
"""Breadth-first searches, over all settings."""
_GLANCE = 300
"""Steps in which a scenario may show that a form comes back; else it is put off."""
_PATIENCE = 20_000
"""Steps of one that is played to its end."""


def promise_of(policy: ir.Policy, cls: str) -> int:
    """How long a task of a class may wait, in ns: its own promise, that of all, the watchdog."""
    own = [one.wait_ns for one in policy.promises if one.cls == cls]
    common = [one.wait_ns for one in policy.promises if one.cls is None]
    return min([*(own or common), WATCHDOG_NS])


class Search:
    """The steps that are left, and what was found."""

    def __init__(self, policy: ir.Policy, parameters: Parameters, wanted: tuple[str, ...]) -> None:
        self.policy, self.parameters, self.wanted = policy, parameters, wanted
        self.left = BUDGET
        self.casts = _CASTS

    def run(self, tunes: Mapping[str, int]) -> Run | None:
        """The first scenario that starves somebody in a few steps; else those in which a victim
        waits longest, played to their end and with more competitors."""
        for topology in topologies(self.policy):
            program = Program(self.policy, topology, tunes)
            slow: list[tuple[int, int, Scenario]] = []
            for number, scenario in enumerate(scenarios(self.policy, topology, self.wanted)):
                outcome = self._play(program, replace(scenario, limit=_GLANCE))
                if self._starves(outcome):
                    return self._told(program, tunes, *self._shorter(program, scenario, outcome))
                # In tenths of a promise: of those that last equally long the plainest is taken.
                slow.append((-(10 * outcome.hoped_ns // WATCHDOG_NS), number, scenario))
                if self.left <= BUDGET // 2:
                    break
            best = [scenario for *_, scenario in sorted(slow, key=lambda one: one[:2])[:3]]
            found = self._alone(program, best) or self._grown(program, best)
            if found is not None:
                return self._told(program, tunes, *self._shorter(program, *found))
            unforeseen = self._unforeseen(program)
            if unforeseen is not None:
                return self._told(program, tunes, *unforeseen)
        return None

    def _unforeseen(self, program: Program) -> tuple[Scenario, Outcome] | None:
        """Breadth first, a few casts."""
        for profiles in casts(self.policy, program.topology, self.wanted):
            if not self.casts:
                return None
            self.casts -= 1
            found = breadth.search(program, self.parameters, profiles)
            if found is not None:
                play = found.play
                cls = play.machine.class_name(play.number[VICTIM]) or ""
                outcome = Outcome(play, 0, found.since, found.turn, cls, waits=True)
                return Scenario(profiles, ()), outcome
        return None

    def _play(self, program: Program, scenario: Scenario) -> Outcome:
        within = replace(scenario, limit=max(1, min(scenario.limit, self.left)))
        outcome = self._perform(program, within)
        self.left -= outcome.used
        return outcome

    def _perform(self, program: Program, scenario: Scenario) -> Outcome:
        longest = max(promise_of(self.policy, cls.name) for cls in self.policy.classes)
        return Theatre(program, self.parameters, scenario).perform(longest)

    def _starves(self, outcome: Outcome) -> bool:
        if not outcome.cls or not outcome.waits:
            return False
        return bool(outcome.turn) or outcome.wait_ns > promise_of(self.policy, outcome.cls)

    def _alone(self, program: Program, best: list[Scenario]) -> tuple[Scenario, Outcome] | None:
        """A scenario that starves the victim with the competitors that it has, in the end."""
        for late in (False, True):
            for scenario in best:
                patient = replace(scenario, limit=_PATIENCE, late=late)
                outcome = self._play(program, patient)
                if self._starves(outcome):
                    return patient, outcome
        return None

    def _grown(self, program: Program, best: list[Scenario]) -> tuple[Scenario, Outcome] | None:
        """With more competitors: the scenario that needs the fewest."""
        found = []
        for scenario in best:
            if scenario.behaviours[0].how == "sleep":
                continue  # a crowd of sleepers is not more than two of them
            one = self._enough(program, replace(scenario, limit=_PATIENCE, late=True))
            if one is not None:
                found.append(one)
        return min(found, key=lambda one: (one[0].crowd, len(one[1].play.steps)), default=None)

    def _enough(self, program: Program, late: Scenario) -> tuple[Scenario, Outcome] | None:
        """As few competitors as starve the victim."""
        cpus, kinds = len(program.all_cpus), len(late.behaviours)
        most = (self.parameters.runnable * cpus - 1) // kinds
        waits = []
        for crowd in range(late.crowd, min(late.crowd + 3, most + 1)):
            tried = replace(late, crowd=crowd)
            outcome = self._play(program, tried)
            if self._starves(outcome):
                return tried, outcome
            waits.append(outcome.wait_ns)
        step = waits[-1] - waits[-2] if len(waits) > 1 else 0
        if step <= 0:
            return None
        promise = min(promise_of(self.policy, cls) for cls in self.wanted)
        more = max(0, -(-(promise - waits[-1]) // step))
        return self._fewest(program, late, min(most, late.crowd + len(waits) - 1 + more), most)

    def _fewest(
        self, program: Program, scenario: Scenario, guess: int, most: int
    ) -> tuple[Scenario, Outcome] | None:
        best = None
        crowd, stride, failed = guess, 1, 0
        while 1 <= crowd <= most and self.left > 0:
            tried = replace(scenario, crowd=crowd)
            outcome = self._play(program, tried)
            if self._starves(outcome):
                best = (tried, outcome)
                if crowd - 1 == failed:
                    break
                crowd -= 1
            elif best is not None:
                break
            else:
                failed, crowd, stride = crowd, crowd + stride, 2 * stride
        return best

    def _shorter(
        self, program: Program, scenario: Scenario, outcome: Outcome
    ) -> tuple[Scenario, Outcome]:
        """The victim's past as short as will do: halved, then nearer and nearer."""
        if scenario.past != "ran":
            return scenario, outcome
        low, high, kind = 0, scenario.alone, bool(outcome.turn)
        while high - low > 1:
            tried = replace(scenario, alone=(low + high) // 2)
            found = self._perform(program, tried)  # found already: this is not searching
            if self._starves(found) and bool(found.turn) == kind:
                scenario, outcome, high = tried, found, tried.alone
            else:
                low = tried.alone
        return scenario, outcome

    def _told(
        self, program: Program, tunes: Mapping[str, int], scenario: Scenario, outcome: Outcome
    ) -> Run:
        play = outcome.play
        kind = "lasso" if outcome.turn else "crowd" if scenario.crowd > 8 else "drift"
        classes = {
            name: play.machine.class_name(number) or "" for name, number in play.number.items()
        }
        return Run(
            kind=kind,  # type: ignore[arg-type]
            policy=self.policy.name,
            topology=program.topology,
            tunes=tunes,
            parameters=self.parameters.as_json(),
            profiles=scenario.profiles,
            classes=classes,
            victim=VICTIM,
            victim_class=outcome.cls,
            blocks=blocks_of(play.steps, outcome.turn),
            since=outcome.since,
            wait_ns=None if outcome.turn else outcome.wait_ns,
            promise_ns=promise_of(self.policy, outcome.cls),
        )
