"""`schedc prove`: the proof of a policy, or a run that refutes it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from schedc.cli.compile import analyzed
from schedc.cli.console import Console
from schedc.cli.failure import Exit, cannot_read, exit_code
from schedc.cli.files import write_output
from schedc.cli.options import file_argument, format_option, stdin_filename_option
from schedc.cli.proving import Asked, diagnostics, narrower, proof_options, proved, tell
from schedc.diagnostics.render import Format
from schedc.diagnostics.render.located import Sources
from schedc.pipeline import Analysis
from schedc.source import Source


@click.command()
@file_argument
@proof_options
@click.option("--set", "sets", multiple=True, metavar="TUNE=VALUE",
              help="Prove for this value of a tunable, or for LO..HI, a part of its range.")
@click.option("--run", "run_file", metavar="FILE", type=click.Path(),
              help="Write the run that refutes the policy, as JSON.")
@click.option("--replay", metavar="FILE", type=click.Path(),
              help="Replay such a run instead, and tell what happens in it.")
@format_option
@stdin_filename_option
def prove(
    file: str, asked: Asked, sets: tuple[str, ...], run_file: str | None, replay: str | None,
    stdin_filename: str,
) -> Exit:
    """Prove that a policy starves no task, and how long a task may wait.

    Shows each obligation, the bound of each class, the assumptions and what room is left. Exit
    code 0 if it is proved, 1 if it is refuted (with a run that shows why), 3 if neither. With
    `--replay`: 1 if the run shows what it says, 4 if it doesn't.
    """
    source, analysis = analyzed(file, stdin_filename)
    if replay is not None:
        return _replay(replay, source, analysis)
    proof = proved(source, analysis, asked, sets)
    if run_file is not None and proof.run is not None:
        run = {**proof.run, "file": source.name}
        write_output(run_file, (json.dumps(run, indent=1) + "\n").encode())
    elif run_file is not None:
        Console.current().status(f"wrote no {run_file}: there is no run against {source.name}")
    failed = diagnostics(proof)
    console = Console.current()
    more = None
    if console.format is Format.json:
        from schedc.prove.encoding import encode

        more = {"proofs": [{"file": source.name, **encode(proof)}]}
    elif not console.format.is_document:
        from schedc.prove import report

        assert analysis.policy is not None
        only = narrower(analysis.policy, proof)
        concise = console.format is Format.concise
        line = f"{source.name}: {report.line(proof)}\n"
        click.echo(line if concise else report.full(proof, details=True, only=only), nl=False)
    console.report(
        [((*analysis.diagnostics, *failed), Sources(source, analysis.sources))],
        as_result=True, more=more,
    )
    tell(proof, source, analysis)
    return exit_code(failed)


def _replay(name: str, source: Source, analysis: Analysis) -> Exit:
    """Repeat a saved run step by step in the reference semantics."""
    from schedc.model.replay import replay
    from schedc.refute.story import tell as story

    assert analysis.policy is not None
    try:
        run = json.loads(Path(name).read_bytes())
    except OSError as failure:
        raise cannot_read(name, failure) from failure
    except (ValueError, RecursionError) as wrong:
        raise click.UsageError(f"`{name}` is not JSON; a run is `prove --run`'s") from wrong
    try:
        shown = replay(run, analysis.policy)
        told = story(run, analysis.policy, source) if shown else ""
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as wrong:
        raise click.UsageError(f"`{name}` is no run, as `schedc prove --run` writes it") from wrong
    if not shown:
        click.echo(f"{source.name}: the run is another policy's, or was changed")
        return Exit.refused
    click.echo(f"{told.rstrip()}\n\nReplayed: each step happened as told.")
    return Exit.findings
