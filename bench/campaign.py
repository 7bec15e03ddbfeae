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
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any
from unittest import mock

from bench.adversaries import Attack, attack, bounds_of
from bench.campaign_record import Outcome, Wait, best_kinds, read, resumed, table
from bench.random_policies import drawn
from schedc.data import data_path, read_data
from schedc.ir.nodes import Policy
from schedc.pipeline import analyze, generate
from schedc.prove.parameters import declared
from schedc.prove.prove import prove
from schedc.prove.result import Proof, Verdict
from schedc.prove.solve import remember
from schedc.source import Source

ROOT = Path(__file__).resolve().parents[1]
SEARCH_STEPS = 4_000
"""Of the search for a run that refutes a policy which isn't proved."""

_LIMIT_S = 60.0
_CHUNK = 4


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
    """The shared object. Built as `schedc.sim.build` does, but not kept: nothing of a campaign is
    worth a cache; and without the C library, which the executable has. clang compiles within its
    own process if it has nothing else to do, so the linker is called here."""
    from schedc.sim.build import compiler

    policy, common = _target()["policy"], _target()["common"]
    found = compiler()
    c_file, made, shared = folder / "policy.bpf.c", folder / "policy.o", folder / "policy.so"
    c_file.write_text(subject.c_text, encoding="utf-8")
    flags = [*common["flags"], *(common["zig"] if found.kind == "zig" else ()), *policy["flags"]]
    flags += policy["variants"]["release"]
    flags += [f"-I{data_path(one)}" for one in policy["includes"]]
    if found.kind == "clang":
        plain = [flag for flag in flags if flag != "-shared" and not flag.startswith("-Wl,")]
        _call([*found.words, *plain, "-c", str(c_file), "-o", str(made)])
        _call([*_linker(), "-shared", "-Bsymbolic", str(made), "-o", str(shared)])
    else:
        _call([*found.words, *flags, "-nostdlib", str(c_file), "-o", str(shared)])
    return shared


def _call(command: Sequence[str]) -> None:
    subprocess.run(command, check=True)


@cache
def _linker() -> list[str]:
    from schedc.sim.build import compiler

    asked = [*compiler().words, "-print-prog-name=ld"]
    return [subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()]


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


def _begin() -> None:
    """Of a worker process."""
    os.nice(10)
    remember()


def worker(adversaries: Sequence[int], what: int | Path) -> Outcome:
    subject = random_subject(what) if isinstance(what, int) else shipped_subject(what)
    return judge(subject, adversaries)


def campaign(
    several: Sequence[int | Path], adversaries: Sequence[int], jobs: int, out: Path | None
) -> Iterator[Outcome]:
    """Outcomes as they come, in order; each is written at once."""
    runtime()
    with ProcessPoolExecutor(jobs, initializer=_begin) as pool:
        work = partial(worker, adversaries)
        for outcome in pool.map(work, several, chunksize=_CHUNK if len(several) > 64 else 1):
            if out is not None:
                with out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(outcome)) + "\n")
            yield outcome


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
    outcomes = resumed(given.out) if given.resume and given.out and given.out.exists() else []
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
