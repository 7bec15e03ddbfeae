"""`schedc status`, `history`, `quarantine`, `rollback`, `unload`: short questions to the loader."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import click

from schedc.cli.console import Console
from schedc.cli.failure import Exit
from schedc.cli.frame import Entry, LazyGroup
from schedc.cli.loader import loader_errors
from schedc.cli.options import format_option
from schedc.diagnostics.render.visible import visible

if TYPE_CHECKING:
    from schedc.load.errors import LoadError

json_option = click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")


@click.command()
@json_option
@format_option
def status(as_json: bool) -> Exit:
    """Say what schedules this machine, since when, and how long its tasks wait.

    Without a loader it says what the kernel tells anybody.
    """
    from schedc.deploy import state as states
    from schedc.deploy.show import status_lines
    from schedc.load.client import Client
    from schedc.load.errors import NO_LOADER, NOT_ALLOWED, LoadError

    with loader_errors():
        try:
            with Client.connect() as client:
                state = states.ask(client)
        except LoadError as failure:
            if failure.code not in (NO_LOADER, NOT_ALLOWED):
                raise
            return _without_loader(failure, as_json)
    if as_json:
        click.echo(json.dumps(state.raw, indent=1))
    else:
        click.echo("\n".join(status_lines(state, time.time())))
        _tell_notes(state.raw)
    return Exit.fine


def _without_loader(failure: LoadError, as_json: bool) -> Exit:
    """What /sys says; that is an answer, not an error."""
    from schedc.deploy.make import scene
    from schedc.deploy.show import running_now

    where = scene(None, failure)
    now = where.current
    if as_json:
        click.echo(json.dumps({
            "loader": failure.message,
            "kernel": {"release": where.kernel.release, "state": now.state, "ops": now.ops,
                       "enable_seq": now.enable_seq},
            "policy": None,
        }, indent=1))  # fmt: skip
        return Exit.fine
    running = running_now(where)
    click.echo(f"{running} runs")
    click.echo(f"  kernel {visible(where.kernel.release)}, sched_ext {visible(now.state)}")
    click.echo(f"  {visible(failure.message)}")
    return Exit.fine


@click.command()
@click.option("--last", metavar="N", type=click.IntRange(1, 1000), default=20, show_default=True,
              help="So many events.")
@json_option
@format_option
def history(last: int, as_json: bool) -> Exit:
    """List what was loaded, confirmed, taken back and why; the oldest first."""
    from schedc.deploy.show import history_lines

    entries = _ask({"do": "history", "last": last})["history"]
    for line in (map(json.dumps, entries) if as_json else history_lines(entries)):
        click.echo(line)
    return Exit.fine


@click.command()
@click.option("--reason", metavar="TEXT", default="by hand", show_default=True,
              help="For the history.")
@format_option
def rollback(reason: str) -> Exit:
    """Go back to the policy that was confirmed before; during a trial, end it."""
    reply = _ask({"do": "rollback", "reason": _reason(reason), "by": _who()})
    _tell_back(reply)
    return Exit.fine


@click.command()
@click.option("--reason", metavar="TEXT", default="by hand", show_default=True,
              help="For the history.")
@format_option
def unload(reason: str) -> Exit:
    """Go back to the kernel's own scheduler, also after the next start of the loader."""
    reply = _ask({"do": "unload", "reason": _reason(reason), "by": _who()})
    _tell_back(reply)
    return Exit.fine


def _tell_back(reply: dict[str, Any]) -> None:
    from schedc.deploy.show import OWN

    name = visible(str(reply["policy"])) if reply.get("policy") else OWN
    took = reply.get("took_ms")
    after = f", after {took:g} ms" if isinstance(took, int | float) else ""
    click.echo(f"{name} is back{after}")
    _tell_notes(reply)


COMMANDS = {
    "list": Entry("schedc.cli.status:listed", "List the policies that are quarantined."),
    "clear": Entry("schedc.cli.status:clear", "Let a policy be loaded again."),
}


@click.group(cls=LazyGroup, entries=COMMANDS, invoke_without_command=True)
@click.pass_context
def quarantine(ctx: click.Context) -> Exit | None:
    """Policies that were taken back twice: they are not loaded until somebody clears them."""
    if ctx.invoked_subcommand is None:
        return _listed(False)
    return None


@click.command("list")
@json_option
@format_option
def listed(as_json: bool) -> Exit:
    """List the policies that are quarantined, and why."""
    return _listed(as_json)


def _listed(as_json: bool) -> Exit:
    from schedc.deploy import state as states
    from schedc.deploy.show import quarantine_lines

    state = states.read(_ask({"do": "status"}))
    if as_json:
        click.echo(json.dumps(state.raw["quarantined"], indent=1))
    else:
        for line in quarantine_lines(state):
            click.echo(line)
    return Exit.fine


@click.command()
@click.argument("hash_", metavar="HASH")
@format_option
def clear(hash_: str) -> Exit:
    """Let the policy with this sha256 (eight digits are enough) be loaded again."""
    reply = _ask({"do": "clear", "hash": hash_.lower().rstrip("….")[:64]})
    click.echo(f"cleared {visible(str(reply['hash']))}")
    _tell_notes(reply)
    return Exit.fine


def _ask(request: dict[str, Any]) -> dict[str, Any]:
    from schedc.load.client import Client

    with loader_errors(), Client.connect() as client:
        return client.ask(request)


def _who() -> str:
    from schedc.cli.loader import who

    return who()


def _reason(text: str) -> str:
    """It goes into a log of one line an event."""
    if not text.strip():
        raise click.BadParameter("say why, for the history", param_hint="--reason")
    return visible(text)[:400]


def _tell_notes(reply: Any) -> None:
    for note in reply.get("notes", ()):
        Console.current().status(f"note: {visible(str(note))}")
