"""`schedc sim`: a policy in the simulator, beside other schedulers or alone."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import click

from schedc.cli.console import Console
from schedc.cli.failure import Exit, Failure
from schedc.cli.options import format_option, stdin_filename_option
from schedc.diagnostics.model import error

if TYPE_CHECKING:
    from schedc.sim.run import Report
    from schedc.sim.scenario import Options, Watch

_SHAPE = ("cpus", "llcs", "smt", "nodes", "fast", "hz")


@click.command()
@click.argument("policy", metavar="[POLICY]", type=click.Path(), required=False)
@click.option("-w", "--workload", metavar="W",
              help="A workload by name (see `schedc vm workloads`), or a file: TOML, or "
                   "rt-app's JSON.")
@click.option("--against", metavar="S,...", default="eevdf", show_default=True,
              help="Schedulers to compare with: eevdf and fifo are the simulator's own, others are "
              "policies or C files; `none` for none.")
@click.option("--cpus", type=click.IntRange(1, 512), help="Cpus.  [default: 8]")
@click.option("--llcs", type=click.IntRange(1, 512),
              help="Last-level caches, each of several cores.  [default: 2]")
@click.option("--smt", type=click.IntRange(1, 8), help="Threads of a core.  [default: 2]")
@click.option("--nodes", type=click.IntRange(1, 64), help="NUMA nodes.  [default: 1]")
@click.option("--fast", type=click.IntRange(1, 512),
              help="So many cpus are fast and the others slow.  [default: all]")
@click.option("--hz", type=click.IntRange(1, 1000), help="Ticks a second.  [default: 250]")
@click.option("--machine", metavar="M", default="server", show_default=True,
              help="What things cost, and the topology that the options above change: server, "
              "emulated, or a TOML file.")
@click.option("--seed", type=click.IntRange(0, 2**31), default=1, show_default=True,
              help="Seed of the first run; run i has SEED + i.")
@click.option("--runs", type=click.IntRange(1, 10000), default=10, show_default=True,
              help="Runs of each scheduler; fewer than 5 give no verdict.")
@click.option("-p", "--param", "params", metavar="NAME=VALUE", multiple=True,
              help="Set a parameter of the workload, such as `hogs=8`.")
@click.option("--duration", metavar="TIME", help="The same as `-p duration=TIME`.")
@click.option("--set", "tunes", metavar="TUNE=VALUE", multiple=True,
              help="Set a tunable of POLICY.")
@click.option("--trace", metavar="FILE", type=click.Path(dir_okay=False),
              help="Write POLICY's first run for the Perfetto viewer (others: FILE-NAME).")
@click.option("--html", metavar="FILE", type=click.Path(dir_okay=False),
              help="Write a page that shows it all, in one file.")
@click.option("--replay", metavar="RUN.json", type=click.Path(dir_okay=False),
              help="Repeat a run that refutes a policy, step by step.")
@click.option("--json", "as_json", is_flag=True,
              help="JSON lines on stdout: one a run, then the report.")
@click.option("--jobs", type=click.IntRange(1, 1024), help="Runs at once.  [default: one a cpu]")
@click.option("--limit", metavar="SECONDS", type=click.FloatRange(1, 86400), default=30.0,
              show_default=True, help="Cpu time that a run may take.")
@click.option("--cc", metavar="PATH|clang|gcc|zig", envvar="SCHEDC_CC",
              help="The C compiler.  [default: clang >= 16, else gcc, else zig]")
@click.option("--debug", is_flag=True, help="Check every step of the simulator, at half the speed.")
@format_option
@stdin_filename_option
def sim(
    policy: str | None, workload: str | None, against: str, machine: str, seed: int, runs: int,
    params: tuple[str, ...], duration: str | None, tunes: tuple[str, ...], trace: str | None,
    html: str | None, replay: str | None, as_json: bool, jobs: int | None, limit: float,
    cc: str | None, debug: bool, stdin_filename: str, **shape: int | None,
) -> Exit:  # fmt: skip
    """Simulate a workload under POLICY and under other schedulers.

    POLICY is a policy file, the name of one of the library's, or a sched_ext scheduler in C. What
    runs is its generated C, built for this machine. The same command gives the same figures. A run
    whose scheduler the kernel would have thrown out is void, and then the exit code is 4.
    """
    from schedc.sim.scenario import Options

    if replay is not None:
        return _replay(replay, policy, as_json, stdin_filename, cc)
    if policy is None or workload is None:
        raise click.UsageError("give a POLICY and a --workload, or --replay RUN.json")
    if duration is not None:
        params = (*params, f"duration={duration}")
    options = Options(
        runs, seed, jobs, cc, "debug" if debug else "release", limit,
        traced=trace is not None or html is not None,
    )  # fmt: skip
    report = _simulated(policy, against, tunes, workload, params, machine, shape, options)
    _show(report, as_json)
    if trace is not None:
        _write_traces(report, trace)
    if html is not None:
        _write_page(report, html)
    return Exit.refused if report.scheduler_failed else (
        Exit.findings if report.void_runs else Exit.fine
    )


def _replay(
    name: str, policy: str | None, as_json: bool, stdin_filename: str, cc: str | None
) -> Exit:
    from schedc.cli.sim_replay import replay_run

    with _sim_errors():
        return replay_run(name, policy, as_json=as_json, stdin_filename=stdin_filename, cc=cc)


def _simulated(
    policy: str, against: str, tunes: tuple[str, ...], workload: str, params: tuple[str, ...],
    machine: str, shape: Mapping[str, int | None], options: Options,
) -> Report:  # fmt: skip
    """Everything up to the report; what is wrong with the command line is said first."""
    from schedc.cli.chosen_workload import chosen_workload
    from schedc.cli.sim_arms import arms
    from schedc.sim import machine as machines
    from schedc.sim.run import simulate
    from schedc.sim.scenario import Scenario

    found, settings = chosen_workload(workload, params)
    with _sim_errors():
        flags = {name: value for name in _SHAPE if (value := shape[name]) is not None}
        scenario = Scenario(found, settings, machines.machine(machine, flags))
        _build_ahead(options)
        with _bar() as bar:
            compared = arms(policy, against, tunes)
            return simulate(compared, scenario, options, bar)


def _build_ahead(options: Options) -> None:
    """Begin to build the simulator while policies are analysed and proved; what goes wrong is told
    when it is needed."""
    from schedc.sim import build

    tools = build.toolchain(options.variant, options.cc)

    def begin() -> None:
        from contextlib import suppress

        from schedc.sim.errors import SimError

        with suppress(SimError):
            tools.runtime()

    Thread(target=begin, daemon=True, name="build").start()


@contextmanager
def _sim_errors() -> Iterator[None]:
    """A failure of the simulator ends the command with its diagnostic."""
    from schedc.sim.errors import SimError

    try:
        yield
    except SimError as failure:
        raise Failure(
            error(failure.code, failure.message, None, notes=failure.notes, help=failure.help)
        ) from failure


@contextmanager
def _bar() -> Iterator[Watch]:
    """A progress bar on stderr, on a terminal, once it has taken a second."""
    from schedc.sim.scenario import Watch

    if not sys.stderr.isatty():
        yield Watch()
        return
    from threading import Timer

    from rich.console import Console as RichConsole
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(),
        console=RichConsole(stderr=True), transient=True,
    )  # fmt: skip
    task = bar.add_task("building", total=None)

    def progress(what: str, fraction: float | None) -> None:
        total = None if fraction is None else 1.0
        bar.update(task, description=what, completed=fraction, total=total)

    def done(run: Any, number: int, total: int) -> None:
        void = " (void)" if run.void else ""
        bar.update(task, description=f"run {number} of {total}: {run.arm}{void}",
                   completed=number, total=total)  # fmt: skip

    timer = Timer(1.0, bar.start)
    timer.daemon = True
    timer.start()
    try:
        yield Watch(progress, done)
    finally:
        timer.cancel()
        bar.stop()


def _show(report: Report, as_json: bool) -> None:
    """The result on stdout, void runs as diagnostics on stderr."""
    from schedc.sim import show

    console = Console.current()
    if as_json:
        for run in report.runs:
            click.echo(json.dumps(show.run_json(report, run)))
        click.echo(json.dumps(show.report_json(report)))
    else:
        from rich.console import Console as RichConsole

        color = console.use_color(sys.stdout)
        width = None if sys.stdout.isatty() else 160
        out = RichConsole(
            file=sys.stdout, width=width, no_color=not color, force_terminal=color or None,
            highlight=False,
        )  # fmt: skip
        for part in show.parts(report):
            text = isinstance(part, str)
            out.print(part, markup=not text, soft_wrap=text and width is not None)
    console.report([(show.diagnostics(report), None)])


def _write_traces(report: Report, name: str) -> None:
    """POLICY's trace to the file that was named, those of the others beside it."""
    import re

    from schedc.cli.files import write_output
    from schedc.sim.perfetto import pftrace
    from schedc.sim.trace import read_trace

    for run in [run for run in report.runs if run.trace]:
        path = Path(name)
        if run.arm != report.arms[0].name:
            safe = re.sub(r"[^\w]+", "-", run.arm).strip("-")
            path = path.with_name(f"{path.stem}-{safe}{path.suffix}")
        queues = next(arm.queues for arm in report.arms if arm.name == run.arm)
        write_output(str(path), pftrace(read_trace(run.trace), scheduler=run.arm, queues=queues))
        Console.current().status(f"wrote {path}")


def _write_page(report: Report, name: str) -> None:
    from schedc import __version__
    from schedc.cli.files import write_output
    from schedc.sim.html import page

    command = shlex.join(["schedc", *sys.argv[1:]])
    write_output(name, page(report, command=command, version=__version__).encode())
    Console.current().status(f"wrote {name}")
