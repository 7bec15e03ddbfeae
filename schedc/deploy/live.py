"""A canary, shown while it runs: each guard's value beside its limit.

Input: looks. Output: a table on a terminal's stderr that renews itself; lines for a log; or JSON
lines on stdout. Invariant: a terminal that can't do it, or a reader that went away, ends nothing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from typing import TYPE_CHECKING, Any

from schedc.deploy.canary import Look, Tell, Trial
from schedc.deploy.measured import Reading
from schedc.deploy.show import span, wait_text
from schedc.deploy.waits import quantile, total
from schedc.diagnostics.render.visible import visible

if TYPE_CHECKING:
    from rich.console import Group

EVERY_S = 10.0
"""Between two lines for a log, if nothing changes."""


@contextmanager
def watching(title: str, trial: Trial, *, as_json: bool) -> Iterator[Tell]:
    """Call the result with each look."""
    if as_json:
        yield _json
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.live import Live

        with Live(console=Console(stderr=True), transient=True, auto_refresh=False) as live:
            yield lambda look: live.update(_shown(title, trial, look), refresh=True)
    else:
        yield _Lines(title, trial)


class _Lines:
    """For logs: the first look, one each ten seconds, and each at which a guard changes."""

    def __init__(self, title: str, trial: Trial) -> None:
        self.title = title
        self.trial = trial
        self._said = -EVERY_S
        self._held: tuple[bool, ...] = ()

    def __call__(self, look: Look) -> None:
        held = tuple(one.holds for one in look.readings if one.value is not None)
        if look.at - self._said < EVERY_S and held == self._held:
            return
        self._said, self._held = look.at, held
        guards = "; ".join(f"{visible(one.guard.text)}: {value_text(one)}" for one in look.readings)
        print(f"{self.title} on trial, {look.at:.0f} of {look.seconds:.0f} s"
              f"{'; ' + guards if guards else ''}", file=sys.stderr, flush=True)  # fmt: skip


def value_text(one: Reading) -> str:
    """The value of a guard, or why there is none."""
    if one.failed:
        return visible(one.failed)
    if one.value is None:
        return "not yet" + (f" ({visible(one.basis)})" if one.basis else "")
    mark = "" if one.holds else ", passed" if one.passed else ", passed once"
    return f"{one.guard.show(one.value)}{mark}"


def _shown(title: str, trial: Trial, look: Look) -> Group:
    """Head, a line for each guard, and all waits since it was attached."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    left = ceil(max(0.0, look.seconds - look.at))
    made = Table(box=None, pad_edge=False)
    for name in ("guard", "now", "before", "of"):
        made.add_column(name)
    for one, before in zip(look.readings, trial.before, strict=True):
        style = "" if one.value is None else "green" if one.holds else "bold red"
        made.add_row(
            Text(visible(one.guard.text)), Text(value_text(one), style), Text(visible(before)),
            Text(visible(one.basis)),
        )
    head = (f"{title} on trial: {look.at:.0f} of {look.seconds:.0f} s, {span(left)} left; "
            "Ctrl-C rolls back")  # fmt: skip
    return Group(Text(head), *([made] if look.readings else []), Text(_waits(look)))


def _waits(look: Look) -> str:
    buckets = total(look.state.histograms().values())
    longest = look.state.longest_wait_ns()
    shown = [wait_text(None if one is None else min(one, longest))
             for one in (quantile(buckets, 0.5), quantile(buckets, 0.99))]  # fmt: skip
    return (f"waits so far: {sum(buckets)}, p50 {shown[0]}, p99 {shown[1]}, "
            f"longest {wait_text(longest)}")  # fmt: skip


def _json(look: Look) -> None:
    readings: list[dict[str, Any]] = [
        {"guard": one.guard.text, "value": one.value, "holds": one.holds, "passed": one.passed,
         "failed": one.failed or None, "basis": one.basis or None}
        for one in look.readings
    ]  # fmt: skip
    print(json.dumps({"type": "look", "at": round(look.at, 3), "seconds": look.seconds,
                      "guards": readings}), flush=True)  # fmt: skip
