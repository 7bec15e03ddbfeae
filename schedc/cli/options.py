"""Options and arguments that several commands share, each spelt in one place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from schedc.cli.console import remember_format
from schedc.diagnostics.render import Format

F = TypeVar("F", bound=Callable[..., Any])


def format_option(command: F) -> F:
    """`--format`: kept for the console, passed to no command."""

    def keep(context: click.Context, _param: click.Parameter, value: str) -> None:
        remember_format(context, Format(value))

    return click.option(
        "--format",
        type=click.Choice([format.value for format in Format]),
        default="full",
        show_default=True,
        envvar="SCHEDC_FORMAT",
        expose_value=False,
        is_eager=True,
        callback=keep,
        help="How to show diagnostics.",
    )(command)


def stdin_filename_option(command: F) -> F:
    """`--stdin-filename`: the name that diagnostics give to `-`."""
    return click.option(
        "--stdin-filename",
        metavar="NAME",
        default="<stdin>",
        help="The file name to show for `-`, as editors need it.",
    )(command)


def files_argument(command: F) -> F:
    """One or more policies, folders of policies, or `-`."""
    return click.argument(
        "files", metavar="FILE...", nargs=-1, required=True, type=click.Path()
    )(command)


def file_argument(command: F) -> F:
    """Exactly one policy, or `-`."""
    return click.argument("file", metavar="FILE", type=click.Path())(command)


def cc_option(command: F) -> F:
    """`--cc`: which C compiler; the best one by default."""
    return click.option(
        "--cc", metavar="PATH|clang|zig", envvar="SCHEDC_CC",
        help="The C compiler.  [default: clang >= 16, else zig]",
    )(command)
