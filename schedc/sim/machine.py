"""The simulated machine: its cpus, how they share cores and caches, and what things cost on it.

Input: flags, or a TOML file of `backends/sim/machines/` or of the user's. Output: a `Machine`, and
the text that `schedc-sim --machine` reads. Invariant: a `Machine` that exists is one that the
runtime takes; everything wrong with a file is told at once, in one `SimError`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from schedc.data import data_path
from schedc.records import dataclass
from schedc.sim.errors import BAD_MACHINE, SimError
from schedc.workload.quantity import parse_time
from schedc.workload.table import near

MAX_CPUS = 512
"""NR_CPUS of the runtime."""

FULL_CAPACITY = 1024
MAX_HZ = 1000
MAX_COST_NS = 1_000_000_000

COSTS = (
    "context_switch", "idle_exit", "kick", "wake", "fork", "exit", "tick", "migrate_core",
    "migrate_llc", "migrate_node", "callback", "timer_slack",
)  # fmt: skip
"""The members of `struct costs` in the runtime."""

_FOLDER = "backends/sim/machines"
_DEFAULT = "server"


@dataclass(frozen=True, slots=True)
class Cpu:
    """Where a cpu is, and its capacity as the kernel counts it (1024: the fastest)."""

    core: int
    llc: int
    node: int
    capacity: int = FULL_CAPACITY


@dataclass(frozen=True, slots=True)
class Shape:
    """What flags say of the topology; `fast`: so many cpus are fast, None: all."""

    cpus: int = 8
    llcs: int = 2
    smt: int = 2
    nodes: int = 1
    fast: int | None = None
    hz: int = 250


@dataclass(frozen=True, slots=True)
class Machine:
    """`smt_speed`: per mille of its speed that a cpu has while all of its core is busy.
    `costs`: ns by name. `profile`: the file that the costs are from."""

    profile: str
    cpus: tuple[Cpu, ...]
    hz: int
    smt_speed: int
    costs: Mapping[str, int]

    def text(self) -> str:
        """The file for the runtime."""
        lines = [f"cpus {len(self.cpus)}"]
        lines += [
            f"cpu {index} core {cpu.core} llc {cpu.llc} node {cpu.node} capacity {cpu.capacity}"
            for index, cpu in enumerate(self.cpus)
        ]
        lines += [f"hz {self.hz}", f"smt_speed {self.smt_speed}"]
        lines += [f"cost {name} {self.costs[name]}" for name in COSTS]
        return "\n".join(lines) + "\n"

    def describe(self) -> str:
        """`8 cpus, 2 llcs, 2 threads a core, 250 Hz, server`: one line for a table's title."""
        cores = len({cpu.core for cpu in self.cpus})
        llcs = len({cpu.llc for cpu in self.cpus})
        nodes = len({cpu.node for cpu in self.cpus})
        slow = sum(cpu.capacity < FULL_CAPACITY for cpu in self.cpus)
        parts = [f"{len(self.cpus)} cpus" if len(self.cpus) > 1 else "1 cpu"]
        parts += [f"{cores} cores"] * (cores < len(self.cpus))
        parts += [f"{llcs} llcs"] * (llcs > 1) + [f"{nodes} nodes"] * (nodes > 1)
        parts += [f"{slow} of them slow"] * (slow > 0)
        return ", ".join([*parts, f"{self.hz} Hz", f"costs of {self.profile}"])

    def as_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        cpus = [[cpu.core, cpu.llc, cpu.node, cpu.capacity] for cpu in self.cpus]
        return {"profile": self.profile, "cpus": cpus, "hz": self.hz,
                "smt_speed": self.smt_speed, "costs": dict(self.costs)}  # fmt: skip


def profiles() -> tuple[str, ...]:
    """The shipped machine files, by name."""
    return tuple(sorted(path.stem for path in data_path(_FOLDER).glob("*.toml")))


def machine(name: str = _DEFAULT, flags: Mapping[str, int] | None = None) -> Machine:
    """The machine of a file (a shipped one by name, any other by path); `flags` are fields of
    `Shape` that win over the file."""
    path = _path(name)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as failure:
        reason = failure.strerror if isinstance(failure, OSError) else failure
        raise SimError(BAD_MACHINE, f"the machine file {path} can't be read: {reason}") from failure
    return _Reader(path.stem, data).machine(dict(flags or {}))


