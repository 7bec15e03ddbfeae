"""`schedc service`: units for systemd, printed or installed."""

from __future__ import annotations

from pathlib import Path

import click

from schedc.cli.failure import Exit, Failure
from schedc.cli.frame import Entry, LazyGroup
from schedc.cli.options import format_option
from schedc.diagnostics.model import error

COMMANDS = {
    "print": Entry("schedc.cli.service:print_", "Print the units, or one of them."),
    "install": Entry("schedc.cli.service:install", "Write the units below /etc."),
}
NAMES = ("schedc-loader.service", "schedc.service", "schedc.sysusers", "schedc.default")


@click.group(cls=LazyGroup, entries=COMMANDS)
def service() -> None:
    """The loader as a service of systemd, and one that runs a policy from boot on.

    Nothing is started or enabled here; `install` says how.
    """


@click.command("print")
@click.argument("name", required=False, type=click.Choice(NAMES))
@format_option
def print_(name: str | None) -> Exit:
    """Print all files, or NAME alone."""
    from schedc.deploy.units import units

    for one in units():
        if name is None:
            click.echo(f"# /{one.place}")
        if name in (None, one.name):
            click.echo(one.text, nl=name is None)
    return Exit.fine


@click.command()
@click.option("--root", metavar="DIR", default="/", show_default=True,
              type=click.Path(file_okay=False, exists=True),
              help="Write below DIR, as for an image.")
@format_option
def install(root: str) -> Exit:
    """Write the units; /etc/default/schedc only if it isn't there.

    The loader runs as the user schedc with two capabilities; members of the group schedc may ask
    it.
    """
    from schedc.atomic import write_atomically
    from schedc.deploy.units import KEPT, units

    done: list[str] = []
    for one in units():
        path = Path(root) / one.place
        if one.name in KEPT and path.exists():
            click.echo(f"kept  {path}")
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, one.text.encode(), 0o644)
        except OSError as failure:
            raise Failure(error(
                "E0920", f"can't write `{path}`: {(failure.strerror or 'unknown reason').lower()}",
                None, notes=[f"written: {', '.join(done)}" if done else "nothing was written"],
                help="sudo schedc service install; or schedc service print",
            )) from failure  # fmt: skip
        done.append(str(path))
        click.echo(f"wrote {path}")
    for line in (
        "", "then:", "  sudo systemd-sysusers", "  sudo systemctl daemon-reload",
        "  sudo systemctl enable --now schedc-loader",
        "  sudo usermod -aG schedc $USER          # who may ask the loader; log in again",
        "  sudo systemctl enable --now schedc     # runs SCHEDC_POLICY of /etc/default/schedc",
    ):  # fmt: skip
        click.echo(line)
    return Exit.fine
