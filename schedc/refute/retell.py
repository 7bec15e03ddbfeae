"""A run, done once more and watched: what happened at each step, and who waited where.

Input: a run as JSON values, and the policy. Output: a `Retold`: a row for each step, repeated turns
once. Invariant: everything that is said comes from the machine, nothing from the search.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from schedc.ir.nodes import Policy
from schedc.model.machine import Machine
from schedc.model.replay import parameters_of, profile_of
from schedc.model.state import Event
from schedc.model.world import Topology
from schedc.records import dataclass

EDGE = 7
"""Of many steps that do not repeat, so many at either end are looked at in full."""


@dataclass(frozen=True, slots=True)
class Place:
    """One who waits. `offset`: its key less the clock of its queue; None in a fifo."""

    name: str
    queue: str
    offset: int | None


@dataclass(frozen=True, slots=True)
class Row:
    """One step and what followed from it."""

    number: int
    at_ns: int
    step: Mapping[str, Any]
    events: tuple[Event, ...]
    runs: tuple[str, ...]
    waiting: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Scene:
    """A block: the rows of its first turn, the state after its last. `turn_ns`: how long a turn
    takes; `nearer_ns`: by how much the victim's key comes nearer to its clock in all turns."""

    rows: tuple[Row, ...]
    times: int | None
    turn_ns: int
    nearer_ns: int
    waiting: bool


@dataclass(frozen=True, slots=True)
class Retold:
    """`lines`: for each line number of `dispatch`, whom it served while the victim waited, in the
    last block. `names`: who has which number."""

    scenes: tuple[Scene, ...]
    lines: Mapping[int, tuple[str, ...]]
    victim_queue: str
    classes: Mapping[str, str]
    behaviour: Mapping[str, tuple[str, ...]]
    stood_still: bool


class Teller:
    """The machine, and who has which name."""

    def __init__(self, run: Mapping[str, Any], policy: Policy) -> None:
        self.run = run
        parameters = parameters_of(run["parameters"])
        shape = run["topology"]
        self.machine = Machine(
            replace(policy, weight=parameters.weight),
            Topology(tuple(shape["llc_of"]), tuple(shape["node_of"])),
            run["tunes"],
            parameters,
        )
        self.number: dict[str, int] = {}
        self.names: dict[int, str] = {}
        self.behaviour: dict[str, dict[str, None]] = {}
        self.classes: dict[str, str] = {}
        self.steps = 0

    def tell(self) -> Retold:
        """The whole run."""
        scenes, numbered, queue, still = [], 0, "", False
        for block in self.run["blocks"]:
            scene = self._scene(block, numbered)
            scenes.append(scene)
            numbered += len(block["steps"])
            queue = self._queue_of_victim() or queue
        served: dict[int, dict[str, None]] = {}
        final = max(scenes, key=lambda one: (one.times is None, (one.waiting and one.times) or 0))
        clocks = {place.offset for row in final.rows for place in row.waiting
                  if place.name == self.run["victim"]}  # fmt: skip
        still = final.times is None and clocks != {None} and len(clocks) <= 2
        for row in final.rows:
            for event in row.events:
                if event.kind in ("pick", "keep") and event.line >= 0:
                    served.setdefault(event.line, {})[self.names[event.task]] = None
        lines = {line: tuple(names) for line, names in sorted(served.items())}
        acts = {name: tuple(found) for name, found in self.behaviour.items()}
        return Retold(tuple(scenes), lines, queue, self.classes, acts, still)

    def _scene(self, block: Mapping[str, Any], numbered: int) -> Scene:
        rows, began, times = [], self.machine.now, block["times"]
        steps = block["steps"]
        for number, step in enumerate(steps):
            seen = min(number, len(steps) - 1 - number) < EDGE
            rows.append(self._row(step, numbered + number + 1, seen))
        before, turn_ns = self._offset_of_victim(), self.machine.now - began
        self.machine.record = False
        for _ in range((times or 1) - 1):
            for step in block["steps"]:
                self._do(step)
        self.machine.record = True
        after = self._offset_of_victim()
        nearer = before - after if before is not None and after is not None else 0
        return Scene(tuple(rows), times, turn_ns, nearer, self.steps > self.run["since"])

    def _row(self, step: Mapping[str, Any], number: int, seen: bool) -> Row:
        self.machine.events.clear()
        self._do(step)
        runs = tuple(
            self.names[cpu.running] if cpu.running >= 0 else "" for cpu in self.machine.cpus
        )
        events = tuple(self.machine.events)
        waiting = self._waiting() if seen else ()
        return Row(number, self.machine.now, step, events, runs, waiting)

    def _do(self, step: Mapping[str, Any]) -> None:
        machine, name = self.machine, step["task"]
        machine.advance(step["after_ns"])
        self.steps += 1
        if step["do"] == "pass":
            return
        acts = self.behaviour.setdefault(name.rstrip("'"), {})
        match step["do"]:
            case "fork":
                self.number[name] = len(machine.tasks)
                self.names[len(machine.tasks)] = name
                machine.fork(self._profile(step), step["cpu"])
            case "wake":
                machine.wake(self.number[name])
            case "end":
                if self.steps > self.run["since"]:
                    acts[step["how"]] = None
                machine.end_at(step["cpu"], machine.now, step["how"])
            case "rename":
                acts["rename"] = None
                machine.set_comm(self.number[name], step["how"].encode("latin-1"))
        self.classes[name] = machine.class_name(self.number[name]) or ""

    def _profile(self, step: Mapping[str, Any]) -> Any:
        return profile_of(self.run["profiles"][step["profile"]])

    def _waiting(self) -> tuple[Place, ...]:
        """Who waits, queue by queue, first to last."""
        machine, program, made = self.machine, self.machine.program, []
        for queue, domains in enumerate(machine.queues):
            for domain, entries in enumerate(domains):
                for key, task in entries:
                    keyed = program.orders[queue] != "fifo"
                    offset = key - machine.clock(queue, domain) if keyed else None
                    made.append(Place(self.names[task], program.names[queue], offset))
        return tuple(made)

    def _victim(self) -> Place | None:
        found = [place for place in self._waiting() if place.name == self.run["victim"]]
        return found[0] if found else None

    def _queue_of_victim(self) -> str:
        place = self._victim()
        return place.queue if place is not None else ""

    def _offset_of_victim(self) -> int | None:
        place = self._victim()
        return place.offset if place is not None else None


def retell(run: Mapping[str, Any], policy: Policy) -> Retold:
    """See the module."""
    return Teller(run, policy).tell()
