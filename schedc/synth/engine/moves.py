"""Changes of a policy's structure, one at a time.

Input: a policy's text, a goal, names of tasks that were observed. Output: changed texts, each with
what was done, in a fixed order: the kinds of change that may help the goal most first, one of each
kind in turn. Invariant: a change is an edit of the tree's own statements and comes out formatted;
whether it makes a policy that is sound, or better, is for the prover and the simulator to say, so
that a move may be wrong but never unsafe. Names that aren't plain make no move.

    favour    a class for tasks of one name, with a tunable share of time before the others
    begun     another key: who has run since it woke goes on, so that jobs end one by one
    least     another key: who has run less since it woke goes first
    slice     other lengths of slices
    preempt   a class ends the stint of the others when it wakes, or no longer does
    ladder    other rungs for idle cpus
    spread    a queue for the machine, each llc or each cpu
    limit     more or less of a `take … at most P%`
    age       the head of the last queue is served when it has waited long
    drift     the clock of a queue by virtual time gains on real time, or no longer does

A promise is left out where waits may grow: it was its author's, for the policy as it was. The
bound itself is proved anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import zip_longest
from typing import TypeVar

from schedc.records import dataclass
from schedc.source import Source, Span
from schedc.syntax import tree
from schedc.syntax.format import format_source
from schedc.syntax.parse import parse
from schedc.synth.goal import Goal

_PLAIN = re.compile(r"[A-Za-z0-9_.:-]{1,15}", re.ASCII)
_SHORT_SLICES = ("4ms", "8ms", "20ms")
_LONG_SLICES = ("100ms", "50ms", "200ms", "20ms")
_PERCENTS = (10, 20, 40, 60, 80)
_BATCH = ("makespan", "completion", "throughput", "energy")
"""Goals for which a long slice may be good."""

Move = tuple[str, str]
_Item = TypeVar("_Item")
_Made = Iterator[tuple[str | None, str]]


@dataclass(frozen=True, slots=True)
class _Text:
    """A policy's text with its statements."""

    text: str
    items: tuple[tree.Item, ...]

    def of(self, kind: type[_Item]) -> list[_Item]:
        return [item for item in self.items if isinstance(item, kind)]

    @property
    def dispatch(self) -> tree.Dispatch | None:
        return next(iter(self.of(tree.Dispatch)), None)

    def cut(self, span: Span) -> str:
        return self.text[span.start : span.end]

    def put(self, *edits: tuple[int, int, str], promise: bool = True) -> str | None:
        """The text with edits (start, end, new), formatted; None if it parses no more. `promise`:
        whether promises stay."""
        text = self.text
        gone = [] if promise else [
            (one.span.start, one.span.end, "") for one in self.of(tree.Promise)
        ]  # fmt: skip
        for start, end, new in sorted([*edits, *gone], reverse=True):
            text = text[:start] + new + text[end:]
        formatted, _ = format_source(Source.from_text("candidate.sched", text))
        return formatted


@dataclass(frozen=True, slots=True)
class _Wish:
    """What the changes are for: the goal's kind, and plain names, the most promising first."""

    kind: str
    names: tuple[str, ...]


def moves(text: str, goal: Goal, names: Iterable[str] = ()) -> Iterator[Move]:
    """Changed texts, each with what was done; those that may help most for the goal first.
    `names`: of tasks (comm), the most promising first; those that the goal names come before."""
    parsed, wrong = parse(Source.from_text("candidate.sched", text))
    if any(one.is_error for one in wrong) or any(
        isinstance(item, tree.Extends) for item in parsed.items
    ):
        return  # what is inherited can't be edited in place
    policy = _Text(text, parsed.items)
    plain = [name for name in (*goal.isolate, *names) if _PLAIN.fullmatch(name)]
    wish = _Wish(goal.kind, tuple(dict.fromkeys(plain)))
    seen = {text}
    for turn in zip_longest(*(kind(policy, wish) for kind in _ORDERS[goal.kind])):
        for move in turn:
            made, how = move if move is not None else (None, "")
            if made is not None and made not in seen:
                seen.add(made)
                yield made, how


# --- favour -------------------------------------------------------------------------------------


