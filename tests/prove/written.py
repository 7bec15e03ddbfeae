"""Policies for tests of the prover: from a text, or a shipped one, changed as no text could.

`decided` gives the obligations of one property by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from schedc.ir import nodes as ir
from schedc.pipeline import analyze
from schedc.prove.parameters import Parameters, declared
from schedc.prove.result import Obligation, Verdict
from schedc.prove.solve import Query, decide
from schedc.source import Source

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "stdlib_policies").glob("*.sched")) + sorted(
    (ROOT / "examples").glob("*/*.sched")
)

Obligations = Callable[[ir.Policy, Parameters], Iterable[Query | Obligation]]


def written(text: str) -> ir.Policy:
    """The typed policy of a text, which is without errors."""
    analysis = analyze(Source.from_text("written.sched", text))
    assert analysis.policy is not None, [one.message for one in analysis.diagnostics]
    return analysis.policy


def shipped(name: str) -> ir.Policy:
    """A policy of the library or of the examples."""
    path = next(path for path in SHIPPED if path.stem == name)
    return written(path.read_text())


def levels(
    body: str = "", dispatch: str = "take first at most 50% every 60ms\n take second"
) -> str:
    """Two classes in two queues of the machine."""
    return f"""policy levels 1.0.0
assume weight in 50..200
tune slice = 8ms in 4ms..20ms "a turn"
queue first fifo
queue second by vtime within -20ms..100ms drift 1/64
state task.used : vtime of second
{body}
class first when nice < 0
class second
on stop {{ task.used += charge(ran) }}
place {{
  idle prev
  idle anywhere
}}
enqueue first to first slice 4ms
enqueue second to second key task.used slice tune.slice
dispatch {{
 {dispatch}
}}
"""


def with_lines(policy: ir.Policy, keep: Callable[[ir.Line], bool]) -> ir.Policy:
    """The policy with some lines of `dispatch` only."""
    return replace(policy, dispatch=tuple(line for line in policy.dispatch if keep(line)))


def with_class(policy: ir.Policy, index: int, **changes: Any) -> ir.Policy:
    """The policy with one class changed."""
    classes = list(policy.classes)
    classes[index] = replace(classes[index], **changes)
    return replace(policy, classes=tuple(classes))


def decided(
    obligations: Obligations, policy: ir.Policy, parameters: Parameters | None = None
) -> dict[str, Obligation]:
    """Every obligation, solved, by name."""
    found = decide(obligations(policy, parameters or declared(policy)))
    return {one.name: one for one in found}


def failing(found: dict[str, Obligation]) -> dict[str, Verdict]:
    """Those that count as not proved."""
    good = (Verdict.proved, Verdict.waived)
    return {name: one.verdict for name, one in found.items() if one.verdict not in good}
