"""`schedc policy`: the policies that there are: list, search, show, add, compose, history, promote.

Invariant: what comes from a repository is shown with everything unprintable made visible.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from schedc.cli.console import Console
from schedc.cli.failure import Exit, Failure
from schedc.cli.frame import Entry as Command, LazyGroup
from schedc.cli.options import format_option
from schedc.diagnostics.render.visible import visible

if TYPE_CHECKING:
    from schedc.repository.entry import Damaged, Entry
    from schedc.repository.library import Library

COMMANDS = {
    "list": Command("schedc.cli.policy:list_", "List the policies that there are."),
    "search": Command("schedc.cli.policy:search", "Find policies by words and goal."),
    "show": Command("schedc.cli.policy:show", "Print a policy, and what is known of it."),
    "add": Command("schedc.cli.policy:add", "Prove a policy and keep it."),
    "compose": Command("schedc.cli.policy:compose", "Make a policy that extends another."),
    "history": Command("schedc.cli.policy:history", "List the versions of a policy."),
    "promote": Command("schedc.cli.policy:promote", "Make a policy the best known for a goal."),
}

json_option = click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")


@click.group(cls=LazyGroup, entries=COMMANDS)
def policy() -> None:
    """Policies kept: those shipped, and one's own with their history and results.

    One's own are a git repository below $SCHEDC_REPOSITORY  [default: ~/.local/share/schedc].
    """


@contextmanager
def _library() -> Iterator[Library]:
    """The library; what it refuses becomes a diagnostic."""
    from schedc.repository.library import Library
    from schedc.repository.place import RepositoryError

    try:
        yield Library()
    except RepositoryError as failure:
        raise Failure(failure.diagnostic) from failure


@click.command("list")
@json_option
@format_option
def list_(as_json: bool) -> Exit:
    """List the policies that there are; a damaged one is named, and the exit code is 1."""
    with _library() as library:
        entries, damaged = library.entries()
    _listed(entries, as_json)
    return _tell_damaged(damaged)


@click.command()
@click.argument("words", nargs=-1)
@click.option("--goal", default="", help="Only policies for this goal, such as latency.")
@json_option
@format_option
def search(words: tuple[str, ...], goal: str, as_json: bool) -> Exit:
    """Find policies by words of their names, descriptions, comments and lessons; best first."""
    with _library() as library:
        found = library.search(" ".join(words), goal)
    _listed(found, as_json)
    return Exit.fine if found else Exit.findings


def _listed(entries: Iterable[Entry], as_json: bool) -> None:
    for one in entries:
        if as_json:
            click.echo(json.dumps(_json(one)))
        else:
            goals = f" ({', '.join(one.goals)})" if one.goals else ""
            title = f"{one.origin}/{one.name}"
            click.echo(f"{title:24} {one.version:8} {visible(one.description)}{goals}")


def _json(one: Entry) -> dict[str, object]:
    return {
        "origin": one.origin, "name": one.name, "version": one.version,
        "description": one.description, "goals": list(one.goals), "sha256": one.sha256,
        "meaning": one.meaning,
    }  # fmt: skip


def _tell_damaged(damaged: tuple[Damaged, ...]) -> Exit:
    from schedc.diagnostics.model import error

    found = [
        error("E1003", f"`mine/{visible(one.name)}` is damaged: {visible(one.reason)}", None,
              help="mend or remove that file; the other policies are not affected")
        for one in damaged
    ]  # fmt: skip
    Console.current().report([(found, None)])
    return Exit.findings if damaged else Exit.fine


@click.command()
@click.argument("name")
@click.option("--results", is_flag=True, help="What was measured, not the text.")
@json_option
@format_option
def show(name: str, results: bool, as_json: bool) -> Exit:
    """Print the text of policy NAME (or NAME@VERSION), or its results."""
    with _library() as library:
        found = library.find(name)
        measured = library.results.of(found.meaning) if results or as_json else ()
    if as_json:
        from dataclasses import asdict

        document = {**_json(found), "text": found.source.text,
                    "results": [asdict(one) for one in measured]}
        click.echo(json.dumps(document))
        return Exit.fine
    if not results:
        click.echo(found.source.text, nl=False)
        return Exit.fine
    for one in measured:
        click.echo(f"{_day(one.at)}  {one.workload} on {one.machine}, against {one.baseline}")
        for metric, figure in one.metrics.items():
            if figure.ratio is not None:
                middle, low, high = figure.ratio
                ratio = f"{middle:.2f} [{low:.2f}..{high:.2f}]"
                click.echo(f"    {metric:20} {ratio:22} {figure.finding}")
    if not measured:
        Console.current().status(f"nothing was measured of {found.title} yet")
    return Exit.fine


def _day(when: int) -> str:
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d %H:%M")


@click.command()
@click.argument("file", metavar="FILE")
@click.option("-m", "--message", default="", help="A line for the history.")
@format_option
def add(file: str, message: str) -> Exit:
    """Prove the policy in FILE and keep it; `-` is stdin."""
    from schedc.cli.compile import analyzed

    source, analysis = analyzed(file, "<stdin>")
    with _library() as library:
        added = library.add(source, message, analysis)
    what = "added" if added.commit else "is there already:"
    Console.current().status(f"{what} {added.entry.title}")
    return Exit.fine


@click.command()
@click.argument("name")
@click.argument("base")
@click.option("--set", "tunes", metavar="TUNE=VALUE", multiple=True,
              help="Another value of a tunable.")
@click.option("--with", "fragments", metavar="FILE", multiple=True,
              help="Statements of a policy, without its first line, that come on top.")
@click.option("--description", default="", help="What it is for, in a line.")
@click.option("--add", "keep", is_flag=True, help="Prove it and keep it, too.")
@click.option("-o", "--output", default="-", metavar="FILE", help="Where the text goes.")
@format_option
def compose(
    name: str, base: str, tunes: tuple[str, ...], fragments: tuple[str, ...], description: str,
    keep: bool, output: str,
) -> Exit:  # fmt: skip
    """Make policy NAME, which extends policy BASE of the library or of one's own."""
    from schedc.cli.compile import analyzed_source
    from schedc.cli.files import read_source, write_output
    from schedc.repository.compose import compose as make
    from schedc.source import Source

    values = {}
    for item in tunes:
        tune, equals, value = item.partition("=")
        if not equals:
            raise click.UsageError(f"--set {visible(item)}: write NAME=VALUE, such as slice=5ms")
        values[tune.strip().removeprefix("tune.")] = value.strip()
    with _library() as library:
        texts = [read_source(file)[0].text for file in fragments]
        text = make(name, library.find(base), values, texts, description=description)
        source = Source.from_text(f"{name}.sched", text)
        analysis = analyzed_source(source)
        if keep:
            added = library.add(source, f"made of {base}", analysis)
            Console.current().status(f"added {added.entry.title}")
    if not keep or output != "-":
        write_output(output, text.encode())
    sys.stdout.flush()
    return Exit.fine


@click.command()
@click.argument("name")
@json_option
@format_option
def history(name: str, as_json: bool) -> Exit:
    """List the versions of one of one's own policies, newest first."""
    with _library() as library:
        found = library.history(name)
        if not found:
            library.find(name)  # says so if there is no such policy at all
    for one in found:
        if as_json:
            click.echo(json.dumps({"version": one.version, "when": one.commit.when,
                                   "commit": one.commit.id, "subject": one.commit.subject}))
        else:
            click.echo(f"{one.version:8} {_day(one.commit.when)}  {visible(one.commit.subject)}")
    return Exit.fine


@click.command()
@click.argument("name")
@click.option("--goal", required=True, help="What for, such as latency.")
@click.option("-w", "--workload", required=True, help="On which workload.")
@click.option("--metric", required=True, help="By which figure, such as wakeup_p99.")
@format_option
def promote(name: str, goal: str, workload: str, metric: str) -> Exit:
    """Make policy NAME the best known for a goal, if its results show that beyond noise."""
    with _library() as library:
        result = library.promote(name, goal, workload, metric)
    Console.current().status(
        f"{result.name} {result.version} is the best known for {visible(goal)} on "
        f"{visible(workload)} ({result.machine})"
    )
    return Exit.fine