def _favour(policy: _Text, wish: _Wish) -> _Made:
    classes, dispatch = policy.of(tree.Class), policy.dispatch
    if not classes or dispatch is None or not policy.of(tree.Queue):
        return
    tunes = {item.name.text for item in policy.of(tree.Tune)}
    if "favour" in tunes or any(item.name.text == "favoured" for item in classes):
        return
    # One task that is always on some cpu needs 1/cpus of each; many need more. A narrow range
    # leaves the others enough for a proof where theirs takes long.
    shares = ["10% in 5%..60%", "40% in 5%..60%", "10% in 5%..25%"]
    if wish.kind not in _BATCH:
        shares = ["60% in 10%..60%", "25% in 10%..25%"]
    for share in shares:
        for name in wish.names:
            made = _favoured(policy, classes, dispatch, name, share)
            yield made, f"`{name}` goes first, for {share.replace(' in ', ' of the time, of ')}"


def _favoured(
    policy: _Text, classes: list[tree.Class], dispatch: tree.Dispatch, name: str, share: str
) -> str | None:
    """A class by task name in a queue of its own, above all lines but those with limits. It comes
    before the last class, so that kernel threads and pinned tasks stay what they are."""
    last, first = classes[-1], classes[0]
    rule = next((one for one in policy.of(tree.Enqueue) if one.cls.text == last.name.text), None)
    if rule is None:
        return None
    above = [
        one for one in dispatch.lines
        if isinstance(one, tree.Keep) or (isinstance(one, tree.Take) and one.every is not None)
    ]  # fmt: skip
    at = above[-1].span.end if above else dispatch.lines[0].span.start
    queue = policy.of(tree.Queue)[0].span.start
    place = last if last is not first else first
    return policy.put(
        (queue, queue, f'tune favour = {share} "time of a cpu that is theirs"\n'
                       "queue favoured fifo\n"),
        (place.span.start, place.span.start, f'class favoured when comm "{name}"\n'),
        (rule.span.start, rule.span.start,
         f"enqueue favoured to favoured slice 4ms preempt {last.name.text} when ran >= 1ms\n"),
        (at, at, "\n  take favoured at most tune.favour every 200ms\n  "),
        promise=False,
    )  # fmt: skip


# --- keys ---------------------------------------------------------------------------------------


def _begun(policy: _Text, wish: _Wish) -> _Made:
    yield from _rekeyed(policy, "-", "who has begun goes on")


def _least(policy: _Text, wish: _Wish) -> _Made:
    yield from _rekeyed(policy, "+", "who has run least goes first")


def _rekeyed(policy: _Text, sign: str, how: str) -> _Made:
    """The time since a task woke moves its key; a queue in order of arrival gets keys."""
    if any(one.name.text == "pull" for one in policy.of(tree.Tune)):
        return
    dispatch = policy.dispatch
    lines = dispatch.lines if dispatch is not None else ()
    aged = {one.queue.text for one in lines
            if isinstance(one, tree.Take) and one.after is not None}
    for queue in policy.of(tree.Queue):
        name = queue.name.text
        rules = [one for one in policy.of(tree.Enqueue) if one.queue.text == name]
        if queue.domain in ("cpu", "cgroup") or name in aged or not rules:
            continue
        moved = f"{sign} tune.pull * min(burst, 40ms)"
        start = queue.span.start
        edits = [(start, start, 'tune pull = 8 in 1..16 "how far what it ran moves its key"\n')]
        if queue.order == "fifo":
            window = "-640ms..0ms" if sign == "-" else "0ms..640ms"
            words = policy.cut(queue.span).replace("fifo", f"by moment within {window}", 1)
            edits.append((queue.span.start, queue.span.end, words))
            edits += [(one.queue.span.end, one.queue.span.end, f" key now {moved}")
                      for one in rules]
        else:
            edits += [(one.key.span.end, one.key.span.end, f" {moved}")
                      for one in rules if one.key is not None]
        yield policy.put(*edits, promise=False), f"`{name}`: {how}"


def _drift(policy: _Text, wish: _Wish) -> _Made:
    for queue in policy.of(tree.Queue):
        if queue.order != "vtime":
            continue
        words = policy.cut(queue.span)
        if queue.drift is None:
            new = re.sub(r"(\.\.\s*-?\w+)", r"\1 drift 1/64", words, count=1)
            how = "gains 1/64 of real time"
        else:
            new = re.sub(r"\s+drift\s+\d+\s*/\s*\d+", "", words)
            how = "is that of work alone"
        yield policy.put((queue.span.start, queue.span.end, new)), f"`{queue.name.text}` {how}"


# --- slices and stints --------------------------------------------------------------------------


