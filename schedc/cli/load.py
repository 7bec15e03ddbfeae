"""`schedc load`: plan, show, ask, apply on trial; for a person at a terminal."""

from __future__ import annotations

import sys
from dataclasses import replace

import click

from schedc.cli.apply import CANARY_S, Wanted, canary_options, carry_out
from schedc.cli.failure import Exit, Failure
from schedc.cli.loader import seconds
from schedc.cli.options import cc_option, format_option
from schedc.cli.plan import check_now, material, planned, show
from schedc.cli.proving import Asked, proof_options
from schedc.deploy.show import unchanged
from schedc.diagnostics.model import error


@click.command("load")
@click.argument("policy", metavar="POLICY|OBJECT.o", type=click.Path())
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
@click.option("--certificate", metavar="FILE", type=click.Path(),
              help="The certificate of OBJECT.o.  [default: OBJECT.cert beside it]")
@click.option("--expires", metavar="TIME", default="1h", hidden=True, callback=seconds)
@click.option("--set", "tunes", metavar="TUNE=VALUE", multiple=True,
              help="Set a tunable of the policy, within its proved range.")
@cc_option
@canary_options
@proof_options
@format_option
def load(
    policy: str, yes: bool, certificate: str | None, expires: float, tunes: tuple[str, ...],
    cc: str | None, wanted: Wanted, asked: Asked,
) -> Exit:
    """Run a policy on this machine: plan, show, ask, then apply it on trial for 60s.

    It is confirmed if it stays and every guard holds; else what ran before is back (exit code 4).
    If that very policy runs already, nothing is done. Without a terminal --yes is needed.
    """
    if not yes and not sys.stdin.isatty():
        raise Failure(error(
            "E0917", "there is nobody to ask: stdin is no terminal", None,
            notes=["nothing was loaded"],
            help="add --yes; or plan first, and apply what a person has read",
        ))  # fmt: skip
    made = material(policy, certificate, tunes, cc, asked)
    found, where = planned(made, expires)
    if not wanted.as_json:
        show(found, where, False)
    check_now(found, where)
    if unchanged(found, where):
        return Exit.fine
    if not yes and not click.confirm("Run it now, on trial?", err=True):
        click.echo("nothing was changed", err=True)
        return Exit.refused
    return carry_out(found, replace(wanted, for_s=wanted.for_s or CANARY_S))
