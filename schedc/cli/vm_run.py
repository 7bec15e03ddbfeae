"""`schedc vm run`: measure a workload under a policy, beside the kernel's scheduler or another."""

from __future__ import annotations

import json
import sys
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import click

from schedc.cli.chosen_workload import chosen_workload
from schedc.cli.console import Console
from schedc.cli.failure import Exit, Failure
from schedc.cli.options import cc_option, format_option
from schedc.diagnostics.model import error

if TYPE_CHECKING:
    from rich.progress import Progress

    from schedc.vm.loadable import Policy
    from schedc.vm.measure import Run, RunReport
    from schedc.vm.run import Options, Watch
    from schedc.workload.model import Setting, Workload



@click.command()
@click.argument("policy", metavar="POLICY", type=click.Path())
@click.option("-w", "--workload", metavar="W", required=True,
              help="A workload by name (see `schedc vm workloads`), or a file: TOML, or "
                   "rt-app's JSON.")
@click.option("--against", metavar="POLICY", default="eevdf", show_default=True,
              help="The other arm: eevdf is the kernel's own scheduler; `none` for no other arm.")
@click.option("--kernel", metavar="K", default="latest", show_default=True,
              help="A series such as 6.18, or the path of a kernel.")
@click.option("--clock", type=click.Choice(["wall", "icount"]), default="wall", show_default=True,
              help="Real time, or instructions: repeatable bit by bit, but no hardware's times.")
@click.option("--runs", type=click.IntRange(1, 1000), default=6, show_default=True,
              help="Runs of each arm that count; fewer than 5 give no verdict.")
@click.option("--seed", type=click.IntRange(1, 2**31), default=1, show_default=True,
              help="Seed of the first pair; pair i has SEED + i.")
@click.option("--cpus", type=click.IntRange(1, 64), default=2, show_default=True,
              help="Cpus of the machine.")
@click.option("-p", "--param", "params", metavar="NAME=VALUE", multiple=True,
              help="Set a parameter of the workload, such as `hogs=8` or `duration=10s`.")
@click.option("--set", "tunes", metavar="TUNE=VALUE", multiple=True,
              help="Set a tunable of the policy.")
@cc_option
@click.option("--json", "as_json", is_flag=True,
              help="JSON lines on stdout: one a run as it ends, then the report.")
@format_option
def run(
    policy: str,
    workload: str,
    against: str,
    kernel: str,
    clock: str,
    runs: int,
    seed: int,
    cpus: int,
    params: tuple[str, ...],
    tunes: tuple[str, ...],
    cc: str | None,
    as_json: bool,
) -> Exit:
    """Measure a workload under POLICY in a virtual machine.

    POLICY is a policy file, the name of one of the library's, or a compiled object. The arms take
    turns; a run whose scheduler did not stay is void, and then the exit code is 4.
    """
    from schedc.cli.policy_object import load_policy
    from schedc.vm.run import Options

    found, settings = chosen_workload(workload, params)
    mine = load_policy(policy, tunes, cc)
    other = None if against in ("eevdf", "none") else load_policy(against, (), cc)
    options = Options(
        kernel, "icount" if clock == "icount" else "wall", cpus,
        pairs=runs, first_seed=seed, alone=against == "none",
    )
    report = _measure(mine, other, found, settings, options, as_json)
    _show(report, mine, as_json)
    return Exit.refused if report.scheduler_failed else (
        Exit.findings if report.void_runs else Exit.fine
    )


def _measure(
    mine: Policy,
    other: Policy | None,
    workload: Workload,
    settings: dict[str, Setting],
    options: Options,
    as_json: bool,
) -> RunReport:
    from schedc.vm.errors import VmError
    from schedc.vm.run import run_workload

    try:
        with _watching(workload.metrics, as_json) as watch:
            return run_workload(mine, other, workload, settings, options, watch=watch)
    except VmError as failure:
        raise Failure(
            error(failure.code, failure.message, None, notes=failure.notes, help=failure.help)
        ) from failure


class _watching(AbstractContextManager["Watch"]):
    """A progress bar on stderr (on a terminal), and a JSON line for each run if wanted."""

    def __init__(self, metrics: tuple[str, ...], as_json: bool) -> None:
        self.metrics = metrics
        self.as_json = as_json
        self.bar: Progress | None = None
        self.task: Any = None

    def __enter__(self) -> Watch:
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        from schedc.vm.run import Watch

        stderr = RichConsole(stderr=True)
        if stderr.is_terminal:
            self.bar = Progress(
                TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(),
                console=stderr, transient=True,
            )
            self.bar.start()
            self.task = self.bar.add_task("starting", total=None)
        return Watch(self._progress, self._done)

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def _progress(self, what: str, fraction: float | None, /) -> None:
        if self.bar is not None:
            done, total = (None, None) if fraction is None else (fraction, 1.0)
            self.bar.update(self.task, description=what, completed=done, total=total)

    def _done(self, run: Run, number: int, total: int) -> None:
        if self.bar is not None:
            void = " (void)" if run.outcome.void else ""
            self.bar.update(
                self.task, description=f"run {number} of {total}: {run.arm}{void}",
                completed=number, total=total,
            )
        if self.as_json:
            from schedc.vm.run_show import run_json

            click.echo(json.dumps(run_json(run, self.metrics)))


def _show(report: RunReport, mine: Policy, as_json: bool) -> None:
    """The result on stdout, void runs as diagnostics on stderr."""
    from schedc.vm import run_show

    console = Console.current()
    if as_json:
        click.echo(json.dumps(run_show.report_json(report)))
    else:
        from rich.console import Console as RichConsole

        color = console.use_color(sys.stdout)
        width = None if sys.stdout.isatty() else 120
        out = RichConsole(
            file=sys.stdout, width=width, no_color=not color, force_terminal=color or None,
            highlight=False,
        )
        out.print(run_show.table(report))
        if (counted := run_show.counters(report)) is not None:
            out.print(counted)
    found = run_show.diagnostics(report, mine.source)
    if found:
        console.report([(found, mine.source)])
