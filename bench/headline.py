"""The paper's headline figures on our workloads: the kernel's default scheduler, the best policy of
the library, and what the search engine finds.

Input: which figures. Output: a table in Markdown, and a JSON line for each figure into --out, with
the policies' texts. What --out holds already isn't searched again. With --vm the winners also run
on a real kernel, in the virtual machine with 2 cpus, under the same workloads.

    python -m bench.headline --out headline.jsonl
    python -m bench.headline --out headline.jsonl --vm

Simulated: 8 cpus, chosen on the seeds from 1, measured on 20 others (`bench.found`). The paper's
figures are of other machines and other programs; they stand beside ours for scale only.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.found import Arm, interval, median, scenario, search
from schedc.synth.goal import unit_of, with_implied
from schedc.synth.infer import infer
from schedc.synth.messages import Ratio


@dataclass(frozen=True, slots=True)
class Figure:
    """One search. `shown`: the metrics of its rows, the first is the goal's; `paper`: what the
    paper has for each."""

    name: str
    workload: str
    words: str
    shown: tuple[str, ...]
    paper: Mapping[str, str]
    params: tuple[str, ...] = ()
    brief: tuple[str, ...] = ()
    """Parameters in the virtual machine, which is slow."""


_FAST = ("duration=1s", "warmup=100ms")
FIGURES = (
    Figure("schbench-p99", "schbench", "low p99 request latency", ("request_p99", "throughput"),
           {"request_p99": "1/2.11", "throughput": "1.60"}, brief=_FAST),
    Figure("schbench-throughput", "schbench", "more throughput", ("throughput", "request_p99"),
           {"throughput": "1.60", "request_p99": "1/2.11"}, brief=_FAST),
    Figure("wakeup-p99", "wakeup", "low p99", ("wakeup_p99", "request_p99", "throughput"),
           {"request_p99": "1/2.11", "throughput": "1.60"}, brief=_FAST),
    Figure("wakeup-throughput", "wakeup", "more throughput", ("throughput", "wakeup_p99"),
           {"throughput": "1.60"}, brief=_FAST),
    Figure("request-p99", "request", "low p99 request latency", ("request_p99", "throughput"),
           {"request_p99": "1/2.11"}, brief=_FAST),
    Figure("batch-mean", "batch", "min mean completion", ("mean_completion", "last_short"),
           {"mean_completion": "0.80"}),
    Figure("compile", "compile", "min makespan", ("makespan", "mean_completion"),
           {"makespan": "1/1.79"}, brief=("jobs=60", "compiler=10ms")),
)  # fmt: skip


def searched(figure: Figure, seconds: float, jobs: int | None) -> dict[str, Any]:
    """One search, as it is written down."""
    held = search(figure.words, figure.workload, figure.params, seconds, jobs)
    return {
        "figure": figure.name, "goal": held.goal.key, "seconds": held.seconds,
        "candidates": held.candidates,
        "default": {name: median(held.default, name) for name in held.default.values},
        "library": _arm(held.library), "found": _arm(held.found),
    }  # fmt: skip


def _arm(arm: Arm | None) -> dict[str, Any] | None:
    if arm is None:
        return None
    return {
        "how": arm.how, "text": arm.text,
        "ratios": {one.metric: [one.median, one.other, one.ratio, one.low, one.high, one.finding]
                   for one in arm.ratios},
    }  # fmt: skip


def tried(figure: Figure, text: str, kernel: str) -> dict[str, Any]:
    """A policy on a real kernel: what it says of the goal's metric, and the ratios."""
    from schedc.synth.trial import try_on_kernel

    where = scenario(figure.workload, (*figure.params, *figure.brief))
    goal = with_implied(infer(figure.words, where.workload.metrics), where.workload.metrics)
    found = try_on_kernel(text, goal, where.workload, where.settings, kernel=kernel)
    return {
        "where": found.where, "verdict": found.verdict, "why": found.why,
        "ratios": {one.metric: [one.median, one.other, one.ratio, one.low, one.high, one.finding]
                   for one in found.ratios},
    }  # fmt: skip


HEAD = (
    "| search | metric | eevdf | best shipped | ratio | found | ratio | on a kernel | paper |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


def rows(figure: Figure, one: Mapping[str, Any]) -> Iterator[str]:
    """The rows of one search."""
    for number, metric in enumerate(figure.shown):
        cells = [figure.name if number == 0 else "", metric, _value(metric, one["default"][metric])]
        for arm in ("library", "found"):
            said = one[arm]
            cells += [_how(said["how"]) if number == 0 else "", _ratio(said, metric)] if said else [
                "none is better", ""]
        vm = one.get("vm", {}).get("found")
        cells.append(_on_kernel(vm, metric) if vm else "not run")
        cells.append(figure.paper.get(metric, ""))
        yield "| " + " | ".join(cells) + " |"


def _on_kernel(vm: Mapping[str, Any], metric: str) -> str:
    return _ratio(vm, metric) or f"{vm['verdict']}: {vm['why']}"


def _ratio(arm: Mapping[str, Any], metric: str) -> str:
    said = arm["ratios"].get(metric)
    return interval(Ratio(metric, *said)) if said else ""


def _how(how: str) -> str:
    return how.removesuffix(" as it stands").replace("stdlib/", "")


def _value(metric: str, value: float) -> str:
    return f"{value / 1e6:.4g} ms" if unit_of(metric) == "ns" else f"{value:.4g}"


def read(out: Path) -> dict[str, dict[str, Any]]:
    """What was searched already; the last line of a figure counts."""
    if not out.exists():
        return {}
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    return {one["figure"]: one for one in lines}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--figures", default=",".join(one.name for one in FIGURES))
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--vm", action="store_true")
    parser.add_argument("--kernel", default="latest")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    known = read(options.out)
    print(HEAD)
    for figure in FIGURES:
        if figure.name not in options.figures.split(","):
            continue
        one = known.get(figure.name)
        if one is None:
            one = searched(figure, options.seconds, options.jobs)
            _keep(options.out, one)
        if options.vm and "vm" not in one:
            arms = {name: one[name]["text"] for name in ("library", "found") if one[name]}
            one["vm"] = {name: tried(figure, text, options.kernel) for name, text in arms.items()}
            _keep(options.out, one)
        for row in rows(figure, one):
            print(row)
        sys.stdout.flush()


def _keep(out: Path, one: Mapping[str, Any]) -> None:
    with out.open("a") as lines:
        lines.write(json.dumps(one) + "\n")


if __name__ == "__main__":
    main()
