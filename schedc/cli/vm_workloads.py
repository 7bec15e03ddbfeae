"""`schedc vm workloads`: the workloads that there are, and the parameters of one."""

from __future__ import annotations

import click

from schedc.cli.failure import Exit, Failure
from schedc.cli.options import format_option


@click.command()
@click.argument("name", required=False)
@format_option
def workloads(name: str | None) -> Exit:
    """List the workloads of `vm run`, or the parameters and metrics of one."""
    from schedc.workload import registry

    if name is None:
        for one in registry.names():
            workload, source, wrong = registry.find(one)
            if workload is None:
                raise Failure(*wrong, source=source)
            click.echo(f"{one:12} {workload.description}")
        return Exit.fine
    workload, source, wrong = registry.find(name)
    if workload is None:
        raise Failure(*wrong, source=source)
    click.echo(f"{workload.name}: {workload.description}")
    for param in workload.params.values():
        default = registry.show(param, param.default)
        click.echo(f"  -p {param.name}={default:12} {param.doc} ({registry.describe(param)})")
    click.echo("metrics: " + ", ".join(workload.metrics))
    return Exit.fine
