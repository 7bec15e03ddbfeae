"""A command group that loads its commands when they are used, and turns failures into exits.

Input: a table of command names, each with the module that has it and its line in `--help`.
The group's options `config` and `no_config` choose the settings.
Output: exit codes. Click's own handling of Ctrl-C and closed pipes is overruled, because it
prints an empty line and exits with 1.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from schedc.cli.config import Config, defaults_for, find_config, load_config
from schedc.cli.console import Console
from schedc.cli.failure import Exit, Failure, cannot_write
from schedc.diagnostics.render.visible import visible


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command is (`module:function`), and its one line of help."""

    target: str
    help: str


class LazyGroup(click.Group):
    """A group whose `--help` imports no command."""

    def __init__(self, *args: Any, entries: Mapping[str, Entry], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.entries = entries

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.target.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        if not ctx.resilient_parsing:
            # Not while a shell completes: a broken configuration must not break that.
            config = _config(ctx.params.get("config"), bool(ctx.params.get("no_config")))
            ctx.default_map = {cmd_name: defaults_for(config, command, self.entries)}
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.entries and not args[0].startswith("-"):
            from schedc.cli.suggest import did_you_mean

            near = did_you_mean(args[0], self.entries)
            raise click.UsageError(f"no such command: `{visible(args[0])}`; {near}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in self.entries.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Failure as failure:
            Console.current().report([(failure.diagnostics, failure.source)])
            return failure.exit_code
        except (BrokenPipeError, KeyboardInterrupt) as stop:
            raise _Stopped(stop) from stop
        except OSError as failure:
            if not _is_about_output(failure):
                raise
            ended = cannot_write("<stdout>", failure)
            Console.current().report([(ended.diagnostics, None)])
            return ended.exit_code


class _Stopped(Exception):
    """Carries Ctrl-C or a closed pipe past click."""

    def __init__(self, stop: BaseException) -> None:
        super().__init__()
        self.stop = stop


def invoke(group: click.Group, arguments: list[str]) -> int:
    """Run the group; usage errors are shown here, anything unforeseen is left to the caller."""
    try:
        result = group.main(args=arguments, prog_name="schedc", standalone_mode=False)
    except _Stopped as stopped:
        raise stopped.stop from None
    except click.exceptions.Abort:
        raise KeyboardInterrupt from None
    except click.ClickException as failure:
        return _usage(failure)
    except SystemExit as left:
        # Click leaves this way once it has printed a completion script.
        return left.code if isinstance(left.code, int) else Exit.fine
    return int(result) if isinstance(result, int) else Exit.fine


def _usage(failure: click.ClickException) -> int:
    """One line that says what is wrong, and where to look it up."""
    message = visible(failure.format_message().replace("\n", " "))
    message = message[:1].lower() + message[1:].removesuffix(".")
    context = failure.ctx if isinstance(failure, click.UsageError) else None
    if isinstance(failure, click.BadParameter) and _from_config(failure, context):
        message += " (from the configuration file)"
    print(f"error: {message}", file=sys.stderr)
    command = context.command_path if context is not None else "schedc"
    print(f"help: see `{command} --help`", file=sys.stderr)
    return Exit.usage


def _from_config(failure: click.BadParameter, context: click.Context | None) -> bool:
    if context is None or failure.param is None or failure.param.name is None:
        return False
    source = context.get_parameter_source(failure.param.name)
    return source is click.core.ParameterSource.DEFAULT_MAP


def _config(path: Path | None, none: bool) -> Config:
    """The settings that `--config` and `--no-config` ask for, else the nearest ones."""
    if none:
        return Config()
    return load_config(path) if path is not None else find_config(Path.cwd())


def _is_about_output(failure: OSError) -> bool:
    """A full disk behind stdout; errors about a named file are not meant here."""
    import errno

    return failure.filename is None and failure.errno in (errno.ENOSPC, errno.EIO, errno.EDQUOT)
