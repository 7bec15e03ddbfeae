"""A recorded run, told from its messages.

Input: the messages of a journal. Output: lines. Invariant: nothing is computed anew but ratios of
figures that stand in the messages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from schedc.diagnostics.render.visible import visible
from schedc.synth.messages import (
    Answered,
    Best,
    Candidate,
    Ended,
    Judged,
    Learned,
    Message,
    Observed,
    Planned,
    Profiled,
    Simulated,
    Started,
    Tried,
    Turn,
)
from schedc.synth.show import goal_lines, observed_lines, planned_lines, tried_lines


def lines(messages: Sequence[Message]) -> Iterator[str]:
    """The run as text."""
    texts: dict[int, Candidate] = {}
    for message in messages:
        yield from _lines(message, texts)


def _lines(message: Message, texts: dict[int, Candidate]) -> Iterator[str]:
    match message:
        case Started():
            yield from goal_lines(message.goal)
            model = f" ({message.model})" if message.model else ""
            yield f"engine: {message.engine}{model}, seed {message.seed}, schedc {message.version}"
        case Profiled():
            yield (f"profile: {message.seconds:.3g} s by {visible(message.collector)}, "
                   f"{message.cpus} cpus, {message.busy:.2f} of them busy")
        case Observed():
            yield from observed_lines(message)
        case Planned():
            yield from planned_lines(message)
        case Turn(number=number, go=True):
            yield f"round {number}"
        case Turn(reason=reason):
            yield f"no further round: {reason}"
        case Answered():
            yield (f"  the model answered by {message.rung}: {message.prompt_tokens} tokens in, "
                   f"{message.reply_tokens} out")
        case Candidate():
            texts[message.number] = message
            yield f"  candidate {message.number}: {visible(message.how)[:90]}"
        case Judged(verdict=verdict, said=said):
            first = next((line for line in said.splitlines() if line), "")
            yield f"    {verdict}{': ' + visible(first)[:90] if first else ''}"
        case Simulated(void=void) if void:
            yield f"    void: {visible(void)[:90]}"
        case Simulated():
            yield f"    simulated with {len(message.seeds)} seeds"
        case Best():
            yield f"  best: candidate {message.number}: {message.reason}"
        case Tried():
            yield from tried_lines(message)
        case Learned():
            yield f"learned: {visible(message.text)}"
        case Ended():
            yield f"ended: {message.reason}"
            if message.best in texts:
                yield ""
                yield texts[message.best].text.rstrip()
