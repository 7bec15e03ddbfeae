"""What expressions are lowered against: the types of everything that has a name.

Input: the symbols. Output: `Environment`. Invariant: a name whose declaration is itself mistaken
maps to None: it is known, and its uses are poison.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from schedc.ir import nodes as ir
from schedc.passes.report import Report
from schedc.passes.symbols import Symbols
from schedc.records import dataclass
from schedc.syntax import tree


@dataclass(frozen=True, slots=True)
class Environment:
    """Types by name. `lets` fills while they are lowered; `exes` and `cgroups` number strings."""

    symbols: Symbols
    report: Report
    tunes: Mapping[str, ir.Tune | None]
    clocks: Mapping[str, str | None]
    states: Mapping[tuple[str, str], ir.Type | None]
    lets: dict[str, ir.Expr | None] = field(default_factory=dict)
    exes: dict[bytes, int] = field(default_factory=dict)
    cgroups: dict[bytes, int] = field(default_factory=dict)


def clock_of(queue: tree.Queue) -> str | None:
    """The name of a queue's clock: its own, a shared one (marked), or none for a fifo."""
    if queue.order != "vtime":
        return None
    return queue.clock.text if queue.clock is not None else queue.name.text


def state_types(symbols: Symbols) -> dict[tuple[str, str], ir.Type | None]:
    """The type of each state; None where it names a queue that has no vtime."""
    return {key: _state_type(state, symbols) for key, state in symbols.states.items()}


def _state_type(state: tree.State, symbols: Symbols) -> ir.Type | None:
    if state.type.queue is None:
        return ir.Type(ir.Kind(state.type.text))
    queue = symbols.queues.get(state.type.queue.text)
    clock = clock_of(queue) if queue is not None else None
    return ir.Type(ir.Kind.VTIME, clock) if clock is not None else None
