"""`schedc fmt`: the one layout of policies. Comments and meaning stay; broken files are refused."""

from __future__ import annotations

import sys

import click

from schedc.cli.console import Console
from schedc.cli.failure import Exit, exit_code
from schedc.cli.files import expand, read_source, write_output
from schedc.cli.options import files_argument, format_option, stdin_filename_option
from schedc.diagnostics.model import Diagnostic
from schedc.diagnostics.render.visible import visible
from schedc.source import Source


@click.command()
@files_argument
@click.option("--check", "only_check", is_flag=True,
              help="Write nothing; exit with 1 if a file would change.")
@click.option("--diff", is_flag=True, help="Like --check, and show what would change.")
@format_option
@stdin_filename_option
def fmt(files: tuple[str, ...], only_check: bool, diff: bool, stdin_filename: str) -> Exit:
    """Format policies in place; `-` is formatted from stdin to stdout."""
    console = Console.current()
    findings: list[tuple[tuple[Diagnostic, ...], Source]] = []
    changed = []
    names = expand(files)
    for name in names:
        source, diagnostics, text = formatted(name, stdin_filename)
        findings.append((diagnostics, source))
        if text is None:
            continue
        differs = text.encode() != source.raw
        if differs:
            changed.append(source.name)
        if diff and differs:
            _show_diff(source, text)
        if not only_check and not diff and (differs or name == "-"):
            write_output(name, text.encode())
    console.report(findings)
    console.status(_summary(changed, len(names), only_check or diff))
    code = exit_code([found for diagnostics, _ in findings for found in diagnostics])
    return Exit.findings if changed and (only_check or diff) and code is Exit.fine else code


def formatted(name: str, stdin_filename: str) -> tuple[Source, tuple[Diagnostic, ...], str | None]:
    """A policy's text in the one layout; None if its syntax is broken."""
    from schedc.syntax.format import format_source

    source, diagnostics = read_source(name, stdin_filename)
    if diagnostics:
        return source, diagnostics, None
    text, diagnostics = format_source(source)
    return source, diagnostics if text is None else (), text


def _show_diff(source: Source, text: str) -> None:
    """A unified diff on stdout, as `patch` takes it."""
    from difflib import unified_diff

    old = source.raw.decode("utf-8", "replace").splitlines(keepends=True)
    lines = unified_diff(old, text.splitlines(keepends=True), source.name, source.name)
    tty = sys.stdout.isatty()
    for line in lines:
        body = line.rstrip("\n")
        # A file gets the very text; a terminal gets nothing that could drive it.
        sys.stdout.write((visible(body) if tty else body) + "\n")


def _summary(changed: list[str], count: int, only_look: bool) -> str:
    verb = "would be reformatted" if only_look else "reformatted"
    if not changed:
        return f"{count} {'file is' if count == 1 else 'files are'} in the one layout already"
    return "\n".join([f"{verb}: {visible(name)}" for name in changed])
