"""The policy that a call is about, read and understood.

Input: arguments with a name or a text. Output: a source and its analysis. Invariant: a policy with
a mistake is refused with the diagnostics that the command line shows, against the same lines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from schedc.diagnostics.model import Diagnostic, error
from schedc.diagnostics.render.located import Sources
from schedc.ir.literal import BadLiteral, literal_of, value_of
from schedc.ir.nodes import Interval, Policy, Tune
from schedc.mcp import arguments as take, quote
from schedc.mcp.policies import find
from schedc.mcp.refusal import BAD_ARGUMENTS, Refused, told
from schedc.pipeline import Analysis, analyze, prove
from schedc.prove.parameters import Parameters, declared
from schedc.prove.result import Proof, Verdict
from schedc.records import dataclass
from schedc.source import Source
from schedc.vm.check import Settings

TEXT = "policy.sched"
"""What a text of the client's is called, whatever its author calls it."""


@dataclass(frozen=True, slots=True)
class Read:
    """A policy without an error."""

    source: Source
    analysis: Analysis

    @property
    def policy(self) -> Policy:
        assert self.analysis.policy is not None
        return self.analysis.policy

    @property
    def sources(self) -> Sources:
        return Sources(self.source, self.analysis.sources)


def source_of(arguments: take.OfPolicy) -> Source:
    """The text that is meant."""
    if arguments.policy is not None:
        with told():
            return find(arguments.policy).source
    assert arguments.source is not None
    return text_source(arguments.source)


def text_source(text: str, name: str = TEXT) -> Source:
    """A client's text; bytes that no file may have are refused."""
    source, wrong = Source.from_bytes(name, text.encode("utf-8", "surrogatepass"))
    if wrong:
        raise Refused(*wrong, sources=Sources(source))
    return source


def read(arguments: take.OfPolicy) -> Read:
    """The policy; raises `Refused` with its mistakes."""
    source = source_of(arguments)
    analysis = analyze(source)
    if analysis.policy is None:
        raise Refused(*analysis.diagnostics, sources=Sources(source, analysis.sources))
    return Read(source, analysis)


def proved(found: Read, parameters: Parameters | None = None) -> Proof:
    """Its proof; from the user's cache if it is unchanged."""
    return prove(found.analysis, found.source, parameters)


def why_not(proof: Proof) -> tuple[Diagnostic, ...]:
    """Why it isn't proved; nothing if it is."""
    if proof.verdict is Verdict.proved:
        return ()
    from schedc.prove.diagnose import diagnose

    return diagnose(proof)


def parameters(policy: Policy, runnable: int | None, set_: Mapping[str, str]) -> Parameters:
    """What to prove for: as declared, or for fewer contenders and less of a tunable's range."""
    found = declared(policy)
    narrowed = {name: _range(_tune(policy, name), text) for name, text in set_.items()}
    tunes = tuple((name, narrowed.get(name, whole)) for name, whole in found.tunes)
    found = replace(found, tunes=tunes)
    return found if runnable is None else replace(found, runnable=runnable)


def settings(policy: Policy, set_: Mapping[str, str]) -> Settings:
    """What a loader sets: values of tunables, and the groups and files that conditions name."""
    values = {f"tune_{name}": _value(_tune(policy, name), text) for name, text in set_.items()}
    cgroups, exes = (
        tuple(path.decode("utf-8", "surrogateescape") for path in paths)
        for paths in (policy.cgroup_paths, policy.exes)
    )
    return Settings(values, cgroups, exes)


def _tune(policy: Policy, name: str) -> Tune:
    for tune in policy.tunes:
        if tune.name == name.removeprefix("tune."):
            return tune
    known = ", ".join(tune.name for tune in policy.tunes) or "none"
    raise Refused(error(
        BAD_ARGUMENTS, f"the policy has no tunable `{quote.line(name, 40)}`", None,
        help=f"its tunables: {known}",
    ))  # fmt: skip


def _value(tune: Tune, text: str) -> int:
    try:
        return value_of(tune, text)
    except BadLiteral as wrong:
        low, high = (literal_of(tune.type.kind, end) for end in (tune.low, tune.high))
        raise Refused(error(
            BAD_ARGUMENTS, f"`{quote.line(text, 40)}` is no value for `{tune.name}`", None,
            help=f"write a value in {low}..{high}",
        )) from wrong  # fmt: skip


def _range(tune: Tune, text: str) -> Interval:
    low, dots, high = text.partition("..")
    ends = [_value(tune, end) for end in ((low, high) if dots else (text, text))]
    if ends[0] > ends[1]:
        raise Refused(error(
            BAD_ARGUMENTS, f"the range of `{tune.name}` is the wrong way round", None,
            help=f"write {quote.line(high, 40)}..{quote.line(low, 40)}",
        ))  # fmt: skip
    return Interval(*ends)
