"""`schedc check`: every mistake in policies, as far as no C compiler is needed to see it."""

from __future__ import annotations

import click

from schedc.cli.console import Console
from schedc.cli.failure import Exit, exit_code
from schedc.cli.files import expand, read_source
from schedc.cli.options import files_argument, format_option, stdin_filename_option
from schedc.diagnostics.model import Diagnostic
from schedc.diagnostics.render import summary
from schedc.diagnostics.render.located import Sources


@click.command()
@files_argument
@format_option
@stdin_filename_option
@click.option("--deny-warnings", is_flag=True, help="Exit with 1 for warnings too.")
def check(files: tuple[str, ...], stdin_filename: str, deny_warnings: bool) -> Exit:
    """Look for mistakes in policies.

    FILE is a policy, a folder (all `.sched` files below it), or `-` for stdin.
    """
    console = Console.current()
    findings = [check_file(name, stdin_filename) for name in expand(files)]
    console.report(findings, as_result=True)
    everything = [found for diagnostics, _ in findings for found in diagnostics]
    noun = "policy" if len(findings) == 1 else "policies"
    console.status(f"checked {len(findings)} {noun}: {summary(everything) or 'no findings'}")
    code = exit_code(everything)
    return Exit.findings if code is Exit.fine and deny_warnings and everything else code


def check_file(name: str, stdin_filename: str) -> tuple[tuple[Diagnostic, ...], Sources]:
    """The diagnostics of one policy, and the texts to show them in."""
    source, unreadable = read_source(name, stdin_filename)
    if unreadable:
        # Bytes that aren't text: what the parser would say of them would only confuse.
        return unreadable, Sources(source)
    from schedc.pipeline import analyze

    analysis = analyze(source)
    return analysis.diagnostics, Sources(source, analysis.sources)
