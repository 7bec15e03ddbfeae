"""A recorded run as one self-contained page.

Input: the messages of a journal. Output: HTML. Invariant: every text is escaped; nothing is loaded
from elsewhere, and the page says so to the browser (a content security policy).
"""

from __future__ import annotations

from collections.abc import Sequence

from schedc.data import read_data
from schedc.synth.goal import Goal
from schedc.synth.messages import Candidate, Ended, Message, Simulated, Started
from schedc.synth.story import lines


def page(name: str, messages: Sequence[Message]) -> str:
    """The page of a run."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    template = environment.from_string(read_data("backends/sim/report/synth.html.j2"))
    started = next((one for one in messages if isinstance(one, Started)), None)
    ended = next((one for one in messages if isinstance(one, Ended)), None)
    goal = started.goal if started is not None else None
    best = ended.best if ended is not None else 0
    text = next(
        (one.text for one in messages if isinstance(one, Candidate) and one.number == best), ""
    )
    rendered: str = template.render(
        name=name, goal=goal.key if goal is not None else "", policy=text,
        points=_points(messages, goal), lines=list(lines(messages)),
        ended=ended.reason if ended is not None else "not ended",
    )  # fmt: skip
    return rendered


def _points(messages: Sequence[Message], goal: Goal | None) -> list[tuple[float, float]]:
    """The goal's figure of each simulated scheduler in order, in 0..100 of the drawing: x, y."""
    if goal is None:
        return []
    metric = goal.objectives[0].metric
    medians = [
        sorted(one.values[metric])[len(one.values[metric]) // 2]
        for one in messages
        if isinstance(one, Simulated) and one.values.get(metric)
    ]
    top = max(medians, default=0.0)
    if top <= 0:
        return []
    width = max(len(medians) - 1, 1)
    return [(100 * i / width, 100 - 100 * value / top) for i, value in enumerate(medians)]
