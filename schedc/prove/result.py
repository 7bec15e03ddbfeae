"""What the prover says: obligations with verdicts, assumptions, bounds; together a `Proof`.

Values only: nothing here needs a solver, so that a cached proof is shown without loading one.
Invariant: a proof is proved exactly if all of its obligations are; a bound is there for every class
whose obligations are proved.
"""

from __future__ import annotations

from enum import Enum
from fractions import Fraction
from typing import Any, Literal

from schedc.records import dataclass
from schedc.source import Span

WATCHDOG_NS = 30_000_000_000
"""The kernel's longest watchdog timeout: a task that waits longer ends the scheduler."""

Property = Literal["bounded", "placed", "work-conserving", "starvation-free", "served"]
PROPERTIES: tuple[Property, ...] = (
    "bounded", "placed", "work-conserving", "starvation-free", "served",
)  # fmt: skip


class Verdict(Enum):
    """Ordered: the verdict of several is the last of them in this order."""

    proved = "proved"
    waived = "waived"  # the policy asks for what it forbids (cap, pack, confine); counts as proved
    unproven = "unproven"
    refuted = "refuted"


def worst(verdicts: list[Verdict]) -> Verdict:
    """The verdict of several together."""
    order = list(Verdict)
    return max(verdicts, key=order.index, default=Verdict.proved)


@dataclass(frozen=True, slots=True)
class Obligation:
    """One thing to prove. `name`: unique in the proof, [a-z0-9_.-]+, a file name in certificates.
    `statement`: a sentence for people. `smt2`: the query, unsatisfiable exactly if the obligation
    holds; empty where no query could be made (then it is never `proved`). `reason`, `hint`: why it
    is not proved, and what would make it so. `rlimit`: solver steps used; `ms`: time, for show."""

    name: str
    property: Property
    statement: str
    verdict: Verdict
    span: Span | None
    smt2: str = ""
    reason: str = ""
    hint: str = ""
    rlimit: int = 0
    ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Assumption:
    """`code`: E1… as in docs/prover.md. `value`: its numbers in this proof."""

    code: str
    text: str
    value: str


@dataclass(frozen=True, slots=True)
class Bound:
    """W(N) = a + b N: the longest wait, in ns, of tasks of `cls` with N contenders a cpu.

    `formula`: the composition that gave a and b, in words and symbols, one line. `discipline`: of
    the class's queue. `promise_ns`: what it is held against (the watchdog if nothing is promised).
    """

    cls: str
    queue: str
    discipline: str
    a_ns: Fraction
    b_ns: Fraction
    formula: str
    promise_ns: int
    span: Span

    def wait_ns(self, runnable: int) -> int:
        """W(N), rounded up."""
        total = self.a_ns + self.b_ns * runnable
        return -(-total.numerator // total.denominator)

    @property
    def most_runnable(self) -> int:
        """n*: the largest N at which W(N) keeps the promise; 0 if there is none."""
        if self.a_ns > self.promise_ns:
            return 0
        return int((self.promise_ns - self.a_ns) / self.b_ns) if self.b_ns else 1 << 16


@dataclass(frozen=True, slots=True)
class Proof:
    """`parameters`: as `Parameters.as_json`. `run`: a refutation as `schedc.refute` gives it (JSON
    values), if there is one."""

    policy: str
    version: str
    model: str
    runnable: int
    parameters: dict[str, Any]
    obligations: tuple[Obligation, ...]
    assumptions: tuple[Assumption, ...]
    bounds: tuple[Bound, ...]
    run: dict[str, Any] | None = None

    @property
    def verdict(self) -> Verdict:
        found = worst([one.verdict for one in self.obligations])
        return Verdict.proved if found is Verdict.waived else found

    @property
    def worst_bound(self) -> Bound | None:
        """The class that may wait longest."""
        return max(self.bounds, key=lambda one: one.wait_ns(self.runnable), default=None)
