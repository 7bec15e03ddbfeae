"""How far the simulator agrees with the kernel: rank correlation, signs, the figures themselves.

Input: rows, one of each run of bench/agreement.py, which says the method. Output: an `Agreement`
for each metric of a workload, and tables in Markdown. Invariant: void runs count for nothing, on
either side.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from schedc.workload.histogram import SUB_BITS
from schedc.workload.metrics import METRICS
from schedc.workload.model import Setting, Workload

BASE = "eevdf"

RARE = ("wakeup_p999", "request_p999", "frame_p999")
"""In a second there are too few: their 99.9th percentile is the longest."""

NOISE = {True: 1 + 2.0**-SUB_BITS, False: 1.02}
"""The least ratio that is a difference: of a percentile, of another figure."""


@dataclass(frozen=True, slots=True)
class Row:
    """One run. `where`: "vm" or "sim"; `void`: why it doesn't count, empty if it does."""

    where: str
    kernel: str
    clock: str
    cpus: int
    arm: str
    workload: str
    settings: tuple[str, ...]
    seed: int
    metrics: dict[str, float]
    void: str = ""

    @property
    def key(self) -> tuple[object, ...]:
        return (self.where, self.clock, self.cpus, self.arm, self.workload, self.settings,
                self.seed)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Work:
    """A workload with its settings, and the texts that they were given by."""

    workload: Workload
    settings: Mapping[str, Setting]
    texts: tuple[str, ...]

    @property
    def metrics(self) -> tuple[str, ...]:
        return tuple(name for name in self.workload.metrics if name not in RARE)


# --- what comes of them


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of one metric under one workload. `tau` is None where all schedulers are alike in the
    machine. `signs` of `differences` agree, not so for the policies that are `wrong`; `pairs`: of
    schedulers that differ in the machine."""

    workload: str
    metric: str
    tau: float | None
    pairs: int
    signs: int
    differences: int
    wrong: tuple[str, ...]


def tau_b(xs: Sequence[int], ys: Sequence[int]) -> float | None:
    """Kendall's tau-b of signs of pairs (-1, 0, 1) in two rankings; None if one is all ties."""
    both = sum(x * y for x, y in zip(xs, ys, strict=True))
    of_x, of_y = sum(map(abs, xs)), sum(map(abs, ys))
    return both / math.sqrt(of_x * of_y) if of_x and of_y else None


def sign(first: float, second: float, metric: str) -> int:
    """Which of two figures is larger; 0 if they are the same but for the resolution."""
    least = NOISE[bool(METRICS[metric].histogram)]
    if max(first, second) <= least * min(first, second):
        return 0
    return 1 if first > second else -1


def real_sign(
    first: Mapping[int, float], second: Mapping[int, float], metric: str
) -> int:
    """By seeds: 0 unless all of them, and the medians too, say the same."""
    signs = {sign(first[seed], second[seed], metric) for seed in first.keys() & second.keys()}
    signs.add(sign(statistics.median(first.values()), statistics.median(second.values()), metric))
    return signs.pop() if len(signs) == 1 else 0


Figures = Mapping[str, Mapping[int, float]]
"""By arm and seed."""


def figures(rows: Iterable[Row], where: str, workload: str, metric: str) -> Figures:
    found: dict[str, dict[int, float]] = {}
    for row in rows:
        mine = (row.where, row.workload) == (where, workload)
        if mine and not row.void and metric in row.metrics:
            found.setdefault(row.arm, {})[row.seed] = row.metrics[metric]
    return found


