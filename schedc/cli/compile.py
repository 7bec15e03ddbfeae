"""`schedc compile`: a policy to its tree, typed form, C text or BPF object.

Everything is made before anything is written, so that a failure leaves no output behind.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from schedc.cli.console import Console
from schedc.cli.failure import Exit, Failure, exit_code
from schedc.cli.files import read_source, write_output
from schedc.cli.options import cc_option, file_argument, format_option, stdin_filename_option
from schedc.cli.settings import apply_settings
from schedc.diagnostics.model import Diagnostic
from schedc.diagnostics.render.located import Sources
from schedc.pipeline import Analysis, analyze
from schedc.source import Source

if TYPE_CHECKING:
    from schedc.toolchain import Compiled

SUFFIX = {"tree": ".tree", "ir": ".ir", "c": ".c", "obj": ".o"}


def _kinds(
    _context: click.Context, _param: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    """`--emit c,obj` and `--emit c --emit obj` are the same; the order is that of the pipeline."""
    wanted = {word for value in values for word in value.replace(" ", "").split(",") if word}
    unknown = wanted - set(SUFFIX)
    if unknown:
        raise click.BadParameter(
            f"{', '.join(sorted(unknown))} can't be emitted; there is {', '.join(SUFFIX)}"
        )
    return tuple(kind for kind in SUFFIX if kind in wanted)


@click.command("compile")
@file_argument
@click.option("-o", "--output", metavar="PATH", help="A file, a folder, or - for stdout.")
@click.option(
    "--emit", "kinds", multiple=True, default=["obj"], callback=_kinds, metavar="KIND[,KIND...]",
    help="What to write: tree, ir, c, obj.  [default: obj]",
)
@cc_option
@click.option("--set", "settings", multiple=True, metavar="TUNE=VALUE",
              help="Another default for a tunable, within its range.")
@click.option("--counters/--no-counters", default=True,
              help="Count per class and queue.  [default: on]")
@format_option
@stdin_filename_option
def compile_command(
    file: str, output: str | None, kinds: tuple[str, ...], cc: str | None,
    settings: tuple[str, ...], counters: bool, stdin_filename: str,
) -> Exit:
    """Compile a policy to C and BPF.

    With one kind of text and no `-o`, it goes to stdout; an object goes to NAME.o.
    """
    source, analysis = analyzed(file, stdin_filename)
    made, problems = _make(source, analysis, kinds, cc, settings, counters)
    console = Console.current()
    console.report([(
        (*analysis.diagnostics, *problems), Sources(source, analysis.sources)
    )])
    if problems:
        return exit_code(problems)
    targets = _targets(file, analysis, kinds, output)
    for kind, target in targets.items():
        write_output(target, made[kind])
    files = [target for target in targets.values() if target != "-"]
    console.status(f"wrote {', '.join(files)}" if files else "")
    return Exit.fine


def analyzed(file: str, stdin_filename: str) -> tuple[Source, Analysis]:
    """Read and analyse a policy; errors in it end the command."""
    source, unreadable = read_source(file, stdin_filename)
    if unreadable:
        raise Failure(*unreadable, source=source)
    analysis = analyze(source)
    if analysis.policy is None:
        raise Failure(*analysis.diagnostics, source=Sources(source, analysis.sources))
    return source, analysis


def _make(
    source: Source, analysis: Analysis, kinds: tuple[str, ...], cc: str | None,
    settings: tuple[str, ...], counters: bool,
) -> tuple[dict[str, bytes], tuple[Diagnostic, ...]]:
    """The bytes of each kind, or what went wrong on the way to the object."""
    assert analysis.policy is not None
    policy = apply_settings(analysis.policy, settings)
    made: dict[str, bytes] = {}
    if "tree" in kinds:
        from schedc.syntax.print import print_tree

        made["tree"] = print_tree(analysis.tree, source).encode()
    if "ir" in kinds:
        from schedc.ir.print import print_policy

        made["ir"] = print_policy(policy).encode()
    if "c" not in kinds and "obj" not in kinds:
        return made, ()
    from schedc.pipeline import generate

    text = generate(policy, source, sources=analysis.sources, counters=counters)
    made["c"] = text.encode()
    if "obj" not in kinds:
        return made, ()
    done = _to_object(text, source, analysis, cc)
    if done.object is not None:
        made["obj"] = done.object
    return made, done.diagnostics


def _to_object(text: str, source: Source, analysis: Analysis, cc: str | None) -> Compiled:
    from schedc.toolchain import compile_c, find_compiler

    compiler = find_compiler(cc)
    if isinstance(compiler, Diagnostic):
        raise Failure(compiler)
    return compile_c(text, compiler, source=source, bases=analysis.sources)


def _targets(
    file: str, analysis: Analysis, kinds: tuple[str, ...], output: str | None
) -> dict[str, str]:
    """Where each kind goes."""
    assert analysis.policy is not None
    base = analysis.policy.name if file == "-" else Path(file).stem
    if output is None and kinds != ("obj",) and len(kinds) == 1:
        return {kinds[0]: "-"}
    if output is not None and (output.endswith("/") or Path(output).is_dir()):
        Path(output).mkdir(parents=True, exist_ok=True)
        return {kind: str(Path(output) / (base + SUFFIX[kind])) for kind in kinds}
    if output is None:
        return {kind: base + SUFFIX[kind] for kind in kinds}
    if len(kinds) == 1:
        if output == "-" and kinds == ("obj",) and sys.stdout.isatty():
            raise click.UsageError("an object isn't written to a terminal; give -o FILE")
        return {kinds[0]: output}
    if output == "-":
        raise click.UsageError("only one kind can go to stdout; give -o FOLDER/")
    return {kind: output + SUFFIX[kind] for kind in kinds}
