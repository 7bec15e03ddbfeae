"""How long proofs take: by policy, and how that grows with classes, queues and tunables.

    python -m bench.prove [--runs 5] [--json]

Input: the shipped policies, and policies made here of so many classes, queues and tunables. Output:
a table (or JSON): time to prove (obligations made, printed and solved; nothing cached), to take a
proof from the cache as `schedc check` does with an unchanged file, and to check a certificate again
with cvc5. Times are cpu time of this one process (nothing in it waits, so that on an idle machine
it is the time that passes), medians of runs after one that is not counted; growth is told as ratios
within one run, which a slow machine changes little. A benchmark reports; it is no test, and never
fails on time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from schedc.pipeline import Analysis, analyze, policy_bytes, prove
from schedc.prove.certificate import certify
from schedc.prove.recheck import Files, recheck
from schedc.prove.result import Proof, Verdict
from schedc.source import Source

ROOT = Path(__file__).parents[1]
CLASSES = (1, 2, 4, 8, 16)
QUEUES = (1, 2, 4, 8)
TUNABLES = (0, 2, 4, 8, 12)


@dataclass(frozen=True)
class Row:
    """Times in ms; `recheck` is None where there is nothing to check again."""

    name: str
    verdict: str
    obligations: int
    prove: float
    cached: float
    recheck: float | None


def made(classes: int = 1, queues: int = 1, tunables: int = 0) -> str:
    """A policy of that size: queues in order of arrival and by vtime by turns, each with a share of
    the time but the last; classes by weight, one queue after the other."""
    lines = ["policy made 1.0.0", "assume runnable <= 16 per cpu", "assume weight in 50..200"]
    lines += [f"tune t{i} = 8ms in 4ms..8ms" for i in range(tunables)]
    keyed = [i % 2 == 1 for i in range(queues)]
    for i, by_key in enumerate(keyed):
        order = "by vtime within -20ms..100ms drift 1/64" if by_key else "fifo"
        lines.append(f"queue q{i} {order}")
    lines += [f"state task.v{i} : vtime of q{i}" for i, by_key in enumerate(keyed) if by_key]
    lines += [f"class c{i} when weight > {200 - i * 9}" for i in range(classes - 1)]
    lines.append(f"class c{classes - 1}")
    charges = [f"task.v{i} += charge(ran)" for i, by_key in enumerate(keyed) if by_key]
    lines += [f"on stop {{ {'  '.join(charges)} }}"] if charges else []
    # More queues than classes: the rest stay empty, but for a rule that the first class has.
    for i in range(classes):
        queue = i % queues
        key = f" key task.v{queue}" if keyed[queue] else ""
        slice_ = f"tune.t{i % tunables}" if tunables else "8ms"
        lines.append(f"enqueue c{i} to q{queue}{key} slice {_all(slice_, i, classes, tunables)}")
    share, period = 80 // max(queues - 1, 1), min(400 * queues, 1000)
    lines.append("dispatch {")
    lines += [f"  take q{i} at most {share}% every {period}ms" for i in range(queues - 1)]
    return "\n".join([*lines, f"  take q{queues - 1}", "}"]) + "\n"


def _all(slice_: str, rule: int, classes: int, tunables: int) -> str:
    """A slice that reads its part of the tunables, so that all of them are read."""
    mine = [f"tune.t{i}" for i in range(rule, tunables, classes)]
    for one in mine[1:]:
        slice_ = f"min({slice_}, {one})"
    return slice_ if not mine else slice_.replace(slice_.split("(")[-1].split(",")[0], mine[0], 1)


def median_ms(run: Callable[[], object], runs: int) -> float:
    """Of several runs, after one that is not counted."""
    run()
    took = []
    for _ in range(runs):
        began = time.process_time()
        run()
        took.append((time.process_time() - began) * 1000)
    return round(statistics.median(took), 2)


def measured(name: str, source: Source, analysis: Analysis, runs: int) -> Row:
    def cold() -> Proof:
        return prove(analysis, source, cached=False)

    proof = cold()
    again = None
    if proof.verdict is Verdict.proved:
        data = certify(proof, policy_bytes(source, analysis.sources), {}).encode()
        again = median_ms(lambda: recheck(data, Files()), runs)
    cached = median_ms(lambda: prove(analyze(source), source), runs)
    took = median_ms(cold, runs)
    return Row(name, proof.verdict.value, len(proof.obligations), took, cached, again)


def of(name: str, text: str, runs: int) -> Row:
    source = Source.from_text(name, text)
    analysis = analyze(source)
    assert analysis.policy is not None, (name, [one.message for one in analysis.diagnostics])
    return measured(name, source, analysis, runs)


def shipped(runs: int) -> Iterator[Row]:
    paths = [*(ROOT / "stdlib_policies").glob("*.sched"), *(ROOT / "examples").glob("*/*.sched")]
    for path in sorted(paths):
        yield of(path.stem, path.read_text(), runs)


def growth(runs: int) -> Iterator[Row]:
    for n in CLASSES:
        yield of(f"classes {n}", made(classes=n), runs)
    for n in QUEUES:
        yield of(f"queues {n}", made(classes=n, queues=n), runs)
    for n in TUNABLES:
        yield of(f"tunables {n}", made(classes=2, tunables=n), runs)


def table(rows: list[Row], ratios: bool) -> Iterator[str]:
    yield f"{'':16} {'verdict':9} obligations  prove ms  cached ms  recheck ms"
    first: dict[str, float] = {}
    for row in rows:
        kind = row.name.split()[0]
        again = f"{row.recheck:10.1f}" if row.recheck is not None else f"{'-':>10}"
        line = f"{row.name:16} {row.verdict:9} {row.obligations:11} {row.prove:9.1f}"
        ratio = f"   {row.prove / first.setdefault(kind, row.prove):5.2f} x" if ratios else ""
        yield f"{line} {row.cached:10.1f}  {again}{ratio}"


def summary(rows: list[Row]) -> dict[str, float]:
    """Medians and 95th percentiles over the shipped policies, in ms."""
    whole = sorted(row.prove + (row.recheck or 0) for row in rows)
    cached = sorted(row.cached for row in rows)
    return {
        "prove and recheck, median": round(statistics.median(whole), 1),
        "prove and recheck, p95": round(whole[-(-95 * len(whole) // 100) - 1], 1),
        "unchanged file, median": round(statistics.median(cached), 1),
        "unchanged file, p95": round(cached[-(-95 * len(cached) // 100) - 1], 1),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder  # the user's own cache stays as it is
        ours, grown = list(shipped(given.runs)), list(growth(given.runs))
    if given.json:
        rows = {"shipped": [asdict(r) for r in ours], "growth": [asdict(r) for r in grown]}
        print(json.dumps({**rows, "summary": summary(ours)}, indent=1))
        return
    print("\n".join([*table(ours, False), "", *table(grown, True), ""]))
    for what, took in summary(ours).items():
        print(f"{what}: {took} ms")


if __name__ == "__main__":
    main()
