"""A refutation, repeated by the generated C: the implementation's opinion of the prover's run.

Input: a run as JSON values (`schedc.refute.run`), the policy, its shared object and the simulator.
Output: a `Replayed`. Invariant: the reference machine only tells which task has whose part in the
next turn. Each step is done at its instant, and who runs on each cpu is compared with what the run
says; a turn that repeats for ever is repeated until the victim has waited longer than the promise,
or the kernel would have thrown the scheduler out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from schedc.ir.nodes import Policy
from schedc.model.machine import Illegal
from schedc.model.replay import Differs, profile_of, roles
from schedc.model.world import Profile, Topology
from schedc.records import dataclass
from schedc.refute.profiles import weight_of
from schedc.sim.script import FIRST, How, Played, Script, play

_SECOND_NS = 1_000_000_000
_MOST_STEPS = 200_000


class Unplayable(Exception):
    """The run can't be done on a real kernel's terms; says why."""


@dataclass(frozen=True, slots=True)
class Block:
    """Steps done so often (None: for ever), as the run's JSON has them. `turns`: how many turns of
    the run they are."""

    times: int | None
    steps: tuple[Mapping[str, Any], ...]
    turns: int = 1


@dataclass(frozen=True, slots=True)
class Replayed:
    """`names`: of tasks, by number; `queues`: of the policy's queues. `confirmed`: every step went
    as told, and the victim waited longer than promised."""

    run: Mapping[str, Any]
    played: Played
    blocks: tuple[Block, ...]
    names: tuple[str, ...]
    queues: tuple[str, ...]

    @property
    def confirmed(self) -> bool:
        return not self.why_not

    @property
    def why_not(self) -> str:
        """What speaks against the run; empty if it is confirmed."""
        played, wait, promise = self.played, self.run["wait_ns"], self.run["promise_ns"]
        if played.difference is not None:
            return self._told(played.difference.why)
        if played.thrown_out and not self.ejected:
            return f"the scheduler is thrown out: {played.thrown_out}"
        if wait is not None and played.waited_ns != wait and not self.ejected:
            return f"the victim waits {played.waited_ns} ns, not {wait}"
        if played.waited_ns <= promise and not self.ejected:
            return f"the victim waits {played.waited_ns} ns, and the promise is {promise} ns"
        return ""

    @property
    def ejected(self) -> bool:
        """Whether the kernel's watchdog ended the scheduler first: that shows the wait too."""
        return self.played.thrown_out.startswith("runnable task stall")

    def name(self, task: int | None) -> str:
        return "nobody" if task is None else f"`{self.names[task]}`"

    def _told(self, why: str) -> str:
        """With the names of tasks."""
        found = self.played.difference
        assert found is not None
        where = self.played.states[-1] if self.played.states else None
        place = f"step {self.played.steps}"
        if where is not None:
            place += f", at {where.at_ns / 1e6:.6g} ms"
        if found.cpu is None:
            return f"{place}: {why}"
        return (
            f"{place}: cpu {found.cpu} runs {self.name(found.seen)}, "
            f"the run says {self.name(found.expected)}"
        )


def replay(
    run: Mapping[str, Any], policy: Policy, runtime: Path, shared: Path, *, limit_s: float = 60.0
) -> Replayed:
    """See the module. Raises `Unplayable`, `SimError`; KeyError, TypeError, ValueError, IndexError
    or AttributeError if it is no run."""
    topology = Topology(tuple(run["topology"]["llc_of"]), tuple(run["topology"]["node_of"]))
    names = _names(run)
    blocks = tuple(_blocks(run, policy))
    text = script_of(run, blocks)
    played = play(
        runtime, shared, text, topology, run["tunes"], until_ns=_longest(run), limit_s=limit_s
    )
    return Replayed(run, played, blocks, names, tuple(queue.name for queue in policy.queues))


def _names(run: Mapping[str, Any]) -> tuple[str, ...]:
    """Tasks in the order of their first steps; a name may be given anew."""
    steps = (step for block in run["blocks"] for step in block["steps"])
    return tuple(dict.fromkeys(step["task"] for step in steps if step["task"]))


def _longest(run: Mapping[str, Any]) -> int:
    """More simulated time than any run takes: its blocks, the promise, a turn, a little."""
    total = last = 0
    for block in run["blocks"]:
        last = sum(step["after_ns"] for step in block["steps"])
        total += last * (block["times"] or 1)
    return int(total + 2 * run["promise_ns"] + 2 * last + 100 * _SECOND_NS)


def script_of(run: Mapping[str, Any], blocks: Iterable[Block]) -> str:
    """The run as a script."""
    script = Script(len(run["topology"]["llc_of"]))
    number = {name: i for i, name in enumerate(_names(run))}
    profiles = [_playable(profile_of(one)) for one in run["profiles"]]
    script.victim(number[run["victim"]], run["since"], run["promise_ns"])
    for block in blocks:
        script.block(block.times, FIRST)
        for step in block.steps:
            _step(script, step, number, profiles)
    return script.text()


def _blocks(run: Mapping[str, Any], policy: Policy) -> Iterator[Block]:
    """The run's blocks. A turn for ever may lead back with the tasks in each other's parts: it is
    told as so many turns as it takes until each has its own part again."""
    for block in run["blocks"]:
        if block["times"] is not None:
            yield Block(block["times"], tuple(block["steps"]))
            continue
        try:
            part = roles(run, policy)
        except (Differs, Illegal):
            part = {}  # the C will say where it does something else
        turns = list(_until_all_are_back(block["steps"], part))
        yield Block(None, tuple(step for turn in turns for step in turn), len(turns))


def _until_all_are_back(
    turn: list[Mapping[str, Any]], part: Mapping[str, str]
) -> Iterator[list[Mapping[str, Any]]]:
    now = dict(zip(part, part, strict=True))
    for _ in range(_MOST_STEPS // max(len(turn), 1)):
        yield [
            {
                **step,
                "task": now.get(step["task"], step["task"]),
                "runs": [now.get(name, name) for name in step["runs"]],
            }
            for step in turn
        ]
        now = {name: part[other] for name, other in now.items()}
        if all(name == other for name, other in now.items()):
            return
    raise Unplayable("it takes too many turns until each task has its own part again")


def _playable(profile: Profile) -> Profile:
    if profile.weight != weight_of(profile.nice):
        raise Unplayable(f"no task of nice {profile.nice} has the weight {profile.weight}")
    if profile.exe >= 0 or profile.within:
        raise Unplayable("the run's tasks are told apart by their files or control groups")
    if profile.held:
        raise Unplayable("the run's tasks are bound to their cpus for a while only")
    return profile


def how_of(how: str) -> How:
    """The script's word for a way to stop."""
    match how:
        case "slice" | "sleep" | "yield" | "exit":
            return how
        case "preempted_by_rt":
            return "rt"
    raise ValueError(f"no such way to stop: {how}")


def _step(
    script: Script, step: Mapping[str, Any], number: Mapping[str, int], profiles: list[Profile]
) -> None:
    after, who = step["after_ns"], step["task"]
    runs = [number[name] if name else None for name in step["runs"]]
    match step["do"]:
        case "fork":
            script.fork(after, number[who], profiles[step["profile"]], step["cpu"], runs)
        case "wake":
            script.wake(after, number[who], runs=runs)
        case "end":
            script.stop(after, number[who], step["cpu"], how_of(step["how"]), runs)
        case "rename":
            script.comm(after, number[who], step["how"].encode("latin-1"), runs)
        case "pass":
            script.pause(after, runs)
        case other:
            raise ValueError(f"no such step: {other}")
