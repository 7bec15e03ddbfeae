"""A run that shows how somebody starves: what the environment did, and who ran.

Input: steps as `play` recorded them. Output: a `Run`, and its JSON, which `schedc.model.replay`
repeats step by step. Invariant: steps name tasks, not numbers (of a task that forks and exits the
child is called `a'`, its own child `a` again), and times are differences, so that a turn that
repeats reads the same each time; `blocks` says which steps repeat, and how often.

JSON, one object: `kind` "lasso" (repeats for ever), "drift" (each turn brings the victim nearer,
but too slowly) or "crowd" (too many contenders); `topology`, `tunes`, `parameters`, `profiles`,
`classes` (by task), `victim`, `victim_class`; `blocks`, a list of {"times": n, or null for ever,
"steps": […]}; `since`, the number of steps, repeated ones counted, after which the victim waits and
does not run again; `wait_ns`, how long (null: for ever); `promise_ns`, what it passes; `nearer_ns`,
in a drift, by how much a turn brings the victim nearer; `blame` and `help`, see there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from schedc.model.world import Profile, Topology
from schedc.records import dataclass

Kind = Literal["lasso", "drift", "crowd"]
Act = Literal["fork", "wake", "end", "rename", "pass"]

_LONGEST_TURN = 48


@dataclass(frozen=True, slots=True)
class Step:
    """After `after_ns` the environment does one thing. `end`: the stint on `cpu`, of `task`, ends,
    `how` as in `Machine.end_stint`. `fork`: of `profile`, by a parent on `cpu`. `rename`: the task
    calls itself `how`. `runs`: who is on each cpu afterwards; empty: nobody."""

    after_ns: int
    do: Act
    task: str
    cpu: int
    how: str
    profile: int
    runs: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Without what its kind does not need."""
        made: dict[str, Any] = {"after_ns": self.after_ns, "do": self.do, "task": self.task}
        if self.do in ("fork", "end"):
            made["cpu"] = self.cpu
        if self.how:
            made["how"] = self.how
        if self.do == "fork":
            made["profile"] = self.profile
        return {**made, "runs": list(self.runs)}


@dataclass(frozen=True, slots=True)
class Block:
    """`times` None: for ever."""

    times: int | None
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """See the module."""

    kind: Kind
    policy: str
    topology: Topology
    tunes: Mapping[str, int]
    parameters: Mapping[str, Any]
    profiles: tuple[Profile, ...]
    classes: Mapping[str, str]
    victim: str
    victim_class: str
    blocks: tuple[Block, ...]
    since: int
    wait_ns: int | None
    promise_ns: int
    nearer_ns: int = 0
    blame: tuple[dict[str, Any], ...] = ()
    help: tuple[dict[str, Any], ...] = ()

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks, the victim last."""
        found = dict.fromkeys(
            step.task for block in self.blocks for step in block.steps if step.do == "fork"
        )
        return (*(name for name in found if name != self.victim), self.victim)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "kind": self.kind,
            "policy": self.policy,
            "topology": {
                "llc_of": list(self.topology.llc_of), "node_of": list(self.topology.node_of),
            },
            "tunes": dict(self.tunes),
            "parameters": dict(self.parameters),
            "profiles": [profile_json(one) for one in self.profiles],
            "classes": dict(self.classes),
            "victim": self.victim,
            "victim_class": self.victim_class,
            "blocks": [
                {"times": block.times, "steps": [step.as_json() for step in block.steps]}
                for block in self.blocks
            ],
            "since": self.since,
            "wait_ns": self.wait_ns,
            "promise_ns": self.promise_ns,
            "nearer_ns": self.nearer_ns,
            "blame": list(self.blame),
            "help": list(self.help),
        }  # fmt: skip


def profile_json(profile: Profile) -> dict[str, Any]:
    """A profile as plain values; names of tasks as text, byte by byte."""
    return {
        "weight": profile.weight,
        "nice": profile.nice,
        "kthread": profile.kthread,
        "allowed": sorted(profile.allowed),
        "held": profile.held,
        "comm": profile.comm.decode("latin-1"),
        "exe": profile.exe,
        "within": sorted(profile.within),
        "cgroup": profile.cgroup,
        "cgroup_weight": profile.cgroup_weight,
        "uid": profile.uid,
        "tgid": profile.tgid,
    }


def blocks_of(steps: list[Step], last_for_ever: int = 0) -> tuple[Block, ...]:
    """Steps as blocks: what repeats is there once. `last_for_ever`: how many steps at the end are a
    turn that goes on for ever; they are a block of their own."""
    body = steps[: len(steps) - last_for_ever]
    made = list(_folded(body))
    if last_for_ever:
        made.append(Block(None, tuple(steps[len(steps) - last_for_ever :])))
    return tuple(made)


def _folded(steps: list[Step]) -> Iterator[Block]:
    """Greedy: at each place the turn that covers most steps, if it repeats thrice or more."""
    at, plain = 0, 0
    while at < len(steps):
        length, times = _best_turn(steps, at)
        if times < 3:
            at += 1
            continue
        if plain < at:
            yield Block(1, tuple(steps[plain:at]))
        yield Block(times, tuple(steps[at : at + length]))
        at += length * times
        plain = at
    if plain < len(steps):
        yield Block(1, tuple(steps[plain:]))


def _best_turn(steps: list[Step], at: int) -> tuple[int, int]:
    best = (1, 1)
    for length in range(1, min(_LONGEST_TURN, (len(steps) - at) // 3) + 1):
        turn = steps[at : at + length]
        times, next_ = 1, at + length
        while steps[next_ : next_ + length] == turn:
            times, next_ = times + 1, next_ + length
        if times >= 3 and times * length > best[0] * best[1]:
            best = (length, times)
    return best
