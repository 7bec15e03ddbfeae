"""`schedc explain`: the page of an error code, or the reference entry of a word."""

from __future__ import annotations

import re
import sys

import click

from schedc.cli.console import Console
from schedc.cli.failure import Exit
from schedc.cli.suggest import did_you_mean
from schedc.data import MissingData, read_data
from schedc.diagnostics.codes import CODES
from schedc.diagnostics.render.visible import visible

_CODE = re.compile(r"[EWN]\d{4}", re.IGNORECASE)
_HEADING = re.compile(r"(#{1,6}) +(.*)")


@click.command()
@click.argument("topic", nargs=-1, required=True)
def explain(topic: tuple[str, ...]) -> Exit:
    """Explain an error code (`schedc explain E0301`) or a word of the language (`burst`)."""
    wanted = " ".join(topic)
    text = page(wanted) if _CODE.fullmatch(wanted) else entry(wanted)
    if text is None:
        known = [*CODES, *words()]
        asked = wanted.upper() if _CODE.fullmatch(wanted) else wanted
        near = did_you_mean(asked, known) if _near(asked, known) else (
            "codes look like `E0301`; words are those of docs/language"
        )
        raise click.UsageError(f"nothing is known about `{visible(wanted)}`; {near}")
    _show(text)
    return Exit.fine


def page(code: str) -> str | None:
    """The page of a code, or None if there is no such code."""
    code = code.upper()
    if code not in CODES:
        return None
    try:
        return read_data(f"docs/errors/{code}.md")
    except MissingData:
        return f"# {code}: {CODES[code].title}\n"


def entry(word: str) -> str | None:
    """The sections of the language's reference whose heading has the word in backticks, else the
    rows of its tables that begin with it."""
    text = _reference()
    found = _sections(text, word) or _rows(text, word)
    return "\n".join(found) if found else None


def words() -> list[str]:
    """Every word that has an entry."""
    found: set[str] = set()
    for line in _reference().splitlines():
        if line.startswith(("#", "|")):
            found.update(_terms(line if line.startswith("#") else line.split("|")[1]))
    return sorted(found)


def _reference() -> str:
    try:
        return read_data("docs/language/reference.md")
    except MissingData:
        return ""


def _terms(text: str) -> set[str]:
    """The words in backticks: `take Q` counts for `take` as well."""
    found: set[str] = set()
    for quoted in re.findall(r"`([^`]+)`", text):
        found.add(quoted)
        found.add(re.split(r"[ (]", quoted)[0])
    return {term for term in found if re.fullmatch(r"[a-z][\w. ]*", term)}


def _sections(text: str, word: str) -> list[str]:
    """Sections whose heading names the word, each up to the next heading of its level."""
    found: list[str] = []
    lines = text.splitlines()
    fenced = False
    level = 0
    taken: list[str] = []
    for line in [*lines, "# "]:
        fenced ^= line.startswith("```")
        heading = None if fenced else _HEADING.match(line)
        if heading and level and len(heading[1]) <= level:
            found.append("\n".join(taken).strip() + "\n")
            level, taken = 0, []
        if heading and not level and word in _terms(heading[2]):
            level = len(heading[1])
        if level:
            taken.append(line)
    return found


def _rows(text: str, word: str) -> list[str]:
    """Table rows that begin with the word, under the head of their table."""
    found: list[str] = []
    head: list[str] = []
    for line in text.splitlines():
        if not line.startswith("|"):
            head = []
            continue
        if len(head) < 2:
            head.append(line)
        elif word in _terms(line.split("|")[1]):
            found += [*([] if found and found[0] == head[0] else head), line]
    return found


def _near(word: str, known: list[str]) -> bool:
    from difflib import get_close_matches

    return bool(get_close_matches(word, known, n=1, cutoff=0.6))


def _show(text: str) -> None:
    """Markdown drawn on a terminal, as it is elsewhere."""
    if not sys.stdout.isatty():
        click.echo(text.rstrip("\n"))
        return
    from rich.console import Console as RichConsole
    from rich.markdown import Markdown

    color = Console.current().use_color(sys.stdout)
    RichConsole(no_color=not color, highlight=False).print(Markdown(text))
