"""The prover against the simulator: random policies, adversaries, the generated C itself.

Input: how many policies and adversaries. Output: a line of JSON for each policy, and a table. Each
policy is drawn (bench/random_policies.py), proved, generated and compiled. If it is proved, every
adversary (bench/adversaries.py) tries to make somebody wait longer than W(N), N being counted for
that very wait; if a run refutes it, the generated C repeats the run step by step. Invariant: a
policy's line depends on its number alone, so that a broken-off campaign goes on with `--resume`.
Exit status 1, with commands that repeat it, if a bound is exceeded, a proved policy is thrown out,
or a refutation isn't confirmed.

    python -m bench.campaign --policies 10000 --adversaries 20 --out F [--resume] [--jobs N]
    python -m bench.campaign --policies 2000 --careless      those that are most often refuted
    python -m bench.campaign --library              the shipped policies and examples
    python -m bench.campaign --only 17 [--adversary 3] [--keep FOLDER]     one of them again
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

from bench.adversaries import KINDS, Attack, attack, bounds_of
from bench.random_policies import drawn
from schedc.data import data_path, read_data
from schedc.ir.nodes import Policy
from schedc.pipeline import analyze, generate
from schedc.prove.parameters import declared
from schedc.prove.prove import prove
from schedc.prove.result import Proof, Verdict
from schedc.source import Source

ROOT = Path(__file__).resolve().parents[1]
SEARCH_STEPS = 4_000
"""Of the search for a run that refutes a policy which isn't proved."""

_LIMIT_S = 60.0
_CHUNK = 4


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


@dataclass(frozen=True)
class Subject:
    """A policy, and its C."""

    name: str
    policy: Policy
    c_text: str
    tries: int = 1


def random_subject(number: int) -> Subject:
    made = drawn(number)
    c_text = generate(made.policy, made.source, sources=made.analysis.sources, counters=False)
    return Subject(f"random {number}", made.policy, c_text, made.tries)


def shipped_subject(path: Path) -> Subject:
    source = Source.from_text(path.name, path.read_text(encoding="utf-8"))
    analysis = analyze(source)
    assert analysis.policy is not None, path
    c_text = generate(analysis.policy, source, sources=analysis.sources, counters=False)
    return Subject(path.stem, analysis.policy, c_text)


def shipped() -> list[Path]:
    """The library, and the examples that are not there to be refuted."""
    return [
        *sorted(ROOT.glob("stdlib_policies/*.sched")), *sorted(ROOT.glob("examples/*/*.sched"))
    ]  # fmt: skip


def judge(subject: Subject, adversaries: Sequence[int]) -> Outcome:
    """Prove it, and let the simulator say whether that holds."""
    began = time.monotonic()
    proof = prove(subject.policy, declared(subject.policy))
    with tempfile.TemporaryDirectory(prefix="schedc-campaign-") as folder:
        if proof.verdict is Verdict.proved:
            found = _attacked(subject, proof, adversaries, Path(folder))
        else:
            found = _refuted(subject, proof, Path(folder))
    parts = {**found, "tries": subject.tries, "seconds": round(time.monotonic() - began, 3)}
    return Outcome(subject.name, **parts)


# --- proved ---------------------------------------------------------------------------------------


def _attacked(
    subject: Subject, proof: Proof, adversaries: Sequence[int], folder: Path
) -> dict[str, Any]:
    shared = compiled(subject, folder)
    waits: dict[str, Wait] = {}
    wrong: list[str] = []
    events = 0
    for number in adversaries:
        one = attack(subject.policy, proof, number)
        result = run(one, shared, folder)
        events += result["events"]
        for wait in waits_of(subject.policy, proof, number, result):
            if wait.ratio > 1:
                wrong.append(f"adversary {number}: {_told(wait)}")
            if wait.queue not in waits or wait.ratio > waits[wait.queue].ratio:
                waits[wait.queue] = wait
        verdict = result["verdict"]
        if verdict["kind"]:
            wrong.append(f"adversary {number}: {verdict['reason']}: {verdict['message']}")
    return {
        "verdict": "proved", "attacks": len(adversaries), "events": events,
        "waits": list(waits.values()), "wrong": wrong,
    }  # fmt: skip


