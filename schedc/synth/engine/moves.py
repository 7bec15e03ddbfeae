"""Changes of a policy's structure, one at a time.

Input: a policy's text, a goal, names of tasks that were observed. Output: changed texts, each with
what was done, in a fixed order. Invariant: a change is an edit of the tree's own statements and
comes out formatted; whether it makes a policy that is sound, or better, is for the prover and the
simulator to say, so that a move may be wrong but never unsafe. Names that aren't plain make no
move.

    favour    a class for tasks of one name, with a share of time before the others
    spread    a queue for the machine, each llc or each cpu
    ladder    other rungs for idle cpus
    limit     more or less of a `take … at most P%`
    slice     other lengths where they are written as numbers
    preempt   a class ends the stint of the others when it wakes, or no longer does
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from schedc.records import dataclass
from schedc.source import Source, Span
from schedc.syntax import tree
from schedc.syntax.format import format_source
from schedc.syntax.parse import parse
from schedc.synth.goal import Goal

_PLAIN = re.compile(r"[A-Za-z0-9_.:-]{1,15}", re.ASCII)
_MACHINE = "machine"
_SLICES = ("4ms", "8ms", "20ms")
_PERCENTS = (10, 20, 40, 60, 80)

Move = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Text:
    """A policy's text with its statements."""

    text: str
    items: tuple[tree.Item, ...]

    def of(self, kind: type) -> list[tree.Item]:
        return [item for item in self.items if isinstance(item, kind)]

    def cut(self, span: Span) -> str:
        return self.text[span.start : span.end]

    def put(self, *edits: tuple[int, int, str]) -> str | None:
        """The text with edits (start, end, new), formatted; None if it parses no more."""
        text = self.text
        for start, end, new in sorted(edits, reverse=True):
            text = text[:start] + new + text[end:]
        formatted, _ = format_source(Source.from_text("candidate.sched", text))
        return formatted


def moves(text: str, goal: Goal, names: Iterable[str] = ()) -> Iterator[Move]:
    """Changed texts, each with what was done; those that may help most for the goal first."""
    parsed, wrong = parse(Source.from_text("candidate.sched", text))
    if any(one.is_error for one in wrong) or any(
        isinstance(item, tree.Extends) for item in parsed.items
    ):
        return  # what is inherited can't be edited in place
    policy = _Text(text, parsed.items)
    plain = [name for name in names if _PLAIN.fullmatch(name) and name != _MACHINE]
    wanted = [*(name for name in goal.isolate if _PLAIN.fullmatch(name)), *plain]
    for made, how in _all(policy, list(dict.fromkeys(wanted))):
        if made is not None and made != text:
            yield made, how


def _all(policy: _Text, names: list[str]) -> Iterator[tuple[str | None, str]]:
    yield from _favour(policy, names)
    yield from _preempt(policy)
    yield from _ladder(policy)
    yield from _spread(policy)
    yield from _limit(policy)
    yield from _slice(policy)


# --- favour -------------------------------------------------------------------------------------


def _favour(policy: _Text, names: list[str]) -> Iterator[tuple[str | None, str]]:
    classes = [item for item in policy.of(tree.Class) if isinstance(item, tree.Class)]
    dispatch = next(iter(policy.of(tree.Dispatch)), None)
    taken = {item.name.text for item in classes}
    if not classes or not isinstance(dispatch, tree.Dispatch) or "favoured" in taken:
        return
    for name in names:
        for percent, slice_ in ((60, "4ms"), (70, "20ms")):
            made = _favoured(policy, classes, dispatch, name, percent, slice_)
            yield made, f"`{name}` goes first, at most {percent}% of the time"


def _favoured(
    policy: _Text, classes: list[tree.Class], dispatch: tree.Dispatch, name: str, percent: int,
    slice_: str,
) -> str | None:  # fmt: skip
    """A class by task name in a queue of its own, above all lines but those of pinned tasks."""
    last, first = classes[-1], classes[0]
    first_queue = next(iter(policy.of(tree.Queue)))
    enqueue = next(
        (item for item in policy.of(tree.Enqueue)
         if isinstance(item, tree.Enqueue) and item.cls.text == last.name.text), None
    )  # fmt: skip
    if enqueue is None:
        return None
    before = [line for line in dispatch.lines if isinstance(line, tree.Keep | tree.Take)]
    limited = [one for one in before if isinstance(one, tree.Keep) or one.every is not None]
    at = limited[-1].span.end if limited else dispatch.lines[0].span.start
    preempts = last.name.text if last is not first or len(classes) == 1 else ""
    preempt = f" preempt {preempts} when ran >= 1ms" if preempts else ""
    return policy.put(
        (first_queue.span.start, first_queue.span.start, "queue favoured fifo\n"),
        (last.span.start, last.span.start, f'class favoured when comm "{name}"\n'),
        (enqueue.span.start, enqueue.span.start,
         f"enqueue favoured to favoured slice {slice_}{preempt}\n"),
        (at, at, f"\n  take favoured at most {percent}% every 200ms\n  "),
    )  # fmt: skip


