"""The functions that the callbacks call, made once and in an order in which each can be defined.

Input: a `Context`. Output: `Makings`.
"""

from __future__ import annotations

from dataclasses import dataclass

from schedc.emit import queueing, rounds
from schedc.emit.context import Context
from schedc.emit.events import event_handlers, wakes
from schedc.emit.functions import Function, mentions
from schedc.emit.placing import is_placed, places


@dataclass(frozen=True, slots=True)
class Makings:
    """`rules`: for each class the function that inserts its tasks, last, after those that only it
    calls. `placing`: whether any class is placed."""

    handlers: dict[str, Function]
    wakes: Function | None
    windows: dict[str, Function]
    classify: Function
    slices: Function
    place: Function
    placing: bool
    admit: Function
    rules: list[list[Function]]
    searches: list[Function]

    @property
    def functions(self) -> list[Function]:
        """All of them, each after those that it calls."""
        made = [*self.handlers.values(), *([self.wakes] if self.wakes is not None else [])]
        made += [*self.windows.values(), self.classify, self.slices, self.place, self.admit]
        made += [each for rule in self.rules for each in rule]
        return list({each.name: each for each in [*made, *self.searches] if each.text}.values())


def make(ctx: Context) -> Makings:
    """Everything that the policy's callbacks may call."""
    handlers = event_handlers(ctx)
    window = queueing.windows(ctx)
    slices = queueing.slices(ctx)
    return Makings(
        handlers=handlers,
        wakes=wakes(ctx, handlers),
        windows=window,
        classify=queueing.classify(ctx),
        slices=slices,
        place=places(ctx),
        placing=any(is_placed(ctx, cls) for cls in ctx.policy.classes),
        admit=queueing.admission(ctx, handlers, window, slices),
        rules=queueing.enqueue_rules(ctx, window),
        searches=rounds.searches(ctx),
    )


def called(functions: list[Function], text: str) -> str:
    """Definitions of those functions that `text`, or one of them, calls."""
    kept: list[str] = []
    for each in reversed(functions):
        if each.text and mentions(text, each.name):
            kept.append(each.text)
            text += each.text
    return "\n".join(reversed(kept))
