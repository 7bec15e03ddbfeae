"""What a campaign writes down: a line of JSON for each policy, and the table of them all.

Input: outcomes, or a file of them. Output: the same, and Markdown. Invariant: a file that was
broken off in the middle of a line is read up to that line, and goes on with a line of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from bench.adversaries import KINDS


@dataclass(frozen=True)
class Wait:
    """The wait that came nearest to its bound, of one queue under one adversary."""

    queue: str
    discipline: str
    adversary: int
    ns: int
    contenders: int
    bound_ns: int

    @property
    def ratio(self) -> float:
        return self.ns / self.bound_ns


@dataclass(frozen=True)
class Outcome:
    """Of one policy. `waits`: the worst of each queue. `wrong`: what speaks against the proof, or
    against a refutation. `attacks`: how many adversaries ran; `events`: what they did in all.
    `replay`: of a refutation: confirmed, or why not; empty without one."""

    name: str
    verdict: str
    reason: str = ""
    attacks: int = 0
    events: int = 0
    waits: list[Wait] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    replay: str = ""
    tries: int = 1
    seconds: float = 0.0


def read(path: Path) -> list[Outcome]:
    """What a campaign has written; a last line that was cut off is left out."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            told = json.loads(line)
        except ValueError:
            continue
        told["waits"] = [Wait(**wait) for wait in told["waits"]]
        found.append(Outcome(**told))
    return found


def resumed(path: Path) -> list[Outcome]:
    """What is there; a line that was cut off goes, so that the next one has a line of its own."""
    found = read(path)
    fresh = path.with_suffix(".new")
    fresh.write_text("".join(json.dumps(asdict(one)) + "\n" for one in found), encoding="utf-8")
    fresh.replace(path)
    return found


def table(outcomes: Sequence[Outcome]) -> str:
    """For people, as Markdown."""
    count = {v: sum(o.verdict == v for o in outcomes) for v in ("proved", "refuted", "unproven")}
    replays = [o.replay for o in outcomes if o.replay]
    attacks = sum(o.attacks for o in outcomes)
    exceeded = sum(any("W(" in one for one in o.wrong) for o in outcomes)
    out = sum(o.verdict == "proved" and bool(o.wrong) for o in outcomes) - exceeded
    lines = [
        f"{len(outcomes)} policies: {count['proved']} proved, {count['refuted']} refuted, "
        f"{count['unproven']} unproven; {attacks} runs of adversaries, "
        f"{sum(o.events for o in outcomes) / 1e6:.1f} million scheduling events.",
        f"Proved bounds exceeded: {exceeded}; proved policies thrown out or broken: {out}.",
        f"Refutations repeated by the generated C: {replays.count('confirmed')} of "
        f"{sum(not one.startswith('not playable') for one in replays)}.",
        "",
        "| discipline | queues | median | p90 | max |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]  # fmt: skip
    ratios: dict[str, list[float]] = {}
    for outcome in outcomes:
        for wait in outcome.waits:
            ratios.setdefault(wait.discipline, []).append(wait.ratio)
    for discipline, several in sorted(ratios.items()):
        several.sort()
        p90 = several[min(len(several) * 9 // 10, len(several) - 1)]
        lines.append(
            f"| {discipline} | {len(several)} | {median(several):.3f} | {p90:.3f} "
            f"| {several[-1]:.3f} |"
        )
    return "\n".join(lines)


def best_kinds(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """How often each kind of adversary found a queue's worst wait."""
    found = dict.fromkeys(KINDS, 0)
    for outcome in outcomes:
        for wait in outcome.waits:
            found[KINDS[wait.adversary % len(KINDS)]] += wait.discipline != "placed"
    return found
