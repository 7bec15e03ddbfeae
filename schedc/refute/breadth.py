"""Breadth-first search over what an environment may do, for starvation that no script foresees.

Input: a `Program`, the victim's profile and the competitors'. Output: a `Finding`: a play that ends
with a turn which leads back to the form it began with while the victim waits; or None. Invariant:
at most `most` states and `_DEPTH` dispatches, `_BEFORE` of them before the victim comes; states of
one normal form are looked at once; the order of actions is fixed, so the first turn found is always
the same.

It begins with a competitor on each cpu. What may be done in each state: the victim or another
competitor comes (at most `_TASKS` tasks); one that sleeps wakes; a stint ends, after the least
charge or at its slice's end, by its slice, by sleep, by a yield, or by a fork and an exit. In no
state that is kept has the victim run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from typing import NamedTuple

from schedc.ir.nodes import CHARGE_MIN_NS, KEEP_SLICE_NS
from schedc.model import Illegal, Program
from schedc.model.state import FOREVER
from schedc.model.world import Profile
from schedc.prove.parameters import Parameters
from schedc.refute.play import Play
from schedc.refute.scenario import VICTIM

_NODES = 1_500
_DEPTH, _BEFORE = 12, 2
_TASKS = 5
_NAMES = "abcd"

Action = Callable[[Play], None]


class Node(NamedTuple):
    """A state, and how it was reached. `since`: steps before the victim waited, 0 if it has not
    come."""

    play: Play
    depth: int
    since: int
    form: Hashable
    parent: Node | None


class Finding(NamedTuple):
    """`turn`: how many steps at the end of the play lead back."""

    play: Play
    since: int
    turn: int


def search(
    program: Program,
    parameters: Parameters,
    profiles: tuple[Profile, ...],
    most: int = _NODES,
) -> Finding | None:
    """`profiles[0]` is the victim's, the others the competitors', one for each cpu."""
    start = Play(program, parameters, profiles)
    for name, profile in zip(_NAMES, range(1, len(profiles)), strict=False):
        _fork(name, profile, profiles)(start)
    nodes: deque[Node] = deque([Node(start, 0, 0, None, None)])
    seen: set[Hashable] = set()
    made = 0
    while nodes and made < most:
        node = nodes.popleft()
        for action, ends in _actions(node, profiles):
            play = node.play.copy()
            made += 1
            try:
                action(play)
            except Illegal:
                continue
            child = _child(node, play, ends)
            if child is None:
                continue
            turn = _leads_back(child)
            if turn:
                return Finding(play, child.since, turn)
            if child.form not in seen and child.depth < _DEPTH:
                seen.add(child.form)
                nodes.append(child)
    return None


def _child(node: Node, play: Play, ends: int) -> Node | None:
    """The next state; None if the victim runs, or left without waiting."""
    since = node.since
    if VICTIM in play.number:
        if not play.waits(VICTIM):
            return None
        since = since or len(play.steps)
    number = play.number.get(VICTIM)
    return Node(play, node.depth + ends, since, play.machine.normal_form(number), node)


def _leads_back(child: Node) -> int:
    """How many steps ago the same form was seen on this path while the victim waited; else 0."""
    if not child.since:
        return 0
    before = child.parent
    while before is not None and before.since:
        if before.form == child.form and before.play.now < child.play.now:
            return len(child.play.steps) - len(before.play.steps)
        before = before.parent
    return 0


def _actions(node: Node, profiles: tuple[Profile, ...]) -> Iterator[tuple[Action, int]]:
    """(what to do, dispatches that it causes), in a fixed order."""
    play, machine = node.play, node.play.machine
    for cpu in range(len(machine.cpus)):
        name = play.runs(cpu)
        if name and name != VICTIM and (node.since or node.depth < _BEFORE):
            yield from _ends(play, cpu, name, profiles)
    for name in sorted(play.number):
        if name != VICTIM and play.asleep(name):
            yield _wake(name), 0
    if VICTIM not in play.number:
        yield _fork(VICTIM, 0, profiles), 0
    came = [name for name in _NAMES if name in play.number or f"{name}'" in play.number]
    if len(came) < len(_NAMES) and len(came) < _TASKS - 1:
        yield _fork(_NAMES[len(came)], 1 + len(came) % (len(profiles) - 1), profiles), 0


def _ends(
    play: Play, cpu: int, name: str, profiles: tuple[Profile, ...]
) -> Iterator[tuple[Action, int]]:
    whole = play.machine.slice_end(cpu)
    if whole >= FOREVER:  # no slice: it ends when a timer says so, if others wait
        whole = min(play.machine.deadline(cpu), play.now + KEEP_SLICE_NS)
    whole = max(whole, play.now)
    brief = min(play.now + CHARGE_MIN_NS, whole)
    yield _end(cpu, whole, "slice"), 1
    for at in (whole, brief):
        yield _end(cpu, at, "sleep"), 1
        yield _hand_over(cpu, at, name, 1 + _NAMES.index(name[0]) % (len(profiles) - 1)), 1
    yield _end(cpu, brief, "yield"), 1


def _end(cpu: int, at: int, how: str) -> Action:
    return lambda play: play.end(cpu, at, how)


def _wake(name: str) -> Action:
    return lambda play: play.wake(name)


def _fork(name: str, profile: int, profiles: tuple[Profile, ...]) -> Action:
    cpu = min(profiles[profile].allowed, default=0)
    return lambda play: play.fork(name, profile, cpu)


def _hand_over(cpu: int, at: int, name: str, profile: int) -> Action:
    """A fork, and an exit."""
    child = name[:-1] if name.endswith("'") else f"{name}'"

    def act(play: Play) -> None:
        play.advance_to(at)
        play.fork(child, profile, cpu)
        if play.runs(cpu) == name:
            play.end(cpu, at, "exit")

    return act
