"""`schedc compile`: a policy to its tree, typed form, C text, BPF object, queries or certificate.

Everything is made before anything is written, so that a failure leaves no output behind. An object
or a certificate is written only if the policy is proved, or `--allow-unproven` is given.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from schedc.cli.console import Console
from schedc.cli.failure import Exit, Failure, cannot_write, exit_code
from schedc.cli.files import read_source, write_output
from schedc.cli.options import cc_option, file_argument, format_option, stdin_filename_option
from schedc.cli.proving import Asked, diagnostics, narrower, proof_options, proved, tell
from schedc.cli.settings import apply_settings
from schedc.diagnostics.model import Diagnostic, diagnostic, error
from schedc.diagnostics.render import Format
from schedc.diagnostics.render.located import Sources
from schedc.pipeline import Analysis, analyze
from schedc.source import Source

if TYPE_CHECKING:
    from schedc.ir.nodes import Policy
    from schedc.prove.result import Proof
    from schedc.toolchain import Compiled, Compiler

SUFFIX = {
    "tree": ".tree", "ir": ".ir", "smt2": ".smt2", "c": ".c", "obj": ".o", "cert": ".cert",
}  # fmt: skip
OF_THE_PROOF = frozenset({"smt2", "obj", "cert"})
"""What can't be made without a proof; the other kinds only show what a policy is."""

Made = dict[str, "bytes | dict[str, str]"]
"""What each kind is: bytes, or files of a folder."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the options ask for."""

    kinds: tuple[str, ...]
    cc: str | None
    settings: tuple[str, ...]
    counters: bool
    allow_unproven: bool
    asked: Asked


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
    help="What to write: tree, ir, smt2, c, obj, cert.  [default: obj]",
)
@cc_option
@click.option("--set", "settings", multiple=True, metavar="TUNE=VALUE",
              help="Another default for a tunable, within its range.")
@click.option("--counters/--no-counters", default=True,
              help="Count per class and queue.  [default: on]")
@click.option("--allow-unproven", is_flag=True,
              help="Write an object without a proof, for the simulator and the VM alone.")
@proof_options
@click.option("-v", "--verbose", is_flag=True, help="Show each obligation of the proof.")
@format_option
@stdin_filename_option
def compile_command(
    file: str, output: str | None, kinds: tuple[str, ...], cc: str | None,
    settings: tuple[str, ...], counters: bool, allow_unproven: bool, asked: Asked, verbose: bool,
    stdin_filename: str,
) -> Exit:
    """Prove a policy and compile it to C and BPF.

    An object goes to NAME.o, and stdout says what is proved of it. With one kind of text and no
    `-o`, the text goes to stdout, and there is no proof. Of a policy that is not proved no object
    is written (exit code 1 if it is refuted, 3 otherwise).
    """
    wanted = Wanted(kinds, cc, settings, counters, allow_unproven, asked)
    source, analysis = analyzed(file, stdin_filename)
    proof = proved(source, analysis, asked) if OF_THE_PROOF & set(kinds) else None
    failed = diagnostics(proof) if proof is not None else ()
    unproven = _without_a_proof(proof, source, wanted) if failed else ()
    allowed = any(not one.is_error for one in unproven)
    stop = bool(unproven) and not allowed
    made, problems = ({}, ()) if stop else make(source, analysis, proof, wanted)
    targets = {} if stop or problems else _targets(file, analysis, kinds, output)
    _show(proof, source, analysis, targets, verbose)
    shown = (*analysis.diagnostics, *(() if allowed else failed), *problems)
    console = Console.current()
    console.report([(shown, Sources(source, analysis.sources)), (unproven, None)])
    if proof is not None and not allowed:
        tell(proof, source, analysis)
    for kind, target in targets.items():
        _write(target, made[kind])
    files = [target for target in targets.values() if target != "-"]
    console.status(f"wrote {', '.join(files)}" if files else "")
    return exit_code((*shown, *unproven))


def analyzed(file: str, stdin_filename: str) -> tuple[Source, Analysis]:
    """Read and analyse a policy; errors in it end the command."""
    source, unreadable = read_source(file, stdin_filename)
    if unreadable:
        raise Failure(*unreadable, source=source)
    return source, analyzed_source(source)


def analyzed_source(source: Source) -> Analysis:
    """Analyse a policy; errors in it end the command."""
    analysis = analyze(source)
    if analysis.policy is None:
        raise Failure(*analysis.diagnostics, source=Sources(source, analysis.sources))
    return analysis


def _without_a_proof(
    proof: Proof | None, source: Source, wanted: Wanted
) -> tuple[Diagnostic, ...]:
    """An object without a proof isn't written; if it was asked for, a note says what it is."""
    if proof is None or not {"obj", "cert"} & set(wanted.kinds):
        return ()
    if wanted.allow_unproven:
        return (diagnostic(
            "N0598", f"an object without a proof: the policy is {proof.verdict.value}", None,
            notes=["it is marked, and meant for the simulator and the virtual machine alone",
                   f"`schedc prove {source.name}` says why"],
        ),)  # fmt: skip
    return (error(
        "E0594", f"no object is written: the policy is {proof.verdict.value}", None,
        help="--allow-unproven writes one, for the simulator and the virtual machine alone",
    ),)  # fmt: skip


