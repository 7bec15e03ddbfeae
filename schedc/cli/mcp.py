"""`schedc mcp`: schedc's tools for agents, over the Model Context Protocol."""

from __future__ import annotations

import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from schedc.cli.failure import Exit, Failure
from schedc.cli.options import format_option
from schedc.diagnostics.model import error

if TYPE_CHECKING:
    from schedc.mcp.setup import Setup


class CannotStart(Failure):
    """No finding in any file: the server can't be started so."""

    @property
    def exit_code(self) -> Exit:
        return Exit.usage


@click.command()
@click.option("--http", "address", metavar="ADDRESS:PORT",
              help="Serve streamable HTTP on this address of the loopback, such as "
                   "127.0.0.1:7070.  [default: stdin and stdout]")
@click.option("--token-file", metavar="FILE", type=click.Path(path_type=Path),
              help="The bearer token, in a file that only you can read.  [default: one is made, "
                   "and printed on stderr]")
@click.option("--plans", metavar="DIR", type=click.Path(file_okay=False, path_type=Path),
              help="Where drafts of plans go.  [default: ~/.local/share/schedc/plans]")
@click.option("--profiles", metavar="DIR", type=click.Path(file_okay=False, path_type=Path),
              help="Profiles that may be read.  [default: ~/.local/share/schedc/profiles]")
@click.option("--allow-vm", is_flag=True, help="Offer vm_trial, which boots virtual machines.")
@click.option("--allow-apply", metavar="DIR",
              type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="Offer apply_plan, for plans that you have put into this folder.")
@click.option("--calls", type=click.IntRange(1, 64), default=4, show_default=True,
              help="Calls at once; one more is told that the server is busy.")
@click.option("--max-seconds", metavar="SECONDS", type=click.FloatRange(0.1, 86400), default=600,
              show_default=True, help="No call takes longer.")
@format_option
def mcp(
    address: str | None, token_file: Path | None, plans: Path | None, profiles: Path | None,
    allow_vm: bool, allow_apply: Path | None, calls: int, max_seconds: float,
) -> Exit:  # fmt: skip
    """Serve schedc's tools to an agent, over the Model Context Protocol.

    An agent can look for policies, profile this machine, check, prove, compile and simulate, and
    draft a plan. It can change nothing: a plan is applied by a person. Ends with its stdin, or
    Ctrl-C.
    """
    if find_spec("mcp") is None:
        raise CannotStart(error("E1240", "the server needs the package `mcp`", None,
                                help="python3 -m pip install 'schedc[mcp]'"))
    if token_file is not None and address is None:
        raise click.UsageError("--token-file is for --http")
    from schedc.mcp.refusal import Refused
    from schedc.mcp.setup import Setup, data_folder, prepared

    data = data_folder()
    scratch = Path(tempfile.mkdtemp(prefix="schedc-mcp-"))
    try:
        setup = prepared(Setup(
            scratch=scratch,
            plans=(plans or data / "plans").absolute(),
            profiles=(profiles or data / "profiles").absolute(),
            apply=allow_apply.absolute() if allow_apply else None,
            vm=allow_vm, calls=calls, most_s=max_seconds,
        ))  # fmt: skip
        _serve(setup, address, token_file)
    except Refused as refused:
        raise CannotStart(*refused.diagnostics) from refused
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Exit.fine


def _serve(setup: Setup, address: str | None, token_file: Path | None) -> None:
    from schedc.mcp import serve

    if address is None:
        serve.over_stdio(setup)
        return
    from schedc.mcp.http import listen

    listening = listen(address, token_file)
    if listening.made:
        print(f"schedc: the token of this run: {listening.token}", file=sys.stderr)
    print(f"schedc: serving {listening.url}", file=sys.stderr, flush=True)
    serve.over_http(setup, listening)
