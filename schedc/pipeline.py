"""The stages, readable from top to bottom.

Input: a `Source`. Output: an `Analysis`: the tree, the typed policy if there is no error, and every
diagnostic in the order of the source. Invariant: a mistake in a policy is a diagnostic, never an
exception; a policy is there exactly when no diagnostic is an error.

    source -> tree -> symbols -> names -> draft -> ranges -> typed policy -> proof -> C -> object

`analyze` goes up to the typed policy, `prove` gives a verdict beside it, `generate` the C; the
object is made by `schedc.toolchain`, which runs a compiler.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

from schedc.diagnostics.model import Diagnostic
from schedc.ir.nodes import Policy
from schedc.passes.bounds import check_bounds
from schedc.passes.extend import expand, load_from_library
from schedc.passes.limits import check_limits
from schedc.passes.lints import check_lints, check_unused
from schedc.passes.lower import lower
from schedc.passes.lowerable import check_lowerable
from schedc.passes.names import resolve
from schedc.passes.ranges import infer_ranges
from schedc.passes.report import Report
from schedc.passes.structure import check_structure
from schedc.passes.symbols import declare
from schedc.records import dataclass
from schedc.source import Source, Span
from schedc.syntax.tree import PolicyTree

if TYPE_CHECKING:
    from schedc.prove.parameters import Parameters
    from schedc.prove.result import Proof


@dataclass(frozen=True, slots=True)
class Analysis:
    """`sources`: the texts that the policy extends, by the name in `Span.file`."""

    tree: PolicyTree
    policy: Policy | None
    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[str, Source] = field(default_factory=dict)


def analyze(source: Source) -> Analysis:
    """Everything that can be known of a policy without a C compiler."""
    from schedc.syntax.parse import parse

    report = Report()
    tree, syntax = parse(source)
    report.add_syntax(syntax)
    expanded = expand(tree, parse, report, _base)
    policy = _type(expanded.tree, report)
    return Analysis(tree, policy, report.diagnostics(), expanded.sources)


def _base(module: str) -> Source | None:
    """The source of a policy that another one extends: `stdlib/NAME`, or `mine/NAME` of the
    user's repository."""
    if not module.startswith("mine/"):
        return load_from_library(module)
    from schedc.repository.place import Place

    return Place.default().source(module.removeprefix("mine/"))


def _type(tree: PolicyTree, report: Report) -> Policy | None:
    """From the expanded tree to the typed policy, or None if anything is an error."""
    symbols = declare(tree, report)
    if not check_limits(symbols, report):
        return None  # what follows is only fast, and only safe, within the limits
    names = resolve(symbols, report)
    draft = lower(symbols, names, report)
    if not report.has_errors:
        check_unused(symbols, names, report)  # a misspelt name would make another look unused
    check_structure(symbols, report)
    if draft is None:
        return None
    policy = check_bounds(draft, infer_ranges(draft), report)
    check_lowerable(policy, report)
    check_lints(policy, report)
    return None if report.has_errors else policy


def prove(
    analysis: Analysis,
    source: Source,
    parameters: Parameters | None = None,
    *,
    cached: bool = True,
) -> Proof:
    """The proof of a policy that was analysed without an error, or a run that refutes it.

    `parameters`: what to prove it for, by default what it declares. `cached`: take the proof of an
    unchanged policy from the user's cache; only if there is none, a solver is loaded.
    """
    from schedc.prove import cache
    from schedc.prove.parameters import declared

    assert analysis.policy is not None, "a policy with errors can't be proved"
    parameters = parameters or declared(analysis.policy)
    if not cached:
        return _prove(analysis.policy, parameters)
    key = cache.key(policy_bytes(source, analysis.sources), parameters)
    known = cache.load(key)
    if known is not None:
        return known
    proof = _prove(analysis.policy, parameters)
    cache.save(key, proof)
    return proof


def _prove(policy: Policy, parameters: Parameters) -> Proof:
    """The obligations; and where one isn't proved, a search for a run that shows why."""
    import json

    from schedc.prove.prove import prove as prove_obligations
    from schedc.prove.result import Verdict

    proof = prove_obligations(policy, parameters)
    if proof.verdict is Verdict.proved:
        return proof
    from schedc.refute import refute

    run = refute(policy, parameters, proof)
    # As it will come back from the cache: a first answer and a later one are the same.
    return proof if run is None else refuted_by(proof, json.loads(json.dumps(run.as_json())))


def refuted_by(proof: Proof, run: dict[str, Any]) -> Proof:
    """The proof with a run, and the obligation refuted that the run shows to be false. What was
    proved of that class until now hung on something else that is not proved."""
    from schedc.prove.result import Obligation, Verdict

    assert proof.verdict is not Verdict.proved, "a run against what is proved"
    name = f"starvation-free.{run['victim_class']}"
    others = tuple(one for one in proof.obligations if one.name != name)
    mine = next((one for one in proof.obligations if one.name == name), None) or Obligation(
        name, "starvation-free", f"a task of class {run['victim_class']} waits as promised",
        Verdict.refuted, None,
    )  # fmt: skip
    refuted = replace(mine, verdict=Verdict.refuted)
    return replace(proof, obligations=(*others, refuted), run=run)


def policy_bytes(source: Source, bases: Mapping[str, Source]) -> dict[str, bytes]:
    """All that a policy is made of: its own text by the empty name, and its bases."""
    return {"": source.raw, **{name: bases[name].raw for name in sorted(bases)}}


def generate(
    policy: Policy,
    source: Source,
    *,
    sources: Mapping[str, Source] | None = None,
    counters: bool = True,
) -> str:
    """C for a typed policy. Its `#line`s name the source and its bases (`Analysis.sources`)."""
    import hashlib

    from schedc.emit.generate import generate as emit
    from schedc.toolchain.compile import line_name

    bases = sources or {}

    def locate(span: Span) -> tuple[str, int]:
        text = bases.get(span.file, source) if span.file else source
        name = f"{span.file}.sched" if span.file else source.name
        return line_name(name), text.position(span.start)[0]

    hashed = hashlib.sha256()
    for text in policy_bytes(source, bases).values():
        hashed.update(text)
    return emit(policy, locate, hashed.hexdigest(), counting=counters)