def make(
    source: Source, analysis: Analysis, proof: Proof | None, wanted: Wanted
) -> tuple[Made, tuple[Diagnostic, ...]]:
    """What each kind is, or what went wrong on the way to the object."""
    assert analysis.policy is not None
    policy = apply_settings(analysis.policy, wanted.settings)
    kinds = wanted.kinds
    made: Made = {}
    if "tree" in kinds:
        from schedc.syntax.print import print_tree

        made["tree"] = print_tree(analysis.tree, source).encode()
    if "ir" in kinds:
        from schedc.ir.print import print_policy

        made["ir"] = print_policy(policy).encode()
    if "smt2" in kinds:
        from schedc.prove.certificate import smt2_files

        assert proof is not None
        made["smt2"] = smt2_files(proof)
    if not {"c", "obj", "cert"} & set(kinds):
        return made, ()
    from schedc.pipeline import generate

    text = generate(policy, source, sources=analysis.sources, counters=wanted.counters)
    made["c"] = text.encode()
    if proof is None or not {"obj", "cert"} & set(kinds):
        return made, ()
    return _make_object(made, text, source, analysis, proof, wanted.cc)


def _make_object(
    made: Made, text: str, source: Source, analysis: Analysis, proof: Proof, cc: str | None
) -> tuple[Made, tuple[Diagnostic, ...]]:
    """Adds the object, marked with its proof, and the certificate that binds it."""
    from schedc.pipeline import policy_bytes
    from schedc.prove.certificate import certify, claim, identity
    from schedc.prove.result import Verdict
    from schedc.toolchain import find_compiler
    from schedc.toolchain.mark import UNPROVEN, proof_mark

    compiler = find_compiler(cc)
    if isinstance(compiler, Diagnostic):
        raise Failure(compiler)
    sources = policy_bytes(source, analysis.sources)
    good = proof.verdict is Verdict.proved
    mark = proof_mark(identity(claim(proof, sources))) if good else UNPROVEN
    done = _to_object(text, source, analysis, compiler, mark)
    if done.object is not None:
        from schedc.toolchain.compile import built

        made["obj"] = done.object
        assert analysis.policy is not None
        parts = {**built(text, done.object, compiler, mark), "names": _names(analysis.policy)}
        made["cert"] = certify(proof, sources, parts).encode()
    return made, done.diagnostics


def _names(policy: Policy) -> dict[str, list[str]]:
    """What an object knows only by number: its certificate lets it be loaded without its policy."""
    from schedc.cli.policy_object import settings_of

    paths = settings_of(policy, ())
    return {
        "classes": [one.name for one in policy.classes],
        "queues": [one.name for one in policy.queues],
        "cgroups": list(paths.cgroups), "exes": list(paths.exes),
    }  # fmt: skip


def _to_object(
    text: str, source: Source, analysis: Analysis, compiler: Compiler, mark: str
) -> Compiled:
    from schedc.toolchain import compile_c

    return compile_c(text, compiler, source=source, bases=analysis.sources, mark=mark)


def _show(
    proof: Proof | None, source: Source, analysis: Analysis, targets: Mapping[str, str],
    verbose: bool,
) -> None:
    """What is proved, on stdout, unless an output goes there."""
    if proof is None or "-" in targets.values():
        return
    console = Console.current()
    if console.format is Format.json:
        import json

        from schedc.prove.encoding import encode

        click.echo(json.dumps({"proofs": [encode(proof)], "wrote": targets}, indent=2))
    elif console.format is Format.full:
        from schedc.prove.report import full

        assert analysis.policy is not None
        click.echo(full(proof, details=verbose, only=narrower(analysis.policy, proof)))
    elif console.format is Format.concise:
        from schedc.prove.report import line

        click.echo(f"{source.name}: {line(proof)}")


def _targets(
    file: str, analysis: Analysis, kinds: tuple[str, ...], output: str | None
) -> dict[str, str]:
    """Where each kind goes."""
    assert analysis.policy is not None
    base = analysis.policy.name if file == "-" else Path(file).stem
    if output is None and len(kinds) == 1 and kinds[0] not in ("obj", "cert"):
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


def _write(target: str, data: bytes | dict[str, str]) -> None:
    """A file; or, for several, a folder of them. On stdout they follow one another."""
    if isinstance(data, bytes):
        write_output(target, data)
        return
    if target == "-":
        parts = [f"; {name}\n{text.rstrip()}\n(reset)\n" for name, text in data.items()]
        write_output("-", "\n".join(parts).encode())
        return
    try:
        Path(target).mkdir(parents=True, exist_ok=True)
    except OSError as failure:
        raise cannot_write(target, failure) from failure
    for name, text in data.items():
        write_output(str(Path(target) / name), text.encode())