# --- the others ---------------------------------------------------------------------------------


def _preempt(policy: _Text) -> Iterator[tuple[str | None, str]]:
    """The first class of behaviour ends the stint of the last, or does so no more."""
    rules = [item for item in policy.of(tree.Enqueue) if isinstance(item, tree.Enqueue)]
    for rule in rules:
        name = rule.cls.text
        if rule.preempt is not None:
            span = rule.preempt.span
            yield policy.put((span.start, span.end, "")), f"`{name}` no longer preempts"
        elif len(rules) > 1 and rule is not rules[-1]:
            victim = rules[-1].cls.text
            made = policy.put(
                (rule.span.end, rule.span.end, f" preempt {victim} when ran >= 1ms")
            )
            yield made, f"`{name}` preempts `{victim}`"


def _ladder(policy: _Text) -> Iterator[tuple[str | None, str]]:
    """Whole idle cores first or not; nearness before or after."""
    for place in policy.of(tree.Place):
        if not isinstance(place, tree.Place) or not place.rungs:
            continue
        start, end = place.rungs[0].span.start, place.rungs[-1].span.end
        for rungs, how in (
            ("idle prev\n idle anywhere", "any idle cpu after the last one"),
            ("idle prev\n idle in llc\n idle anywhere", "idle cpus near first, cores or not"),
            ("idle core in llc\n idle prev\n idle in llc\n idle anywhere", "idle cores first"),
            ("idle prev\n idle core anywhere\n idle anywhere", "idle cores anywhere"),
        ):
            yield policy.put((start, end, rungs)), how


_DOMAIN = re.compile(r"\s+per\s+(cpu|llc|node|cgroup)\b")


def _spread(policy: _Text) -> Iterator[tuple[str | None, str]]:
    """A queue for the whole machine, each llc, or each cpu; stolen where there are several."""
    dispatch = next(iter(policy.of(tree.Dispatch)), None)
    if not isinstance(dispatch, tree.Dispatch):
        return
    for queue in policy.of(tree.Queue):
        if not isinstance(queue, tree.Queue) or queue.domain == "cgroup":
            continue
        name, words = queue.name.text, policy.cut(queue.span)
        steals = [one for one in dispatch.lines
                  if isinstance(one, tree.Steal) and one.queue.text == name]
        for domain in ("machine", "llc", "cpu"):
            if domain == queue.domain:
                continue
            plain = _DOMAIN.sub("", words)
            new = plain if domain == "machine" else f"{plain} per {domain}"
            edits = [(queue.span.start, queue.span.end, new)]
            if domain == "machine":
                edits += [(one.span.start, one.span.end, "") for one in steals]
            elif not steals:
                end = dispatch.lines[-1].span.end
                edits.append((end, end, f"\n  steal {name}"))
            yield policy.put(*edits), f"queue `{name}` per {domain}"


def _limit(policy: _Text) -> Iterator[tuple[str | None, str]]:
    """More or less time for a line above others."""
    for dispatch in policy.of(tree.Dispatch):
        assert isinstance(dispatch, tree.Dispatch)
        for line in dispatch.lines:
            if not isinstance(line, tree.Take) or not isinstance(line.at_most, tree.Number):
                continue
            words = policy.cut(line.at_most.span)
            if not words.endswith("%"):
                continue
            for percent in _PERCENTS:
                if f"{percent}%" != words:
                    span = line.at_most.span
                    yield (policy.put((span.start, span.end, f"{percent}%")),
                           f"`{line.queue.text}` at most {percent}%")


def _slice(policy: _Text) -> Iterator[tuple[str | None, str]]:
    """Other lengths of slices that are numbers."""
    for rule in policy.of(tree.Enqueue):
        if not isinstance(rule, tree.Enqueue) or not isinstance(rule.slice, tree.Slice):
            continue
        value = rule.slice.value
        if not isinstance(value, tree.Number):
            continue
        for length in _SLICES:
            if length != policy.cut(value.span):
                yield (policy.put((value.span.start, value.span.end, length)),
                       f"slices of `{rule.cls.text}` {length}")
