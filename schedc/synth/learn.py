"""The learning agent: what a run leaves for later ones.

Input: the result of an execution. Output: a policy in the repository, its results, a short lesson,
a promotion. Invariant: nothing is stored of a run that improved nothing; the policy that is stored
is the text that was measured, proved once more as it is added; a promotion needs a figure beyond
noise.
"""

from __future__ import annotations

import re
import time

from schedc.records import dataclass
from schedc.repository.entry import Entry, entry
from schedc.repository.library import Library
from schedc.repository.place import RepositoryError
from schedc.repository.results import Figure, Lesson, Measured
from schedc.source import Source
from schedc.synth.execute import Result
from schedc.synth.messages import Learned, Observed, Ratio, Started

_HEADER = re.compile(r"(?m)^policy\s+[a-z][a-z0-9_]*\s+[0-9]+\.[0-9]+\.[0-9]+")


@dataclass(frozen=True, slots=True)
class Kept:
    """What was stored: the title of the policy (a shipped one stays what it is), and whether it is
    the best known one now."""

    title: str
    promoted: bool
    lesson: str


def learn(
    library: Library, started: Started, observed: Observed, result: Result, text: str, run: str
) -> Kept | None:
    """Store what came of a run; None if it improved nothing. `text`: the policy with the values of
    its tunables written into it."""
    if result.best is None or not result.improved:
        return None
    title, meaning, version = _stored(library, text, started)
    name = title.rpartition("/")[2].partition(" ")[0]
    spent = result.spent
    measured = Measured(
        meaning=meaning, name=name, version=version, goal=started.goal.key,
        workload=observed.workload, fingerprint=observed.fingerprint,
        machine=f"sim:{' '.join(started.machine)}", baseline="eevdf", kernel="", verdict="proved",
        metrics={one.metric: _figure(one) for one in result.best.ratios}, engine=started.engine,
        model=started.model, run=run, at=int(time.time()),
        cost={"seconds": spent.seconds, "money": spent.cost,
              "tokens": spent.prompt_tokens + spent.reply_tokens},
    )  # fmt: skip
    # A run that was killed just here comes by once more.
    if all(one.run != run for one in library.results.of(meaning)):
        library.results.add(measured)
    lesson = lesson_of(started, result)
    library.results.learn(
        Lesson(started.goal.key, observed.workload, meaning, lesson.text, int(time.time()))
    )
    return Kept(title, _promoted(library, started, observed, name), lesson.text)


def _stored(library: Library, text: str, started: Started) -> tuple[str, str, str]:
    """Title, meaning and version of the policy in the repository."""
    source = Source.from_text("best.sched", text)
    try:
        kept = library.add(source, f"for: {started.goal.key} on {started.workload}").entry
    except RepositoryError as refused:
        if refused.diagnostic.code not in ("E1004", "E1005"):
            raise
        same = _same(library, source)
        if same is None:
            raise
        kept = same
    return kept.title, kept.meaning, kept.version


def _same(library: Library, source: Source) -> Entry | None:
    """The policy of the repository that means the same."""
    found = entry(source.raw, "mine")
    if not isinstance(found, Entry):
        return None
    return next((one for one in library.entries()[0] if one.meaning == found.meaning), None)


def _promoted(library: Library, started: Started, observed: Observed, name: str) -> bool:
    metric = started.goal.objectives[0].metric
    try:
        library.promote(name, started.goal.key, observed.workload, metric)
    except RepositoryError:
        return False
    return True


def _figure(one: Ratio) -> Figure:
    return Figure(one.median, one.other, (one.ratio, one.low, one.high), one.finding)


def lesson_of(started: Started, result: Result) -> Learned:
    """One sentence: what helped, by how much, and what did not."""
    best = result.best
    assert best is not None
    metric = started.goal.objectives[0].metric
    found = next(one for one in best.ratios if one.metric == metric)
    worse = [one.metric for one in best.ratios if one.finding == "worse"]
    price = f"; the price: {', '.join(worse[:3])}" if worse else ""
    return Learned(
        f"{best.candidate.how}: {metric} {found.ratio:.2f} of the default's on "
        f"{started.workload}{price}"
    )
