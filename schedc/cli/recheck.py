"""`schedc recheck`: a certificate, checked again with cvc5 alone."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from schedc.cli.console import Console
from schedc.cli.failure import Exit, Failure, cannot_read
from schedc.cli.options import format_option
from schedc.data import MissingData, read_data
from schedc.diagnostics.model import error
from schedc.diagnostics.render import Format
from schedc.prove.recheck import NoSolver, Rechecked, recheck as check_again
from schedc.prove.whole import Files, Refused


@click.command()
@click.argument("certificate", metavar="CERT", type=click.Path())
@click.option("--policy", metavar="FILE", type=click.Path(), help="The policy that it is about.")
@click.option("--c", "c", metavar="FILE", type=click.Path(), help="The C that was made of it.")
@click.option("--object", "object_", metavar="FILE", type=click.Path(),
              help="The object that was made of it.")
@format_option
def recheck(
    certificate: str, policy: str | None, c: str | None, object_: str | None
) -> Exit:
    """Check a certificate again: each obligation with cvc5, each bound by arithmetic.

    Neither the solver nor the code that made the proof is used. What is given beside CERT must be
    what the certificate is about, byte by byte. Exit code 4 if anything differs.
    """
    data = _read(certificate)
    files = Files(
        _optional(policy), _bases(data) if policy else None, _optional(c), _optional(object_),
        _mark(object_),
    )
    try:
        done = check_again(data, files)
    except Refused as refused:
        raise Failure(
            error("E0595", f"`{certificate}`: {refused.what}", None, notes=refused.notes,
                  help="make certificate, C and object anew: "
                  "schedc compile POLICY --emit cert,c,obj")
        ) from refused
    except NoSolver as missing:
        raise Failure(
            error("E0596", "cvc5 is not installed", None, notes=[str(missing)],
                  help=f"{Path(sys.executable).name} -m pip install 'schedc[recheck]'  "
                  "(or: pip install cvc5)")
        ) from missing
    _show(done)
    return Exit.fine


def _show(done: Rechecked) -> None:
    console = Console.current()
    if console.format is Format.json:
        click.echo(json.dumps({"verdict": "proved", **_as_object(done)}, indent=2))
        return
    if console.format.is_document:
        console.report([], as_result=True)
        return
    waived = f" ({done.waived} waived)" if done.waived else ""
    compared = f"; the same {', '.join(done.compared)}" if done.compared else ""
    click.echo(
        f"{done.policy} {done.version}: cvc5 confirms {done.obligations - done.waived} "
        f"obligations{waived} in {done.seconds:.2f} s{compared}"
    )


def _as_object(done: Rechecked) -> dict[str, Any]:
    return {
        "policy": done.policy, "version": done.version, "obligations": done.obligations,
        "waived": done.waived, "wait_ns": done.wait_ns, "runnable": done.runnable,
        "compared": list(done.compared), "seconds": round(done.seconds, 3),
    }  # fmt: skip


def _read(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as failure:
        raise cannot_read(name, failure) from failure


def _optional(name: str | None) -> bytes | None:
    return None if name is None else _read(name)


def _mark(name: str | None) -> str | None:
    if name is None:
        return None
    from schedc.toolchain.mark import read_mark

    return read_mark(_read(name))


def _bases(data: bytes) -> dict[str, bytes]:
    """The policies of the library that the certified one extends, as they are here."""
    try:
        names = [name for name in json.loads(data)["policy"]["sources"] if name]
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}  # `recheck` says what is wrong with it
    found = {}
    for name in names:
        try:
            found[name] = read_data(f"stdlib_policies/{Path(name).name}.sched").encode()
        except MissingData:
            continue
    return found
