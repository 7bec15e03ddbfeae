"""The model engine: asks, compiles, tells what came of it, and asks again.

Input: a state, an endpoint. Output: rounds of one proposal each. Invariant: an answer is in the
journal before it is used, under the hash of its question and its number, so no answer is paid for
twice; a reply is only ever a policy's text or nothing.
"""

from __future__ import annotations

from schedc.synth.engine import Outcome, Proposal, Rounds, State
from schedc.synth.engine.llm import prompt
from schedc.synth.engine.llm.endpoint import Endpoint, Request, Turn
from schedc.synth.engine.llm.reply import NoPolicy, policy_of
from schedc.synth.journal import Journal, step_key
from schedc.synth.messages import Answered

_MOST_TURNS = 6
"""The first question and so many of the last turns: what was tried long ago costs tokens."""


class LlmEngine:
    """`name` and `model` as `Engine` wants them."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.name = "llm"
        self.model = endpoint.access.model
        self.endpoint = endpoint

    def rounds(self, state: State) -> Rounds:
        """See the module. What was stored for such a goal is tried first, at no model call."""
        stored = tuple(
            Proposal(one.text, f"{one.name}, used again", final=True)
            for one in state.planned.choices if one.how == "reuse"
        )
        if stored:
            outcomes = yield stored
            if any(one.improves(state.goal) for one in outcomes):
                return
        first = prompt.first(state)
        turns: list[Turn] = []
        best: Outcome | None = None
        number = 0
        while True:
            number += 1
            shown = (Turn("user", first), *turns[-_MOST_TURNS:])
            asked = Request(prompt.system(True), shown, prompt.grammar())
            answer = self._answer(state.journal, asked, number)
            turns.append(Turn("assistant", answer.text))
            try:
                text = policy_of(answer.text)
            except NoPolicy as why:
                turns.append(Turn("user", prompt.no_policy([str(why)])))
                yield ()
                continue
            (outcome,) = yield (Proposal(text, f"written by {self.model}", final=True),)
            best = outcome if outcome.best else best
            turns.append(Turn("user", prompt.feedback(state, outcome, best)))

    def _answer(self, journal: Journal, request: Request, number: int) -> Answered:
        name = step_key("ask", number, request.system, *(one.text for one in request.turns))
        # An answer was paid for: should its question be another one now (by another version of the
        # prompt), it is not asked again behind the user's back.
        recorded = [one for one in journal if isinstance(one, Answered)]
        if number <= len(recorded) and not journal.knows(name):
            raise journal.diverged(f"question {number}")
        return journal.once(name, Answered, lambda: self.endpoint.ask(request, name))
