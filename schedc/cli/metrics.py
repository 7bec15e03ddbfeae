"""`schedc metrics`: what the loader knows, for Prometheus: printed, in a file, or served."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from schedc.cli.failure import Exit, Failure, cannot_write
from schedc.cli.options import format_option
from schedc.diagnostics.model import error
from schedc.diagnostics.render.visible import visible

if TYPE_CHECKING:
    from schedc.deploy.state import State

CODE = "E0918"


@click.command()
@click.option("--textfile", metavar="FILE", type=click.Path(dir_okay=False),
              help="Write FILE as a whole, once; for node_exporter (FILE ends in .prom).")
@click.option("--listen", metavar="ADDRESS:PORT",
              help="Serve /metrics until Ctrl-C, on the loopback only, such as 127.0.0.1:9187.")
@format_option
def metrics(textfile: str | None, listen: str | None) -> Exit:
    """Give metrics of the loaded policy in the text format of Prometheus.

    Without an option they are printed. Where no loader answers, schedc_up is 0.
    """
    if textfile is not None and listen is not None:
        raise click.UsageError("--textfile writes once and --listen serves; give one of them")
    _needed()
    from schedc.deploy.metrics import registry

    if listen is not None:
        return _serve(listen)
    from prometheus_client import generate_latest

    if textfile is None:
        click.echo(generate_latest(registry(_state)).decode(), nl=False)
        return Exit.fine
    from schedc.atomic import write_atomically

    try:
        write_atomically(Path(textfile), generate_latest(registry(_state)))
    except OSError as failure:
        raise cannot_write(textfile, failure) from failure
    return Exit.fine


def _needed() -> None:
    from importlib.util import find_spec

    if find_spec("prometheus_client") is None:
        raise Failure(error(
            CODE, "the package prometheus-client is not installed", None,
            help=f"{Path(sys.executable).name} -m pip install 'schedc[metrics]'  "
            "(Debian: python3-prometheus-client)",
        ))  # fmt: skip


def _state() -> State | None:
    """What the loader says; nobody's silence may make a scrape fail."""
    from schedc.deploy import state as states
    from schedc.load.client import Client
    from schedc.load.errors import LoadError

    try:
        with Client.connect() as client:
            return states.ask(client)
    except LoadError:
        return None


def _serve(listen: str) -> Exit:
    from prometheus_client import start_http_server

    from schedc.deploy.metrics import NotHere, address, registry

    try:
        host, port = address(listen)
    except NotHere as wrong:
        raise Failure(error(CODE, visible(str(wrong)), None,
                            help="--listen 127.0.0.1:9187, and a proxy in front of it if others "
                            "are to read it")) from wrong  # fmt: skip
    try:
        server, thread = start_http_server(port, host, registry(_state))
    except OSError as failure:
        raise Failure(error(CODE, f"can't listen at {host}:{port}: {failure.strerror}", None,
                            help="choose another port")) from failure  # fmt: skip
    click.echo(f"http://{host}:{server.server_port}/metrics", err=True)
    try:
        while thread.is_alive():
            time.sleep(1)
    except KeyboardInterrupt:
        server.shutdown()
    return Exit.fine
