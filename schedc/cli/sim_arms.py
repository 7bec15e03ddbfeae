"""The schedulers that `schedc sim` compares, from what stands on the command line.

Input: POLICY and the names of `--against`: a policy file, the name of one of the library's, a
sched_ext C file, or a scheduler that the simulator has itself. Output: an `Arm` for each, with
proved bounds where there is a proof. Invariant: mistakes in a policy end in a `Failure` with
diagnostics against its lines; a policy without a proof is simulated all the same, with a note.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from schedc.cli.compile import analyzed
from schedc.cli.console import Console
from schedc.cli.failure import Failure, cannot_read
from schedc.cli.policy_object import find_policy, settings_of
from schedc.cli.proving import Asked, proved
from schedc.diagnostics.model import Diagnostic, diagnostic, error
from schedc.diagnostics.render.located import Sources
from schedc.pipeline import Analysis
from schedc.sim.scenario import BUILT_IN, Arm
from schedc.source import Source
from schedc.toolchain.compile import line_name

_MAX_C_BYTES = 4 << 20


def arms(policy: str, against: str, tunes: Iterable[str]) -> tuple[Arm, ...]:
    """POLICY first, then the others in the order of `--against`; no two have the same name."""
    # A policy of the library may be called fifo: as POLICY it is meant, as a baseline it isn't.
    first = _built_in(policy) if policy == "eevdf" else _arm(policy, tunes)
    found = [first]
    for name in [one.strip() for one in against.split(",")]:
        if name in ("", "none"):
            continue
        one = _built_in(name) if name in BUILT_IN else _arm(name, ())
        found.append(_named(one, {arm.name for arm in found}))
    return tuple(found)


def _built_in(name: str) -> Arm:
    return Arm(name, built_in=name)


def _named(arm: Arm, taken: set[str]) -> Arm:
    """An arm under a name that no other has."""
    if arm.name not in taken:
        return arm
    mark = "built in" if arm.built_in else "second"
    name, number = f"{arm.name} ({mark})", 2
    while name in taken:
        number += 1
        name = f"{arm.name} ({number})"
    return replace(arm, name=name)


def _arm(name: str, tunes: Iterable[str]) -> Arm:
    return _c_file(name, tunes) if name.endswith(".c") else _policy(name, tuple(tunes))


def _c_file(name: str, tunes: Iterable[str]) -> Arm:
    """A scheduler written in C: nothing is known of it but its text."""
    if tuple(tunes):
        raise Failure(error(
            "E0903", "--set is for a policy's tunables; a C file has no such names", None
        ))  # fmt: skip
    path = Path(name)
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_C_BYTES + 1)
    except OSError as failure:
        raise cannot_read(name, failure) from failure
    if len(data) > _MAX_C_BYTES:
        raise Failure(error("E0903", f"`{name}` is longer than {_MAX_C_BYTES >> 20} MiB", None))
    stem = path.name.removesuffix(".c").removesuffix(".bpf")
    text = f'#line 1 "{line_name(path.name)}"\n{data.decode(errors="replace")}'
    return Arm(stem, c_text=text, folder=path.resolve().parent)


def _policy(name: str, tunes: tuple[str, ...]) -> Arm:
    from schedc.pipeline import generate

    source, analysis = analyzed(find_policy(name), "<stdin>")
    typed = analysis.policy
    assert typed is not None
    Console.current().report([(analysis.diagnostics, Sources(source, analysis.sources))])
    arm = Arm(
        typed.name,
        c_text=generate(typed, source, sources=analysis.sources),
        settings=settings_of(typed, tunes).text(),
        classes=tuple(one.name for one in typed.classes),
        queues=tuple(one.name for one in typed.queues),
        source=source,
        files=_named_files(source, analysis),
    )
    return _with_bounds(arm, source, analysis)


def _named_files(source: Source, analysis: Analysis) -> dict[str, str]:
    """What `#line` directives of the generated C name."""
    named = {line_name(f"{name}.sched"): base.text for name, base in analysis.sources.items()}
    return {**named, line_name(source.name): source.text}


def _with_bounds(arm: Arm, source: Source, analysis: Analysis) -> Arm:
    """The arm with what is proved of it; without a proof, a note says so."""
    from schedc.prove.result import Verdict

    proof = proved(source, analysis, Asked())
    if proof.verdict is Verdict.proved:
        return replace(arm, bounds=proof.bounds, contenders=proof.runnable)
    Console.current().report([((_unproven(arm.name, proof.verdict.value, source.name),), None)])
    return arm


def _unproven(name: str, verdict: str, file: str) -> Diagnostic:
    return diagnostic(
        "N0900", f"`{name}` is simulated without a proof: it is {verdict}", None,
        notes=[f"`schedc prove {file}` says why"],
    )  # fmt: skip
