"""`schedc doctor`: what this machine has, what it lacks, and the command that mends it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

import click

from schedc.cli.console import Console
from schedc.cli.doctor_checks import CHECKS, Check, State
from schedc.cli.failure import Exit
from schedc.diagnostics.render.visible import visible

_MARK = {State.ok: "ok", State.missing: "MISSING", State.absent: "absent"}
_STYLE = {State.ok: "green", State.missing: "bold red", State.absent: "yellow"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def doctor(as_json: bool) -> Exit:
    """Say what this machine has and lacks.

    Exit code 0 if policies can be compiled here, else 2. What is only `absent` limits some
    commands, named beside it.
    """
    checks = [check() for check in CHECKS]
    if as_json:
        click.echo(json.dumps({"checks": [check.as_object() for check in checks]}, indent=2))
    elif sys.stdout.isatty():
        _rich_table(checks)
    else:
        _plain_table(checks)
    broken = any(check.state is State.missing for check in checks)
    return Exit.usage if broken else Exit.fine


def _plain_table(checks: Sequence[Check]) -> None:
    name = max(len(check.name) for check in checks)
    for check in checks:
        click.echo(f"{_MARK[check.state]:8} {check.name:{name}}  {visible(check.detail)}")
        if check.state is not State.ok:
            for line in _advice(check):
                click.echo(f"{'':8} {'':{name}}  {visible(line)}")


def _advice(check: Check) -> list[str]:
    lines = [f"needed for: {check.needed_for}"]
    return [*lines, f"help: {check.help}"] if check.help else lines


def _rich_table(checks: Sequence[Check]) -> None:
    from rich.console import Console as RichConsole
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for heading in ("", "what", "found"):
        table.add_column(heading)
    for check in checks:
        found = visible(check.detail)
        if check.state is not State.ok:
            found = "\n".join([found, *map(visible, _advice(check))])
        table.add_row(Text(_MARK[check.state], _STYLE[check.state]), check.name, Text(found))
    color = Console.current().use_color(sys.stdout)
    RichConsole(no_color=not color, highlight=False).print(table)
