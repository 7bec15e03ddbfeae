"""`schedc profile`: what runs here, as numbers; as a page, a file, a workload.

Nothing of a profile is sent anywhere. The tracing collectors run in a privileged process of their
own; the others need no rights.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from schedc.cli.console import Console
from schedc.cli.failure import Exit, Failure, cannot_write
from schedc.cli.frame import Entry, LazyGroup
from schedc.cli.options import cc_option, format_option
from schedc.diagnostics.model import error

if TYPE_CHECKING:
    from schedc.profile.model import Profile
    from schedc.profile.target import Command, Target

COMMANDS = {
    "show": Entry("schedc.cli.profile:show", "Show a profile that was kept."),
    "workload": Entry("schedc.cli.profile:workload", "Make a workload file of a profile."),
    "compare": Entry("schedc.cli.profile:compare", "Say how far one profile is from another."),
    "object": Entry("schedc.cli.profile:object_", "Compile the bpf collector's object."),
}


class _Profiling(LazyGroup):
    """A group that does the profiling itself where no subcommand is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # `schedc profile -- show` profiles a command called show: what follows `--` is a command.
        if "--" in args:
            at = args.index("--")
            ctx.meta["schedc.profile.command"] = tuple(args[at + 1 :])
            args = args[:at]
        return super().parse_args(ctx, args)


json_option = click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")


@click.group(cls=_Profiling, entries=COMMANDS, invoke_without_command=True,
             subcommand_metavar="[-- COMMAND… | SUBCOMMAND …]")
@click.option("--pid", type=click.IntRange(1), help="Watch the threads of this process.")
@click.option("--cgroup", metavar="PATH", help="Watch the tasks of this control group.")
@click.option("--for", "duration", metavar="TIME",
              help="How long, such as 10s or 500ms.  [default: 10s; a command until it ends]")
@click.option("--collector", type=click.Choice(["auto", "bcc", "bpf", "proc"]), default="auto",
              show_default=True, help="auto: the best one that can run here, in this order.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(dir_okay=False),
              help="Keep the profile as JSON.")
@click.option("--workload", "workload_file", metavar="FILE", type=click.Path(dir_okay=False),
              help="Write a workload file that `schedc sim` and `schedc vm run` replay.")
@click.option("--object", "object_file", metavar="FILE", type=click.Path(dir_okay=False),
              help="The bpf collector's object, made elsewhere by `schedc profile object`.")
@json_option
@format_option
@click.pass_context
def profile(
    ctx: click.Context, pid: int | None, cgroup: str | None, duration: str | None,
    collector: str, output: str | None, workload_file: str | None, object_file: str | None,
    as_json: bool,
) -> Exit | None:
    """Say what runs on this machine: who wakes how often, runs and sleeps how long, and waits.

    Without --pid, --cgroup or a command, the whole machine is watched. Ctrl-C ends it early and
    gives what there is by then.
    """
    command = ctx.meta.get("schedc.profile.command", ())
    if ctx.invoked_subcommand is not None:
        if command:
            raise click.UsageError("a subcommand takes no command after `--`")
        return None
    if sum((pid is not None, cgroup is not None, bool(command))) > 1:
        raise click.UsageError("give one of --pid, --cgroup and a command")
    seconds = _seconds(duration, bool(command))
    with _failures():
        made = _take(pid, cgroup, command, seconds, collector, object_file)
    _keep(made, output, workload_file)
    _show(made, as_json)
    return Exit.fine


@click.command()
@click.argument("file", metavar="PROFILE", type=click.Path())
@json_option
@format_option
def show(file: str, as_json: bool) -> Exit:
    """Show a profile that was kept with -o."""
    _show(_read(file), as_json)
    return Exit.fine


@click.command()
@click.argument("file", metavar="PROFILE", type=click.Path())
@click.option("-o", "--output", metavar="FILE", type=click.Path(dir_okay=False),
              help="Write it there.  [default: stdout]")
@format_option
def workload(file: str, output: str | None) -> Exit:
    """Make a workload file: its groups run and sleep as the profile's do."""
    text = _workload(_read(file))
    if output is None:
        click.echo(text, nl=False)
    else:
        _write(output, text.encode())
    return Exit.fine


