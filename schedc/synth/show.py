"""What a run of synthesis looks like to a person.

Input: messages and outcomes. Output: lines of text. Invariant: texts of others (names, replies) are
made visible before they are shown; a figure never stands without its interval.
"""

from __future__ import annotations

from collections.abc import Iterator

from schedc.diagnostics.render.visible import visible
from schedc.synth.engine import Outcome
from schedc.synth.goal import Goal, unit_of
from schedc.synth.messages import Observed, Planned, Ratio, Tried
from schedc.synth.observe import time
from schedc.synth.run import Finished

_MOST_CHOICES = 5


def goal_lines(goal: Goal) -> Iterator[str]:
    """The goal as it was understood."""
    words = {"min": "as small as can be", "max": "as large as can be"}
    yield "goal"
    for number, one in enumerate(goal.objectives):
        first = "" if number == 0 else "then, to break a tie: "
        yield f"  {first}{one.metric} {words[one.direction]}"
    for constraint in goal.constraints:
        yield f"  keeping {constraint}"
    if goal.isolate:
        yield f"  tasks kept from the others: {', '.join(map(visible, goal.isolate))}"


def observed_lines(observed: Observed) -> Iterator[str]:
    """What the work is."""
    yield f"work: {observed.workload}"
    for trait in observed.traits:
        yield f"  {visible(trait.text)}"


def planned_lines(planned: Planned) -> Iterator[str]:
    """Where the run begins."""
    yield f"plan: {planned.reason}"
    for one in planned.choices[:_MOST_CHOICES]:
        name = f"{one.how} {one.name}".strip()
        yield f"  {visible(name)}: {visible(one.reason)}"
    more = len(planned.choices) - _MOST_CHOICES
    if more > 0:
        yield f"  and {more} more"


def outcome_line(metric: str, outcome: Outcome, best: Outcome | None) -> str:
    """One candidate: what it is, what came of it."""
    number = f"{outcome.candidate.number:4}"
    how = visible(outcome.candidate.how)[:70]
    if outcome.judged.verdict != "proved":
        said = next((line for line in outcome.judged.said.splitlines() if line), "")
        return f"{number} {outcome.judged.verdict:9} {how}  {visible(said)[:90]}"
    if outcome.simulated is None or outcome.simulated.void:
        why = visible(outcome.simulated.void)[:90] if outcome.simulated is not None else ""
        return f"{number} {'void':9} {how}  {why}"
    found = next((one for one in outcome.ratios if one.metric == metric), None)
    figure = ratio_text(found) if found is not None else "not measured"
    mark = "best " if outcome.best else ("" if outcome.met else "breaks a constraint ")
    so_far = "" if best is None or outcome.best else f" (best {best.score:.3f})"
    return f"{number} {'proved':9} {how}  {mark}{figure}{so_far}"


def ratio_text(one: Ratio) -> str:
    """`0.50 [0.45..0.55] of the default's`."""
    return f"{one.ratio:.3f} [{one.low:.3f}..{one.high:.3f}] of the default's"


def value_text(metric: str, value: float) -> str:
    """A figure with its unit."""
    unit = unit_of(metric)
    if unit == "ns" or metric == "longest_wait":
        return time(value)
    return f"{value:.4g}{'' if not unit or unit == 'share' else ' ' + unit}"


def table(ratios: tuple[Ratio, ...]) -> Iterator[str]:
    """All metrics against the default scheduler."""
    yield f"  {'metric':20} {'default':>12} {'policy':>12}  ratio and its interval"
    for one in ratios:
        yield (
            f"  {one.metric:20} {value_text(one.metric, one.other):>12} "
            f"{value_text(one.metric, one.median):>12}  {one.ratio:.3f} "
            f"[{one.low:.3f}..{one.high:.3f}] {one.finding}"
        )


def finished_lines(done: Finished) -> Iterator[str]:
    """How a run ended."""
    result, spent = done.result, done.result.spent
    yield f"ended: {result.reason}"
    if result.best is None:
        yield "no candidate was proved and measured"
    else:
        best = result.best
        verdict = "better than the default beyond noise" if result.improved else (
            "not shown to be better than the default")
        yield f"best: candidate {best.candidate.number}, {visible(best.candidate.how)}: {verdict}"
        waits = ", ".join(f"{name} {time(wait)}" for name, wait in best.judged.bounds.items())
        yield f"proved: no task waits longer than {waits}"
        yield f"simulated, {len(best.simulated.seeds) if best.simulated else 0} runs of each:"
        yield from table(best.ratios)
    if done.kept is not None:
        promoted = ", the best known one for this goal" if done.kept.promoted else ""
        yield f"kept: {done.kept.title}{promoted}"
    tokens = spent.prompt_tokens + spent.reply_tokens
    money = f", {tokens} tokens, {spent.cost:.4f} of money" if tokens else ", no model asked"
    yield f"cost: {spent.seconds:.1f} s, {spent.rounds} rounds{money}"
    yield f"run: {done.folder}"


def tried_lines(tried: Tried) -> Iterator[str]:
    """What a real kernel says."""
    yield f"on a real kernel ({tried.where}): {tried.verdict}: {visible(tried.why)}"
    yield from table(tried.ratios)