def _slice(policy: _Text, wish: _Wish) -> _Made:
    """Other lengths of slices."""
    rules = policy.of(tree.Enqueue)
    lengths = _LONG_SLICES if wish.kind in _BATCH else _SHORT_SLICES
    for length in lengths:
        for rule in reversed(rules):
            if not isinstance(rule.slice, tree.Slice):
                continue
            value = rule.slice.value
            if length != policy.cut(value.span):
                edit = (value.span.start, value.span.end, length)
                yield policy.put(edit, promise=False), f"slices of `{rule.cls.text}` {length}"


def _preempt(policy: _Text, wish: _Wish) -> _Made:
    """A class ends the stint of the last, or does so no more."""
    rules = policy.of(tree.Enqueue)
    for rule in rules:
        name = rule.cls.text
        if rule.preempt is not None:
            span = rule.preempt.span
            yield policy.put((span.start, span.end, "")), f"`{name}` no longer preempts"
        elif len(rules) > 1 and rule is not rules[-1]:
            victim = rules[-1].cls.text
            at = rule.perf.span.start if rule.perf is not None else rule.span.end
            made = policy.put((at, at, f" preempt {victim} when ran >= 1ms "))
            yield made, f"`{name}` preempts `{victim}`"


# --- cpus and queues ----------------------------------------------------------------------------


def _ladder(policy: _Text, wish: _Wish) -> _Made:
    """Whole idle cores first or not; nearness before or after."""
    for place in policy.of(tree.Place):
        if not place.rungs:
            continue
        start, end = place.rungs[0].span.start, place.rungs[-1].span.end
        for rungs, how in (
            ("idle prev\n idle anywhere", "any idle cpu after the last one"),
            ("idle core in llc\n idle prev\n idle in llc\n idle anywhere", "idle cores first"),
            ("idle prev\n idle in llc\n idle anywhere", "idle cpus near first, cores or not"),
            ("idle core anywhere\n idle prev\n idle anywhere", "idle cores anywhere first"),
        ):
            yield policy.put((start, end, rungs)), how


_DOMAIN = re.compile(r"\s+per\s+(cpu|llc|node|cgroup)\b")


def _spread(policy: _Text, wish: _Wish) -> _Made:
    """A queue for the whole machine, each llc, or each cpu; stolen where there are several."""
    dispatch = policy.dispatch
    if dispatch is None:
        return
    for queue in policy.of(tree.Queue):
        if queue.domain == "cgroup":
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


def _limit(policy: _Text, wish: _Wish) -> _Made:
    """More or less time for a line above others."""
    for line in policy.dispatch.lines if policy.dispatch is not None else ():
        if not isinstance(line, tree.Take) or not isinstance(line.at_most, tree.Number):
            continue
        span = line.at_most.span
        words = policy.cut(span)
        for percent in _PERCENTS if words.endswith("%") else ():
            if f"{percent}%" != words:
                yield (policy.put((span.start, span.end, f"{percent}%")),
                       f"`{line.queue.text}` at most {percent}%")


def _age(policy: _Text, wish: _Wish) -> _Made:
    """A tenth of the time is for whoever waits long at the end of the last queue."""
    dispatch = policy.dispatch
    takes = [one for one in dispatch.lines if isinstance(one, tree.Take)] if dispatch else []
    if len(takes) < 2 or any(one.after is not None for one in takes):
        return
    name = takes[-1].queue.text
    at = takes[0].span.start
    if any(one.name.text == name and one.order == "fifo" for one in policy.of(tree.Queue)):
        for after in ("100ms", "400ms"):
            line = f"take {name} after {after} at most 10% every 100ms\n  "
            yield policy.put((at, at, line)), f"`{name}` is served when it waited {after}"


_Kind = Callable[[_Text, _Wish], _Made]
_ORDERS: Mapping[str, tuple[_Kind, ...]] = {
    "latency": (_favour, _least, _preempt, _limit, _ladder, _slice, _spread, _drift, _age),
    "throughput": (_slice, _ladder, _favour, _spread, _begun, _preempt, _limit, _drift, _age),
    "makespan": (_favour, _slice, _begun, _ladder, _spread, _limit, _preempt, _drift, _age),
    "completion": (_begun, _slice, _least, _favour, _ladder, _spread, _limit, _preempt, _drift),
    "fairness": (_drift, _slice, _spread, _least, _limit, _age, _ladder, _preempt, _favour),
    "energy": (_slice, _ladder, _spread, _begun, _preempt, _limit, _drift),
}
"""The kinds of change for each kind of goal, the most promising first."""
