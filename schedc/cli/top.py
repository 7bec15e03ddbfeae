"""`schedc top`: counters per class, waits beside the proved bounds, what the policy costs; live."""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from schedc.cli.failure import Exit
from schedc.cli.loader import loader_errors, seconds, stop_signals
from schedc.cli.options import format_option

if TYPE_CHECKING:
    from schedc.load.client import Client


@click.command()
@click.option("--once", is_flag=True, help="One look, over an interval, on stdout; for scripts.")
@click.option("-n", "--interval", metavar="TIME", default="1s", show_default=True, callback=seconds,
              help="Between two looks.")
@click.option("--json", "as_json", is_flag=True, help="A JSON line a look on stdout.")
@format_option
def top(once: bool, interval: float, as_json: bool) -> Exit:
    """Show what the loaded policy does: rates and waits per class, beside what was proved.

    Waits are right to within a factor of two, the longest exactly. Ctrl-C ends it.
    """
    from schedc.load.client import Client

    with (
        loader_errors(), Client.connect() as client, suppress(KeyboardInterrupt), stop_signals(),
    ):  # fmt: skip
        if once or as_json or not sys.stdout.isatty():
            _lines(client, once, interval, as_json)
        else:
            _live(client, interval)
    return Exit.fine


def _lines(client: Client, once: bool, interval: float, as_json: bool) -> None:
    from schedc.deploy import host, rates, state as states, top as tops

    cpus = host.cpus()
    before, began = states.ask(client), time.monotonic()
    while True:
        time.sleep(interval)
        now, at = states.ask(client), time.monotonic()
        found = rates.between(before, now, at - began)
        if as_json:
            click.echo(json.dumps(tops.as_json(now, found, time.time(), cpus)))
        else:
            click.echo("\n".join([*tops.lines(now, found, time.time(), cpus), ""]))
        sys.stdout.flush()
        if once:
            return
        before, began = now, at


def _live(client: Client, interval: float) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from schedc.deploy import host, rates, state as states, top as tops

    cpus = host.cpus()
    before, began = states.ask(client), time.monotonic()
    first = Text("\n".join(tops.lines(before, None, time.time(), cpus)))
    with Live(first, console=Console(), auto_refresh=False, screen=True) as live:
        while True:
            time.sleep(interval)
            now, at = states.ask(client), time.monotonic()
            found = rates.between(before, now, at - began)
            live.update(Text("\n".join(tops.lines(now, found, time.time(), cpus))), refresh=True)
            before, began = now, at