def agreement(rows: Sequence[Row], workload: str, metric: str) -> Agreement | None:
    """None if either has no figures."""
    real, simulated = figures(rows, "vm", workload, metric), figures(rows, "sim", workload, metric)
    arms = sorted(real.keys() & simulated.keys())
    if len(arms) < 2:
        return None
    middle = {arm: statistics.median(simulated[arm].values()) for arm in arms}
    pairs = list(combinations(arms, 2))
    theirs = [real_sign(real[a], real[b], metric) for a, b in pairs]
    ours = [sign(middle[a], middle[b], metric) for a, b in pairs]
    against = {arm: real_sign(real[arm], real[BASE], metric) for arm in arms if BASE in real}
    told = {arm: one for arm, one in against.items() if one}
    wrong = tuple(
        arm for arm, one in told.items() if sign(middle[arm], middle[BASE], metric) != one
    )
    return Agreement(workload, metric, tau_b(theirs, ours), sum(map(abs, theirs)),
                     len(told) - len(wrong), len(told), wrong)  # fmt: skip


def pooled(rows: Sequence[Row], metrics: Iterable[tuple[str, str]]) -> float | None:
    """Tau-b over the pairs of schedulers of several workloads, each within its workload."""
    theirs: list[int] = []
    ours: list[int] = []
    for workload, metric in metrics:
        real, simulated = (figures(rows, where, workload, metric) for where in ("vm", "sim"))
        arms = sorted(real.keys() & simulated.keys())
        middle = {arm: statistics.median(simulated[arm].values()) for arm in arms}
        for a, b in combinations(arms, 2):
            theirs.append(real_sign(real[a], real[b], metric))
            ours.append(sign(middle[a], middle[b], metric))
    return tau_b(theirs, ours)


def table(rows: Sequence[Row], works: Sequence[Work]) -> str:
    """In Markdown: by workload and metric, then all of a workload, then of a metric."""
    lines = ["| workload | metric | tau | pairs | signs | wrong |",
             "| --- | --- | ---: | ---: | ---: | --- |"]  # fmt: skip
    found = [
        one
        for work in works
        for metric in work.metrics
        if (one := agreement(rows, work.workload.name, metric)) is not None
    ]
    for one in found:
        lines.append(f"| {one.workload} | {one.metric} | {_show(one.tau)} | {one.pairs} "
                     f"| {one.signs}/{one.differences} | {', '.join(one.wrong)} |")  # fmt: skip
    for name in dict.fromkeys(one.workload for one in found):
        mine = [one for one in found if one.workload == name]
        tau = pooled(rows, ((name, one.metric) for one in mine))
        lines.append(_total(f"| {name} | all {len(mine)}", tau, mine))
    for metric in dict.fromkeys(one.metric for one in found):
        mine = [one for one in found if one.metric == metric]
        tau = pooled(rows, ((one.workload, metric) for one in mine))
        lines.append(_total(f"| all {len(mine)} | {metric}", tau, mine))
    tau = pooled(rows, ((one.workload, one.metric) for one in found))
    lines.append(_total("| all | all", tau, found))
    return "\n".join(lines)


def _total(head: str, tau: float | None, of: Sequence[Agreement]) -> str:
    signs, differences = sum(one.signs for one in of), sum(one.differences for one in of)
    share = f" ({100 * signs / differences:.0f}%)" if differences else ""
    pairs = sum(one.pairs for one in of)
    return f"{head} | {_show(tau)} | {pairs} | {signs}/{differences}{share} | |"


def _show(tau: float | None) -> str:
    return "-" if tau is None else f"{tau:.2f}"


def beside(rows: Sequence[Row], one: Work) -> str:
    """The figures themselves: machine / simulator, medians over the seeds."""
    arms = list(dict.fromkeys(row.arm for row in rows if row.where == "vm"))
    lines = [f"| {one.workload.name} | " + " | ".join(one.metrics) + " |"]
    lines.append("| --- |" + " ---: |" * len(one.metrics))
    for arm in arms:
        cells = [_cell(rows, one.workload.name, metric, arm) for metric in one.metrics]
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(rows: Sequence[Row], workload: str, metric: str, arm: str) -> str:
    texts = []
    for where in ("vm", "sim"):
        values = figures(rows, where, workload, metric).get(arm)
        if not values:
            texts.append("-")
            continue
        value = statistics.median(values.values())
        texts.append(f"{value / 1e6:.3g}" if METRICS[metric].unit == "ns" else f"{value:.4g}")
    return " / ".join(texts)
