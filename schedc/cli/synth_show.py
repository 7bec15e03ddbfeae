"""`schedc synth show`: a run that was made, from its journal."""

from __future__ import annotations

import json

import click

from schedc.cli.failure import Exit, Failure
from schedc.cli.options import format_option


@click.command()
@click.argument("run")
@click.option("--html", metavar="FILE", type=click.Path(dir_okay=False),
              help="Write a page that shows it, in one file.")
@click.option("--json", "as_json", is_flag=True, help="All messages as JSON lines.")
@format_option
def show(run: str, html: str | None, as_json: bool) -> Exit:
    """Show RUN: its folder, or the folder's name."""
    from schedc.synth.journal import JournalError
    from schedc.synth.messages import encode
    from schedc.synth.recorded import folder_of, messages_of
    from schedc.synth.story import lines

    try:
        folder = folder_of(run)
        messages = messages_of(folder)
    except JournalError as failure:
        raise Failure(failure.diagnostic) from failure
    if html is not None:
        from schedc.cli.files import write_output
        from schedc.synth.html import page

        write_output(html, page(folder.name, messages).encode())
        return Exit.fine
    for message in messages:
        if as_json:
            click.echo(json.dumps(encode(message)))
    if not as_json:
        for line in lines(messages):
            click.echo(line)
    return Exit.fine
