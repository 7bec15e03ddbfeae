"""check, prove, compile.

Input: a policy. Output: diagnostics, a proof, C and an object's hashes. Invariant: an object is
spoken of only if the policy is proved; nothing is written but the proof's cache.
"""

from __future__ import annotations

import hashlib

from schedc.diagnostics.model import Diagnostic
from schedc.diagnostics.render.located import Sources
from schedc.mcp import arguments as take, results as give
from schedc.mcp.refusal import Refused, listed, rendered
from schedc.mcp.setup import Setup
from schedc.mcp.sources import (
    Read,
    parameters,
    proved,
    read,
    settings,
    source_of,
    why_not,
)
from schedc.pipeline import analyze, generate, policy_bytes
from schedc.prove import report
from schedc.prove.certificate import certify, claim, identity
from schedc.prove.result import Proof, Verdict
from schedc.records import dataclass
from schedc.toolchain import compile_c, find_compiler
from schedc.toolchain.compile import built
from schedc.toolchain.mark import proof_mark


def check(arguments: take.Check, setup: Setup) -> give.Checked:
    del setup
    source = source_of(arguments)
    analysis = analyze(source)
    sources = Sources(source, analysis.sources)
    if analysis.policy is None:
        raise Refused(*analysis.diagnostics, sources=sources)
    found = Read(source, analysis)
    if not arguments.proof:
        return _checked(found, None, analysis.diagnostics)
    proof = proved(found)
    unproved(found, proof)
    return _checked(found, proof, analysis.diagnostics)


def prove(arguments: take.Prove, setup: Setup) -> give.Proved:
    del setup
    found = read(arguments)
    wanted = parameters(found.policy, arguments.runnable, arguments.set)
    proof = proved(found, wanted)
    unproved(found, proof)
    return give.Proved(
        ok=True, policy=proof.policy, version=proof.version,
        diagnostics=[
            give.Finding(**one) for one in listed(found.analysis.diagnostics, found.sources)
        ],
        verdict=proof.verdict.value, bounds=_bounds(proof), runnable=proof.runnable,
        obligations=[
            {"name": one.name, "statement": one.statement, "verdict": one.verdict.value,
             "reason": one.reason}
            for one in proof.obligations
        ],
        assumptions=[
            {"code": one.code, "assumption": one.text, "value": one.value}
            for one in proof.assumptions
        ],
        text=report.full(proof, details=False),
    )  # fmt: skip


def compile_policy(arguments: take.Compile, setup: Setup) -> give.Compiled:
    del setup
    found = read(arguments)
    proof = proved(found)
    unproved(found, proof)
    text = generate(found.policy, found.source, sources=found.analysis.sources)
    made = build(found, proof, text) if arguments.object else None
    lines = [
        report.line(proof), f"C: {len(text.encode())} bytes, sha256 {_sha256(text.encode())}",
    ]
    if made is not None:
        lines.append(f"object: {len(made.object)} bytes, sha256 {_sha256(made.object)}, "
                     f"by {made.compiler}")
        lines.append(f"certificate: sha256 {_sha256(made.certificate.encode())}")
    if arguments.c_text:
        lines += ["", text]
    return give.Compiled(
        policy=proof.policy, version=proof.version, verdict=proof.verdict.value,
        c_sha256=_sha256(text.encode()), c_bytes=len(text.encode()),
        c=text if arguments.c_text else None,
        object_sha256=_sha256(made.object) if made else None,
        object_bytes=len(made.object) if made else None,
        compiler=made.compiler if made else None,
        certificate_sha256=_sha256(made.certificate.encode()) if made else None,
        text="\n".join(lines),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Built:
    """A proved policy's object and the certificate that binds it."""

    object: bytes
    certificate: str
    compiler: str


def build(found: Read, proof: Proof, text: str) -> Built:
    """The object of a proved policy; `text` is its C."""
    assert proof.verdict is Verdict.proved
    compiler = find_compiler()
    if isinstance(compiler, Diagnostic):
        raise Refused(compiler)
    sources = policy_bytes(found.source, found.analysis.sources)
    mark = proof_mark(identity(claim(proof, sources)))
    done = compile_c(
        text, compiler, source=found.source, bases=found.analysis.sources, mark=mark
    )
    if done.object is None:
        raise Refused(*done.diagnostics, sources=found.sources)
    parts = {**built(text, done.object, compiler, mark), "names": _names(found)}
    certificate = certify(proof, sources, parts)
    return Built(done.object, certificate, f"{compiler.kind} {compiler.version}")


def _names(found: Read) -> dict[str, list[str]]:
    """What an object knows only by number."""
    paths = settings(found.policy, {})
    return {
        "classes": [one.name for one in found.policy.classes],
        "queues": [one.name for one in found.policy.queues],
        "cgroups": list(paths.cgroups), "exes": list(paths.exes),
    }  # fmt: skip


def unproved(found: Read, proof: Proof) -> None:
    """Ends the call, with the run that refutes it, if the policy isn't proved."""
    failed = why_not(proof)
    if proof.verdict is Verdict.proved:
        return
    raise Refused(
        *found.analysis.diagnostics, *failed, sources=found.sources, more=_story(found, proof)
    )


def _story(found: Read, proof: Proof) -> str:
    """The run that refutes a policy, told; empty if there is none."""
    if proof.run is None:
        return ""
    from schedc.refute.story import tell

    told = tell(proof.run, found.policy, found.source, alone=False)
    # How to replay it is for who has the file.
    return told.partition("\nreplay: ")[0]


def _checked(
    found: Read, proof: Proof | None, diagnostics: tuple[Diagnostic, ...]
) -> give.Checked:
    said = rendered(diagnostics, found.sources)
    line = f"{found.policy.name} {found.policy.version}: "
    line += report.line(proof) if proof is not None else "no mistakes; not proved"
    return give.Checked(
        ok=True, policy=found.policy.name, version=found.policy.version,
        diagnostics=[give.Finding(**one) for one in listed(diagnostics, found.sources)],
        verdict=proof.verdict.value if proof is not None else None,
        bounds=_bounds(proof) if proof is not None else [],
        text="\n\n".join(part for part in (line, said) if part),
    )  # fmt: skip


def _bounds(proof: Proof) -> list[give.Bound]:
    return [
        give.Bound(
            cls=one.cls, formula=report.formula(one), wait_ns=one.wait_ns(proof.runnable),
            promise_ns=one.promise_ns,
        )
        for one in proof.bounds
    ]


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