@click.command()
@click.argument("old", metavar="OLD", type=click.Path())
@click.argument("new", metavar="NEW", type=click.Path())
@json_option
@format_option
def compare(old: str, new: str, as_json: bool) -> Exit:
    """Say how far NEW is from OLD, 0 to 1, and what differs."""
    import json

    from schedc.profile.drift import drift, fingerprint

    before, after = _read(old), _read(new)
    found = drift(before, after)
    if as_json:
        click.echo(json.dumps({
            "distance": round(found.distance, 4), "what": list(found.what),
            "fingerprints": [fingerprint(before), fingerprint(after)],
        }))  # fmt: skip
        return Exit.fine
    click.echo(f"distance {found.distance:.2f}")
    for line in found.what:
        click.echo(f"  {line}")
    return Exit.fine


@click.command("object")
@click.option("-o", "--output", metavar="FILE", required=True, type=click.Path(dir_okay=False),
              help="Where to write it.")
@cc_option
@format_option
def object_(output: str, cc: str | None) -> Exit:
    """Compile the bpf collector's object, for a machine without a compiler."""
    from schedc.profile.object import make_object

    with _failures():
        data = make_object(cc)
    _write(output, data)
    return Exit.fine


# --- parts --------------------------------------------------------------------------------------


@contextmanager
def _failures() -> Iterator[None]:
    """What can't be profiled becomes a diagnostic."""
    from schedc.profile.errors import ProfileError

    try:
        yield
    except ProfileError as failure:
        raise Failure(
            error(failure.code, failure.message, None, notes=list(failure.notes),
                  help=failure.help)
        ) from failure  # fmt: skip


def _seconds(duration: str | None, command: bool) -> float | None:
    from schedc.workload.quantity import MAX_TIME, parse_time

    if duration is None:
        return None if command else 10.0
    time = parse_time(duration)
    if time is None or not 0 < time <= MAX_TIME:
        raise click.BadParameter(
            f"`{duration[:40]}` is no time; write 10s or 500ms", param_hint="--for"
        )
    return time / 1e9


def _take(
    pid: int | None, cgroup: str | None, words: tuple[str, ...], seconds: float | None,
    collector: str, object_file: str | None,
) -> Profile:
    from schedc.profile import target as targets
    from schedc.profile.collect import collect

    def take(target: Target, command: Command | None = None) -> Profile:
        return collect(
            target, seconds, collector, command=command,
            object_file=Path(object_file) if object_file else None,
        )

    if words:
        with targets.Command(words) as command:
            return take(command.target, command)
    if pid is not None:
        return take(targets.process(pid))
    return take(targets.cgroup(cgroup) if cgroup is not None else targets.EVERYTHING)


def _read(name: str) -> Profile:
    from schedc.profile.file import read_profile

    with _failures():
        return read_profile(Path(name))


def _workload(made: Profile) -> str:
    from schedc.profile.workload import workload_toml

    return workload_toml(made)


def _keep(made: Profile, output: str | None, workload_file: str | None) -> None:
    from schedc.profile.file import text

    if output is not None:
        _write(output, text(made).encode())
    if workload_file is not None:
        _write(workload_file, _workload(made).encode())


def _write(name: str, data: bytes) -> None:
    from schedc.atomic import write_atomically

    try:
        write_atomically(Path(name), data)
    except OSError as failure:
        raise cannot_write(name, failure) from failure
    Console.current().status(f"wrote {name}")


def _show(made: Profile, as_json: bool) -> None:
    if as_json:
        from schedc.profile.drift import fingerprint
        from schedc.profile.file import as_json as plain
        from schedc.profile.traits import traits

        _echo_json(plain(made) | {
            "fingerprint": fingerprint(made), "traits": [one.text for one in traits(made)],
        })  # fmt: skip
        return
    from schedc.profile.page import page

    click.echo(page(made), nl=False)


def _echo_json(value: dict[str, Any]) -> None:
    import json

    click.echo(json.dumps(value, separators=(",", ":")))
