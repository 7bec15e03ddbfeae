"""Who is compared, doing what, on which machine, and how often.

Values only. Invariant: an arm holds all that its runs need (C text, settings), so that a
simulation is a function of these values alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from schedc.records import dataclass
from schedc.sim.machine import Machine
from schedc.source import Source
from schedc.workload.model import Setting, Workload

if TYPE_CHECKING:
    from schedc.prove.result import Bound
    from schedc.sim.build import Variant
    from schedc.sim.run import Run

BUILT_IN = ("eevdf", "fifo")
"""Schedulers that the runtime has itself: the kernel's default one, and first come, first served
with a queue for each cpu."""

DEFAULT_RUNS = 10
"""The order statistics of ten pairs give an interval that covers the median with 97.9%."""

FIRST_SEED = 1
DEFAULT_LIMIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Arm:
    """A scheduler. `built_in`: one of `BUILT_IN`, else `c_text` is compiled. `settings`: as the
    loader reads them. `bounds`: the proved longest waits, empty if nothing is proved; `contenders`
    is the N that they were proved for."""

    name: str
    built_in: str = ""
    c_text: str = ""
    settings: str = ""
    classes: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    bounds: tuple[Bound, ...] = ()
    contenders: int = 0
    source: Source | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    """What `#line` directives of the C name, so that a compiler can quote it."""
    folder: Path | None = None
    """Where a C file looks for headers of its own."""

    @property
    def runs_policy(self) -> bool:
        return not self.built_in


@dataclass(frozen=True, slots=True)
class Scenario:
    """A workload with a value for each of its parameters, and a machine."""

    workload: Workload
    settings: Mapping[str, Setting]
    machine: Machine


@dataclass(frozen=True, slots=True)
class Options:
    """`runs` of each arm, with seeds from `first_seed`; `jobs`: so many at once, None: one for each
    cpu. `limit_s`: cpu time that a run may take. `traced`: keep a trace of each arm's first run."""

    runs: int = DEFAULT_RUNS
    first_seed: int = FIRST_SEED
    jobs: int | None = None
    cc: str | None = None
    variant: Variant = "release"
    limit_s: float = DEFAULT_LIMIT_S
    traced: bool = False


@dataclass(frozen=True, slots=True)
class Watch:
    """Called while a simulation goes on, always from the caller's thread."""

    progress: Callable[[str, float | None], None] = field(default=lambda what, fraction: None)
    done: Callable[[Run, int, int], None] = field(default=lambda run, number, total: None)


UNWATCHED = Watch()
