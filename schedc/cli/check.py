"""`schedc check`: every mistake in policies, and whether they are proved.

No C compiler is needed to see it. The proof of an unchanged policy comes from the cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from schedc.cli.console import Console
from schedc.cli.failure import Exit, exit_code
from schedc.cli.files import expand, read_source
from schedc.cli.options import files_argument, format_option, stdin_filename_option
from schedc.diagnostics.model import Diagnostic
from schedc.diagnostics.render import Format, summary
from schedc.diagnostics.render.located import Sources

if TYPE_CHECKING:
    from schedc.pipeline import Analysis
    from schedc.prove.result import Proof


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found of one policy; `proof` is None if there are errors, or none was wanted."""

    diagnostics: tuple[Diagnostic, ...]
    sources: Sources
    proof: Proof | None = None
    analysis: Analysis | None = None


@click.command()
@files_argument
@format_option
@stdin_filename_option
@click.option("--deny-warnings", is_flag=True, help="Exit with 1 for warnings too.")
@click.option("--proof/--no-proof", default=True, help="Prove the policies too.  [default: on]")
@click.option("--cache/--no-cache", "cached", default=True,
              help="Take the proof of an unchanged policy from the cache.  [default: on]")
def check(
    files: tuple[str, ...], stdin_filename: str, deny_warnings: bool, proof: bool, cached: bool
) -> Exit:
    """Look for mistakes in policies, and prove that they starve no task.

    FILE is a policy, a folder (all `.sched` files below it), or `-` for stdin. Exit code 1 for a
    mistake or a policy that is refuted, 3 for one that could not be proved.
    """
    console = Console.current()
    found = [check_file(name, stdin_filename, proof, cached) for name in expand(files)]
    console.report(
        [(one.diagnostics, one.sources) for one in found], as_result=True,
        more=_proofs(found) if console.format is Format.json else None,
    )
    for one in found:
        _tell(one)
    everything = [diagnostic for one in found for diagnostic in one.diagnostics]
    console.status(_status(found, everything))
    code = exit_code(everything)
    return Exit.findings if code is Exit.fine and deny_warnings and everything else code


def check_file(name: str, stdin_filename: str, prove: bool, cached: bool = True) -> Checked:
    """What there is to say of one policy, and the texts to show it in."""
    source, unreadable = read_source(name, stdin_filename)
    if unreadable:
        # Bytes that aren't text: what the parser would say of them would only confuse.
        return Checked(unreadable, Sources(source))
    from schedc.pipeline import analyze

    analysis = analyze(source)
    sources = Sources(source, analysis.sources)
    if analysis.policy is None or not prove:
        return Checked(analysis.diagnostics, sources)
    from schedc.cli.proving import Asked, diagnostics, proved

    proof = proved(source, analysis, Asked(cached=cached))
    found = (*analysis.diagnostics, *diagnostics(proof))
    return Checked(found, sources, proof, analysis)


def _tell(one: Checked) -> None:
    """The run that refutes a policy."""
    if one.proof is not None and one.proof.run is not None:
        from schedc.cli.proving import tell

        assert one.sources.default is not None and one.analysis is not None
        tell(one.proof, one.sources.default, one.analysis)


def _proofs(found: list[Checked]) -> dict[str, Any]:
    """The proofs for a JSON document, with the file of each."""
    from schedc.prove.encoding import encode

    return {
        "proofs": [
            {"file": one.sources.default.name if one.sources.default else "", **encode(one.proof)}
            for one in found
            if one.proof is not None
        ]
    }


def _status(found: list[Checked], everything: list[Diagnostic]) -> str:
    """The one line of a check."""
    noun = "policy" if len(found) == 1 else "policies"
    text = f"checked {len(found)} {noun}: {summary(everything) or 'no findings'}"
    proofs = [one.proof for one in found if one.proof is not None]
    if not proofs:
        return text
    from schedc.prove.report import line
    from schedc.prove.result import Verdict

    if len(found) == 1:
        return f"{text}; {line(proofs[0])}"
    good = sum(proof.verdict is Verdict.proved for proof in proofs)
    return f"{text}; {good} proved"