def shaped(shape: Shape, slow: int = FULL_CAPACITY // 2) -> tuple[Cpu, ...]:
    """Cpus by number: the threads of a core, the cores of an llc and the llcs of a node follow one
    another; the fast cpus come first. `slow`: the capacity of the others."""
    wrong = _misfit(shape)
    if wrong:
        raise SimError(BAD_MACHINE, wrong)
    cores = shape.cpus // shape.smt
    fast = shape.cpus if shape.fast is None else shape.fast
    found = []
    for index in range(shape.cpus):
        core = index // shape.smt
        llc = core * shape.llcs // cores
        found.append(Cpu(core, llc, llc * shape.nodes // shape.llcs,
                         FULL_CAPACITY if index < fast else slow))  # fmt: skip
    return tuple(found)


def _misfit(shape: Shape) -> str:
    """Why there is no such machine; empty if there is."""
    if not 1 <= shape.cpus <= MAX_CPUS:
        return f"{shape.cpus} cpus: there may be 1..{MAX_CPUS}"
    if not 1 <= shape.smt <= 8 or shape.cpus % shape.smt:
        return f"{shape.cpus} cpus can't be cores of {shape.smt} threads each"
    cores = shape.cpus // shape.smt
    if not 1 <= shape.llcs <= cores:
        return f"{shape.llcs} llcs for {cores} cores: each llc needs a core"
    if not 1 <= shape.nodes <= shape.llcs:
        return f"{shape.nodes} nodes for {shape.llcs} llcs: each node needs an llc"
    if shape.fast is not None and not 1 <= shape.fast <= shape.cpus:
        return f"{shape.fast} fast cpus of {shape.cpus}: at least one cpu is fast"
    if not 1 <= shape.hz <= MAX_HZ:
        return f"{shape.hz} Hz: the tick may come 1..{MAX_HZ} times a second"
    return ""


def _path(name: str) -> Path:
    if "/" in name or name.endswith(".toml"):
        return Path(name)
    known = profiles()
    if name not in known:
        raise SimError(
            BAD_MACHINE, f"there is no machine `{name[:40]}`",
            help=near(name, known) or "give a TOML file",
        )
    return data_path(_FOLDER) / f"{name}.toml"


class _Reader:
    """One file; mistakes are collected."""

    def __init__(self, stem: str, data: Mapping[str, Any]) -> None:
        self.stem = stem
        self.data = data
        self.wrong: list[str] = []

    def machine(self, flags: Mapping[str, int]) -> Machine:
        self._known("the file", self.data, ("format", "description", "hz", "smt_speed",
                    "slow_capacity", "topology", "cpu", "costs"))  # fmt: skip
        if self.data.get("format") != 1:
            self.wrong.append("`format` must be 1")
        hz = self._number(self.data, "hz", Shape().hz, 1, MAX_HZ)
        smt_speed = self._number(self.data, "smt_speed", 1000, 1, 1000)
        slow = self._number(self.data, "slow_capacity", FULL_CAPACITY // 2, 1, FULL_CAPACITY)
        costs = self._costs()
        shape = self._shape(hz)
        listed = self._listed()
        self._complain()
        given = {name: value for name, value in flags.items() if value is not None}
        shape = Shape(**{name: given.get(name, getattr(shape, name)) for name in _SHAPE})
        topology = set(given) & (_SHAPE - {"hz"})
        cpus = listed if listed and not topology else shaped(_fitted(shape, given), slow)
        return Machine(self.stem, cpus, shape.hz, smt_speed, costs)

    def _known(self, where: str, table: Mapping[str, Any], names: Iterable[str]) -> None:
        names = tuple(names)
        for key in table:
            if key not in names:
                hint = near(key, names)
                self.wrong.append(f"unknown key `{key}` in {where}" + (f"; {hint}" if hint else ""))

    def _number(
        self, table: Mapping[str, Any], key: str, default: int, low: int, high: int
    ) -> int:
        value = table.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.wrong.append(f"`{key}` must be a whole number in {low}..{high}")
            return default
        return value

    def _table(self, key: str) -> Mapping[str, Any]:
        found = self.data.get(key, {})
        if not isinstance(found, dict):
            self.wrong.append(f"`{key}` must be a table")
            return {}
        return found

    def _costs(self) -> dict[str, int]:
        table = self._table("costs")
        self._known("`costs`", table, COSTS)
        found = {}
        for name in COSTS:
            value = table.get(name, "0ns")
            ns = parse_time(value) if isinstance(value, str) else None
            if ns is None or ns > MAX_COST_NS:
                self.wrong.append(f"the cost `{name}` must be a time up to 1s, such as \"1500ns\"")
            found[name] = ns or 0
        return found

    def _shape(self, hz: int) -> Shape:
        table = self._table("topology")
        self._known("`topology`", table, _SHAPE - {"hz"})
        default = Shape(hz=hz)
        numbers = {
            name: self._number(table, name, getattr(default, name), 1, MAX_CPUS)
            for name in ("cpus", "llcs", "smt", "nodes")
        }
        fast = self._number(table, "fast", 1, 1, MAX_CPUS) if "fast" in table else None
        return Shape(**numbers, fast=fast, hz=hz)

    def _listed(self) -> tuple[Cpu, ...]:
        """Cpus that are listed one by one, for machines that no `topology` describes."""
        entries = self.data.get("cpu", [])
        if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
            self.wrong.append("`cpu` must be tables: [[cpu]]")
            return ()
        if len(entries) > MAX_CPUS:
            self.wrong.append(f"{len(entries)} cpus: there may be 1..{MAX_CPUS}")
        found = []
        for index, one in enumerate(entries):
            self._known(f"cpu {index}", one, ("core", "llc", "node", "capacity"))
            found.append(Cpu(
                self._number(one, "core", index, 0, MAX_CPUS - 1),
                self._number(one, "llc", 0, 0, MAX_CPUS - 1),
                self._number(one, "node", 0, 0, MAX_CPUS - 1),
                self._number(one, "capacity", FULL_CAPACITY, 1, FULL_CAPACITY),
            ))  # fmt: skip
        self._nested(found)
        return tuple(found)

    def _nested(self, cpus: list[Cpu]) -> None:
        """A core lies in one llc, an llc in one node, and numbers have no gaps."""
        for small, large in (("core", "llc"), ("llc", "node")):
            home: dict[int, int] = {}
            for cpu in cpus:
                inner, outer = getattr(cpu, small), getattr(cpu, large)
                if home.setdefault(inner, outer) != outer:
                    self.wrong.append(f"{small} {inner} lies in two {large}s")
        for level in ("core", "llc", "node"):
            numbers = {getattr(cpu, level) for cpu in cpus}
            if numbers and numbers != set(range(len(numbers))):
                self.wrong.append(f"the numbers of the {level}s must be 0..{len(numbers) - 1}")

    def _complain(self) -> None:
        if self.wrong:
            first, *more = dict.fromkeys(self.wrong)
            raise SimError(BAD_MACHINE, f"machine `{self.stem}`: {first}", notes=tuple(more))


_SHAPE = frozenset(("cpus", "llcs", "smt", "nodes", "fast", "hz"))


def _fitted(shape: Shape, given: Mapping[str, int]) -> Shape:
    """Defaults give way to what was asked for: `--cpus 1` is one cpu with one thread and llc."""
    smt = shape.smt if "smt" in given or shape.cpus % shape.smt == 0 else 1
    cores = max(shape.cpus // smt, 1)
    llcs = shape.llcs if "llcs" in given else min(shape.llcs, cores)
    llcs = max(llcs, shape.nodes) if "llcs" not in given else llcs
    nodes = shape.nodes if "nodes" in given else min(shape.nodes, llcs)
    fast = shape.fast if "fast" in given or shape.fast is None else min(shape.fast, shape.cpus)
    return Shape(shape.cpus, llcs, smt, nodes, fast, shape.hz)