def compiled(subject: Subject, folder: Path) -> Path:
    """The shared object. Built as `schedc.sim.build` does, but not optimised, which takes a third
    of the time, and not kept: nothing of a campaign is worth a cache."""
    from schedc.sim.build import compiler

    policy, common = _target()["policy"], _target()["common"]
    found = compiler()
    c_file, shared = folder / "policy.bpf.c", folder / "policy.so"
    c_file.write_text(subject.c_text, encoding="utf-8")
    flags = [*common["flags"], *(common["zig"] if found.kind == "zig" else ()), *policy["flags"]]
    includes = [f"-I{data_path(one)}" for one in policy["includes"]]
    subprocess.run(
        [*found.words, *flags, "-O0", *includes, str(c_file), "-o", str(shared)], check=True
    )
    return shared


@cache
def _target() -> dict[str, Any]:
    return tomllib.loads(read_data("backends/sim/target.toml"))


def run(one: Attack, shared: Path, folder: Path) -> dict[str, Any]:
    """One adversary's run: the runtime's result."""
    command = command_of(one, shared, folder)
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_LIMIT_S
        )
    except subprocess.TimeoutExpired:
        return _broken("the runtime does not end", "")
    if done.returncode:
        said = (done.stdout + done.stderr).strip()[-400:]
        return _broken(f"the runtime ended with {done.returncode}", said)
    return dict(json.loads(done.stdout))


def _broken(reason: str, message: str) -> dict[str, Any]:
    verdict = {"kind": -1, "reason": reason, "message": message}
    return {"events": 0, "adversary": [], "verdict": verdict}


def command_of(one: Attack, shared: Path, folder: Path) -> list[str]:
    """The command line, after its files were written."""
    files = {"machine": one.machine, "settings": one.settings, "adversary": one.text}
    command = [str(runtime()), "--scheduler", str(shared), "--no-counters",
               "--seed", str(one.number + 1), "--until", str(one.until_ns)]  # fmt: skip
    for name, text in files.items():
        path = folder / f"{name}-{one.number}"
        path.write_text(text, encoding="utf-8")
        command += [f"--{name}", str(path)]
    return command


def runtime() -> Path:
    """The simulator; asked for once, as the environment hands it on to the campaign's workers."""
    known = os.environ.get("SCHEDC_CAMPAIGN_RUNTIME")
    if known is None:
        from schedc.sim.build import runtime as built

        known = os.environ["SCHEDC_CAMPAIGN_RUNTIME"] = str(built())
    return Path(known)


def waits_of(
    policy: Policy, proof: Proof, adversary: int, result: dict[str, Any]
) -> Iterator[Wait]:
    """The worst wait of each queue, held against the exact bound."""
    bounds = bounds_of(policy, proof)
    names = [queue.name for queue in policy.queues]
    for told in result["adversary"]:
        number, worst = told["queue"], told["worst"]
        bound = bounds.get(number)
        if bound is None:
            continue
        yield Wait(
            names[number] if number >= 0 else "(placed)",
            bound.discipline if number >= 0 else "placed",
            adversary, worst["ns"], worst["contenders"], bound.wait_ns(worst["contenders"]),
        )  # fmt: skip


def _told(wait: Wait) -> str:
    return (
        f"a wait in {wait.queue} ({wait.discipline}) of {wait.ns} ns, "
        f"W({wait.contenders}) = {wait.bound_ns} ns"
    )


# --- not proved -----------------------------------------------------------------------------------


def _refuted(subject: Subject, proof: Proof, folder: Path) -> dict[str, Any]:
    """A run that refutes it, if one is found soon; then the generated C repeats it."""
    from schedc.model.replay import why_not as why_not_in_model
    from schedc.refute import search
    from schedc.refute.find import in_doubt, settings
    from schedc.sim.replay import Unplayable, replay

    failed = next(o for o in proof.obligations if o.verdict not in (Verdict.proved, Verdict.waived))
    reason = f"{failed.name}: {failed.reason}"[:160]
    if proof.verdict is Verdict.refuted:
        return {"verdict": "refuted", "reason": reason}
    parameters = declared(subject.policy)
    policy = replace(subject.policy, weight=parameters.weight)
    wanted = in_doubt(policy, proof)
    if not wanted:
        return {"verdict": "unproven", "reason": reason}
    with mock.patch.object(search, "BUDGET", SEARCH_STEPS):
        found = search.Search(policy, parameters, wanted).run(next(settings(policy, parameters)))
    told = None if found is None else json.loads(json.dumps(found.as_json()))
    # As `schedc prove` does: a run that passes an assumption, or that does not repeat, is none.
    if told is None or why_not_in_model(told, policy) is not None:
        return {"verdict": "unproven", "reason": reason}
    try:
        why_not = replay(told, policy, runtime(), compiled(subject, folder)).why_not
    except Unplayable as unplayable:
        return {"verdict": "refuted", "reason": reason, "replay": f"not playable: {unplayable}"}
    return {
        "verdict": "refuted", "reason": reason, "replay": why_not or "confirmed",
        "wrong": [f"the C does not repeat the refutation: {why_not}"] if why_not else [],
    }  # fmt: skip


