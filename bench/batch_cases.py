"""The eight batch cases, 39 short jobs and a long one: what search finds for two goals.

Input: which cases. Output: a table, and a JSON line for each search into --out, with the policy's
text. For each case also a bound that no scheduler can pass: all work over all that the machine
gives, or the long job alone on a core.

    python -m bench.batch_cases --out cases.jsonl
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.found import FRESH, HELD_RUNS, Held, interval, median, scenario, search
from schedc.sim.run import simulate
from schedc.sim.scenario import Arm, Options

CASES = (
    "compression", "video_transcode", "ctest_suite", "git_add_different", "file_checksum",
    "hotkey_aggregation", "ddos_log_analysis", "viral_product_analytics",
)  # fmt: skip
PAPER = {
    "compression": (8.77, 7.15), "video_transcode": (23.5, 17.6), "ctest_suite": (22.8, 16.8),
    "git_add_different": (10.95, 6.98), "file_checksum": (1.47, 1.39),
    "hotkey_aggregation": (10.7, 10.3), "ddos_log_analysis": (6.31, 5.06),
    "viral_product_analytics": (6.64, 5.36),
}  # fmt: skip
"""The paper's makespans in seconds, under the default scheduler and under its own."""

GOALS = {"makespan": "min makespan", "mean_completion": "min mean completion"}
_TASKS = 40


def bounds(case: str) -> float:
    """The makespan that no scheduler can beat, ms, the median over the fresh seeds. On 64 cores
    each job runs alone: the longest is the makespan, all of them the mean times their number."""
    where = scenario("batch", [f"case={case}"])
    free = scenario("batch", [f"case={case}"], {"cpus": 64, "llcs": 1, "smt": 1})
    report = simulate([Arm("alone", built_in="eevdf")], free,
                      Options(runs=HELD_RUNS, first_seed=FRESH))  # fmt: skip
    machine = where.machine
    cores = len({one.core for one in machine.cpus})
    threads = len(machine.cpus) // cores
    speed = cores * max(1.0, threads * machine.smt_speed / 1000)
    least = []
    for run in report.runs:
        assert run.result is not None
        longest, mean = run.result.value("makespan"), run.result.value("mean_completion")
        assert longest is not None and mean is not None
        least.append(max(longest, mean * _TASKS / speed))
    return statistics.median(least) / 1e6


def rows(cases: Sequence[str], seconds: float, jobs: int | None, out: Path) -> Iterator[str]:
    """A row for each case and goal, as it is done."""
    for case in cases:
        least = bounds(case)
        for metric, words in GOALS.items():
            held = search(words, "batch", [f"case={case}"], seconds, jobs)
            with out.open("a") as lines:
                lines.write(json.dumps(_json(case, metric, least, held)) + "\n")
            yield _row(case, metric, least, held)


def _row(case: str, metric: str, least: float, held: Held) -> str:
    before, after = PAPER[case]
    default = median(held.default, metric) / 1e6
    found, shipped = held.found, held.library
    cells = [
        case, metric.replace("_", " "), f"{default:.4g}",
        f"{least:.4g}" if metric == "makespan" else "",
        f"{_name(shipped.how)} {interval(shipped.of(metric))}" if shipped else "-",
        f"{median(found.figures, metric) / 1e6:.4g}" if found else "-",
        interval(found.of(metric)) if found else "none better",
        interval(found.of("last_short")) if found else "-",
        found.how if found else "",
        f"{after / before:.2f}" if metric == "makespan" else "",
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def _name(how: str) -> str:
    return how.split(" ")[0].rpartition("/")[2]


def _json(case: str, metric: str, least: float, held: Held) -> dict[str, object]:
    found = held.found
    return {
        "case": case, "metric": metric, "least_ms": least, "seconds": held.seconds,
        "candidates": held.candidates, "how": found.how if found else "",
        "ratios": {one.metric: (one.ratio, one.low, one.high, one.finding)
                   for one in (found.ratios if found else ())},
        "text": found.text if found else "",
    }  # fmt: skip


HEAD = (
    "| case | goal | eevdf, ms | least, ms | best shipped: ratio | found, ms | ratio | last short |"
    " what was found | paper |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    print(HEAD)
    for row in rows(options.cases.split(","), options.seconds, options.jobs, options.out):
        print(row)
        sys.stdout.flush()


if __name__ == "__main__":
    main()
