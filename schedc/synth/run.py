"""A whole run, from a goal to a policy: the four agents one after the other.

Input: a `Request`. Output: a `Finished`. Invariant: everything that was decided stands in the
journal of the run's folder; the same request on the same folder goes on where it stopped, and once
it has ended gives the same answer without doing anything.

    goal -> observe -> plan -> execute (an engine) -> learn
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from schedc import __version__
from schedc.records import dataclass
from schedc.repository.library import Library
from schedc.repository.place import Place
from schedc.sim.scenario import Scenario
from schedc.synth.engine import Engine, Outcome, State
from schedc.synth.evaluate import Backend, Evaluator
from schedc.synth.execute import Limits, Result, Watch, execute
from schedc.synth.goal import Goal
from schedc.synth.journal import Journal, JournalError, step_key
from schedc.synth.learn import Kept, learn
from schedc.synth.messages import Ended, Learned, Observed, Planned, Profiled, Started
from schedc.synth.observe import observe
from schedc.synth.plan import plan
from schedc.synth.written import written


@dataclass(frozen=True, slots=True)
class Request:
    """What a user asks for. `settings`: as written, for the record; `scenario` has their values."""

    goal: Goal
    scenario: Scenario
    settings: tuple[str, ...]
    limits: Limits
    runs: int
    seed: int
    jobs: int | None = None
    keep: bool = True
    """Whether what is good is put into the repository."""
    workload: str = ""
    """The workload's name or file, as written."""
    machine: tuple[str, ...] = ("server",)
    """The machine, as written: a name, then `cpus=8` and the like."""
    profiled: Profiled | None = None
    """The profile that the scenario's workload is made of, if it is made of one."""


@dataclass(frozen=True, slots=True)
class Finished:
    """`text`: the policy, empty if none came out; `kept`: where it is stored, if it is."""

    folder: Path
    started: Started
    observed: Observed
    planned: Planned
    result: Result
    text: str
    kept: Kept | None


@dataclass(frozen=True, slots=True)
class Told:
    """Called once each as they are known."""

    observed: Callable[[Observed], None] = lambda one: None
    planned: Callable[[Planned], None] = lambda one: None
    watch: Watch = Watch()


def runs_folder(place: Place | None = None) -> Path:
    """Where runs are kept."""
    return (place or Place.default()).root / "runs"


def new_folder(goal: Goal, place: Place | None = None) -> Path:
    """A folder for a new run: the time, the goal, and something that no other run has."""
    words = re.sub(r"[^a-z0-9]+", "-", goal.key.lower()).strip("-")[:30].strip("-")
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    return runs_folder(place) / f"{stamp}-{words}-{secrets.token_hex(2)}"


def synthesize(
    request: Request, engine: Engine, library: Library, folder: Path, told: Told | None = None,
    *, frozen: bool = False, backend: Backend | None = None,
) -> Finished:  # fmt: skip
    """Run, or go on with, the run in `folder`. Raises `JournalError`, and what the engine's
    endpoint raises; a limit that is hit is no error."""
    told = told or Told()
    with Journal(folder, frozen=frozen) as journal:
        started = _started(request, engine, journal)
        if (profiled := request.profiled) is not None:
            journal.once(step_key("profile"), Profiled, lambda: profiled)
        observed = journal.once(
            step_key("observe"), Observed,
            lambda: observe(request.scenario, request.seed, request.profiled),
        )
        told.observed(observed)
        planned = journal.once(
            step_key("plan"), Planned,
            lambda: plan(request.goal, observed, library, writes=bool(engine.model)),
        )
        told.planned(planned)
        evaluator = Evaluator(
            request.goal, request.scenario, journal, runs=request.runs, first_seed=request.seed,
            jobs=request.jobs, backend=backend,
        )  # fmt: skip
        texts = {one.name: one.text for one in planned.choices if one.text}
        state = State(
            journal, request.goal, observed, planned, texts, request.seed, request.limits.rounds
        )
        result = execute(engine, state, evaluator, journal, request.limits, told.watch)
        text = _text(result.best, request.goal, texts) if result.best is not None else ""
        kept = None
        if request.keep and not frozen and not journal.knows(step_key("end")):
            kept = learn(library, started, observed, result, text, folder.name)
            if kept is not None:
                lesson = Learned(kept.lesson)
                journal.once(step_key("learn"), Learned, lambda: lesson)
        best = result.best.candidate.number if result.best is not None else 0
        ended = journal.once(
            step_key("end"), Ended, lambda: Ended(best, result.reason, result.spent)
        )
        result = replace(result, reason=ended.reason, spent=ended.spent)
    return Finished(folder, started, observed, planned, result, text, kept)


def _started(request: Request, engine: Engine, journal: Journal) -> Started:
    wanted = Started(
        request.goal, request.workload or request.scenario.workload.name, request.settings,
        request.machine, engine.name, engine.model, request.seed, request.runs,
        request.limits.as_json(), __version__,
    )  # fmt: skip
    found = journal.once(step_key("start"), Started, lambda: wanted)
    same = replace(found, limits=wanted.limits, version=wanted.version)
    if same != wanted:
        raise JournalError(
            f"the run in {journal.folder} was begun for something else",
            "resume it without other options, or begin a new one",
        )
    return found


def _text(best: Outcome, goal: Goal, texts: dict[str, str]) -> str:
    """The best one as a policy; one of the library's as it stands keeps its name."""
    candidate = best.candidate
    if not candidate.tunes and candidate.text in texts.values():
        return candidate.text
    found = re.search(r"(?m)^policy\s+([a-z][a-z0-9_]*)", candidate.text)
    base = (found[1] if found else "made")[:18].rstrip("_")
    name = f"{base}_{step_key(candidate.text, sorted(candidate.tunes.items()))[:8]}"
    return written(candidate, name, f"{candidate.how}; for {goal.key}", goal.kind)
