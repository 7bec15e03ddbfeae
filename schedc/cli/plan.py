"""`schedc plan`: what would change on this machine, as a file that `schedc apply` carries out.

A policy is proved, compiled, marked and certified by the very code of `schedc compile`; an object
that was made so elsewhere needs neither solver nor compiler here.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from schedc.cli.console import Console
from schedc.cli.failure import Exit, Failure, cannot_read, exit_code
from schedc.cli.files import write_output
from schedc.cli.loader import loader_errors, seconds, who
from schedc.cli.options import cc_option, format_option
from schedc.cli.proving import Asked, proof_options
from schedc.diagnostics.model import error

if TYPE_CHECKING:
    from schedc.deploy.make import Scene
    from schedc.load.plan import Plan

DEFAULT = "plan.json"
OWNER_ONLY = 0o600


@dataclass(frozen=True, slots=True)
class Made:
    """An object and its certificate. `settings`: None takes those that the certificate names."""

    object: bytes
    certificate: str
    settings: str | None = None


@click.command("plan")
@click.argument("policy", metavar="POLICY|OBJECT.o", type=click.Path())
@click.option("-o", "--output", metavar="FILE", default=DEFAULT, show_default=True,
              help="Where the plan goes, readable by its owner alone; - for stdout.")
@click.option("--certificate", metavar="FILE", type=click.Path(),
              help="The certificate of OBJECT.o.  [default: OBJECT.cert beside it]")
@click.option("--expires", metavar="TIME", default="1h", show_default=True, callback=seconds,
              help="How long the plan may be applied, such as 30min; at most 7d.")
@click.option("--set", "tunes", metavar="TUNE=VALUE", multiple=True,
              help="Set a tunable of the policy, within its proved range.")
@cc_option
@proof_options
@click.option("--json", "as_json", is_flag=True, help="What would change, as JSON on stdout.")
@format_option
def plan(
    policy: str, output: str, certificate: str | None, expires: float, tunes: tuple[str, ...],
    cc: str | None, asked: Asked, as_json: bool,
) -> Exit:
    """Show what running a policy here would change, and write a plan for `schedc apply`.

    POLICY is a policy file or the name of one of the library's: it is proved and compiled first.
    An object with its certificate beside it (`schedc compile --emit obj,cert`) needs neither.
    Nothing is changed. Exit code 3 if the policy is not proved, 4 if it may not run.
    """
    made = material(policy, certificate, tunes, cc, asked)
    found, where = planned(made, expires)
    if output != "-":
        show(found, where, as_json)
    check_now(found, where)
    write_output(output, found.text().encode(), OWNER_ONLY)
    if output != "-":
        Console.current().status(
            f"wrote {output}; nothing is changed yet. To carry it out: schedc apply {output} "
            "--canary --for 60s"
        )
    return Exit.fine


def material(
    name: str, certificate: str | None, tunes: Sequence[str], cc: str | None, asked: Asked
) -> Made:
    """The object to be planned, read or made."""
    if name.endswith(".o"):
        if tunes:
            raise click.UsageError("--set is for a policy's tunables; an object has them built in "
                                   "(schedc compile --set)")  # fmt: skip
        return _read(name, certificate)
    if certificate is not None:
        raise click.UsageError("--certificate belongs to an object; a policy's is made anew")
    return _compiled(name, tunes, cc, asked)


def planned(made: Made, life_s: float) -> tuple[Plan, Scene]:
    """The plan, and the machine that it is for."""
    from schedc.deploy.make import current_scene, draft

    with loader_errors():
        where = current_scene()
        return draft(
            made.object, made.certificate, where, life_s=round(life_s), by=who(),
            settings=made.settings,
        ), where  # fmt: skip


def check_now(found: Plan, where: Scene) -> None:
    """Ends the command if a loader would refuse the plan."""
    from schedc.deploy.make import check

    with loader_errors():
        check(found, where)


def show(found: Plan, where: Scene, as_json: bool) -> None:
    """What would change, on stdout."""
    from schedc.deploy.show import plan_json, plan_lines

    if as_json:
        click.echo(json.dumps(plan_json(found, where), indent=1))
    else:
        click.echo("\n".join([*plan_lines(found, where, time.time()), ""]))


def _read(name: str, certificate: str | None) -> Made:
    from schedc.load.plan import MAX_CERTIFICATE, MAX_OBJECT

    beside = certificate or str(Path(name).with_suffix(".cert"))
    data = _bytes(name, MAX_OBJECT)
    if certificate is None and not Path(beside).exists():
        raise Failure(error(
            "E0919", f"`{name}` has no certificate beside it", None,
            notes=[f"looked for `{beside}`"],
            help="schedc compile POLICY.sched --emit obj,cert   (or give --certificate FILE)",
        ))  # fmt: skip
    return Made(data, _bytes(beside, MAX_CERTIFICATE).decode("utf-8", "replace"))


def _bytes(name: str, most: int) -> bytes:
    try:
        with open(name, "rb") as file:
            data = file.read(most + 1)
    except OSError as failure:
        raise cannot_read(name, failure) from failure
    if len(data) > most:
        raise Failure(error("E0919", f"`{name}` is larger than {most >> 20} MiB", None,
                            help="is that the right file?"))  # fmt: skip
    return data


def _compiled(name: str, tunes: Sequence[str], cc: str | None, asked: Asked) -> Made:
    """Proved, compiled, marked and certified, as by `schedc compile --emit obj,cert`."""
    from schedc.cli.compile import Wanted, analyzed, make
    from schedc.cli.policy_object import find_policy, settings_of
    from schedc.cli.proving import diagnostics, proved, tell
    from schedc.diagnostics.render.located import Sources

    source, analysis = analyzed(find_policy(name), "<stdin>")
    assert analysis.policy is not None
    settings = settings_of(analysis.policy, tunes).text()
    proof = proved(source, analysis, asked)
    console, places = Console.current(), Sources(source, analysis.sources)
    failed = diagnostics(proof)
    if failed:
        refusal = error("E0594", f"no plan is made: the policy is {proof.verdict.value}", None,
                        help="only what is proved is loaded; `schedc vm check` tries it in a "
                        "virtual machine")  # fmt: skip
        console.report([((*analysis.diagnostics, *failed), places), ((refusal,), None)])
        tell(proof, source, analysis)
        raise click.exceptions.Exit(exit_code((*failed, refusal)))
    console.report([(analysis.diagnostics, places)])
    wanted = Wanted(("obj", "cert"), cc, (), True, False, asked)
    made, problems = make(source, analysis, proof, wanted)
    if problems:
        raise Failure(*problems, source=places)
    data, certificate = made["obj"], made["cert"]
    assert isinstance(data, bytes) and isinstance(certificate, bytes)
    return Made(data, certificate.decode(), settings)