# --- all of it ------------------------------------------------------------------------------------


def worker(adversaries: Sequence[int], what: int | Path) -> Outcome:
    subject = random_subject(what) if isinstance(what, int) else shipped_subject(what)
    return judge(subject, adversaries)


def campaign(
    several: Sequence[int | Path], adversaries: Sequence[int], jobs: int, out: Path | None
) -> Iterator[Outcome]:
    """Outcomes as they come, in order; each is written at once."""
    runtime()
    with ProcessPoolExecutor(jobs, initializer=os.nice, initargs=(10,)) as pool:
        work = partial(worker, adversaries)
        for outcome in pool.map(work, several, chunksize=_CHUNK if len(several) > 64 else 1):
            if out is not None:
                with out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(outcome)) + "\n")
            yield outcome


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


def _resumed(path: Path) -> list[Outcome]:
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


def _again(outcome: Outcome, wrong: str) -> str:
    number = outcome.name.removeprefix("random ")
    adversary = wrong.split(":")[0].removeprefix("adversary ")
    which = f" --adversary {adversary}" if adversary.isdigit() else ""
    what = f"--only {number}" if outcome.name != number else f"--library --name {number}"
    return f"python -m bench.campaign {what}{which} --keep FOLDER"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--policies", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="the first policy's number")
    parser.add_argument("--adversaries", type=int, default=20)
    parser.add_argument("--careless", action="store_true", help="those with a careless line only")
    parser.add_argument("--library", action="store_true")
    parser.add_argument("--name", help="of the library's, this one only")
    parser.add_argument("--only", type=int)
    parser.add_argument("--adversary", type=int)
    parser.add_argument("--keep", type=Path, help="of a single policy: its files, for a look")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--table", type=Path, help="of a file that a campaign wrote")
    given = parser.parse_args()
    if given.table:
        print(table(read(given.table)))
        return 0
    several: list[int | Path] = list(range(given.first, given.first + given.policies))
    if given.careless:
        several = [
            number for number in several if isinstance(number, int) and drawn(number).careless
        ]
    if given.library:
        several = [path for path in shipped() if given.name in (None, path.stem)]
    if given.only is not None:
        several = [given.only]
    adversaries = range(given.adversaries) if given.adversary is None else [given.adversary]
    if given.keep:
        _keep(several[0], adversaries, given.keep)
    outcomes = _resumed(given.out) if given.resume and given.out and given.out.exists() else []
    done = {outcome.name for outcome in outcomes}
    several = [one for one in several if f"random {one}" not in done]
    for outcome in campaign(several, adversaries, given.jobs, given.out):
        outcomes.append(outcome)
        for wrong in outcome.wrong:
            print(f"{outcome.name}: {wrong}\n  {_again(outcome, wrong)}", file=sys.stderr)
        if len(outcomes) % 100 == 0:
            print(f"{len(outcomes)} policies", file=sys.stderr, flush=True)
    print(table(outcomes))
    print("Worst waits found by: " + ", ".join(f"{k} {n}" for k, n in best_kinds(outcomes).items()))
    return 1 if any(outcome.wrong for outcome in outcomes) else 0


def _keep(what: int | Path, adversaries: Sequence[int], folder: Path) -> None:
    """The policy, its C and its shared object, and the command lines of its adversaries."""
    subject = random_subject(what) if isinstance(what, int) else shipped_subject(what)
    folder.mkdir(parents=True, exist_ok=True)
    text = drawn(what).text if isinstance(what, int) else what.read_text(encoding="utf-8")
    (folder / "policy.sched").write_text(text, encoding="utf-8")
    (folder / "policy.c").write_text(subject.c_text, encoding="utf-8")
    shared = compiled(subject, folder)
    proof = prove(subject.policy, declared(subject.policy))
    if proof.verdict is Verdict.proved:
        for number in adversaries:
            print(" ".join(command_of(attack(subject.policy, proof, number), shared, folder)))


if __name__ == "__main__":
    sys.exit(main())
