"""The functions that the callbacks call, made once and in an order in which each can be defined.

Input: a `Context`. Output: `Makings`.
"""

from __future__ import annotations

from schedc.emit import dispatching, queueing, rounds, standing
from schedc.emit.context import Context
from schedc.emit.events import event_handlers, wakes
from schedc.emit.functions import SCOPES, Function, declare, function, mentions
from schedc.emit.placing import is_placed, places
from schedc.records import dataclass


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
    settle: Function | None
    stint_over: Function | None
    keys: list[Function]
    keep_running: Function
    keep_conditions: list[Function]
    searches: list[Function]

    @property
    def functions(self) -> list[Function]:
        """All of them, each after those that it calls."""
        made = [*self.handlers.values(), *([self.wakes] if self.wakes is not None else [])]
        made += [*self.windows.values(), self.classify, self.slices, self.place, self.admit]
        made += [each for rule in self.rules for each in rule]
        made += [each for each in (self.settle, self.stint_over) if each is not None]
        made += [*self.keys, self.keep_running, *self.keep_conditions]
        return list({each.name: each for each in [*made, *self.searches] if each.text}.values())


def make(ctx: Context) -> Makings:
    """Everything that the policy's callbacks may call."""
    handlers = event_handlers(ctx)
    window = queueing.windows(ctx)
    slices = queueing.slices(ctx)
    classify = queueing.classify(ctx)
    settle = dispatching.settle(ctx)
    settles = settle is not None
    ends = standing.ends_stints(ctx, handlers, settles)
    return Makings(
        handlers=handlers,
        wakes=wakes(ctx, handlers),
        windows=window,
        classify=classify,
        slices=slices,
        place=places(ctx),
        placing=any(is_placed(ctx, cls) for cls in ctx.policy.classes),
        admit=queueing.admission(ctx, handlers, window, slices),
        rules=queueing.enqueue_rules(ctx, window),
        settle=settle,
        stint_over=standing.stint_over(ctx, handlers, classify, settles),
        keys=standing.keys(ctx, classify, window),
        keep_running=standing.keep_running(ctx, classify, slices, window, ends),
        keep_conditions=_keep_conditions(ctx),
        searches=rounds.searches(ctx),
    )


def _keep_conditions(ctx: Context) -> list[Function]:
    """`keep_N`: the condition of a `keep` line, over the previous task and the stint that ended."""
    made = []
    given = ("p", "cpu", "c", "now")
    about = "Whether the task that ran until now goes on."
    for number, line in enumerate(ctx.needs.keeps):
        condition = ctx.print(line.when, stint=True)
        body = ["\ts64 ran = c->ran;"] if mentions(condition, "ran") else []
        body += ctx.mark(line.span, [f"\treturn {condition};"])
        text = declare("\n".join(body), ", ".join(given), "false").split("\n")
        name = f"keep_{number}"
        made.append(function(name, "bool", text, given=(*given, *SCOPES), about=about))
    return made


def called(functions: list[Function], text: str) -> str:
    """Definitions of those functions that `text`, or one of them, calls."""
    kept: list[str] = []
    for each in reversed(functions):
        if each.text and mentions(text, each.name):
            kept.append(each.text)
            text += each.text
    return "\n".join(reversed(kept))
