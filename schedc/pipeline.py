"""The stages, readable from top to bottom.

Input: a `Source`. Output: an `Analysis`: the tree, the typed policy if there is no error, and every
diagnostic in the order of the source. Invariant: a mistake in a policy is a diagnostic, never an
exception; a policy is there exactly when no diagnostic is an error.

    source -> tree -> symbols -> names -> draft -> ranges -> typed policy -> (proof) -> C -> object
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from schedc.diagnostics.model import Diagnostic
from schedc.ir.nodes import Policy
from schedc.passes.bounds import check_bounds
from schedc.passes.extend import expand
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
    expanded = expand(tree, parse, report)
    policy = _type(expanded.tree, report)
    return Analysis(tree, policy, report.diagnostics(), expanded.sources)


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
    # The next stage is the proof: it takes the typed policy, and gives a verdict beside it.
    return None if report.has_errors else policy


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

    hashed = hashlib.sha256(source.raw)
    for name in sorted(bases):
        hashed.update(bases[name].raw)
    return emit(policy, locate, hashed.hexdigest(), counting=counters)
