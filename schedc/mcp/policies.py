"""list_policies, search_policies, show_policy, history.

Input: arguments. Output: results. Invariant: nothing is written, not even the results' database;
a name that stands for no policy is refused before it is near a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from schedc.mcp import arguments as take, quote, results as give
from schedc.mcp.refusal import told
from schedc.mcp.setup import Setup
from schedc.repository.entry import Entry
from schedc.repository.library import Library
from schedc.repository.place import refuse
from schedc.source import MAX_BYTES

_NAME = re.compile(r"(?:(?:stdlib|mine)/)?[a-z][a-z0-9_]{0,31}(?:@[0-9.]{1,20})?", re.ASCII)
_MOST_RESULTS = 40


def find(name: str, library: Library | None = None) -> Entry:
    """A policy of the library; raises `RepositoryError` for anything that isn't its name."""
    if not _NAME.fullmatch(name):
        raise refuse("E1002", f"no policy is called `{quote.line(name, 60)}`",
                     help="a name of list_policies, such as fair, mine/web or mine/web@1.0.0")
    return (library or Library()).find(name)


def list_policies(arguments: take.ListPolicies, setup: Setup) -> give.Policies:
    del setup
    with told():
        entries, damaged = Library().entries()
    wanted = [one for one in entries if not arguments.goal or arguments.goal in one.goals]
    names = [quote.name(one.name) for one in damaged]
    return _policies(wanted, names)


def search_policies(arguments: take.SearchPolicies, setup: Setup) -> give.Policies:
    del setup
    with told():
        found = Library().search(arguments.words, arguments.goal)
    return _policies(found[: arguments.most], [])


def show_policy(arguments: take.OnePolicy, setup: Setup) -> give.ShownPolicy:
    del setup
    with told():
        library = Library()
        entry = find(arguments.policy, library)
        measured = library.results.of(entry.meaning)
    rows = [
        give.Measurement(
            workload=quote.line(one.workload), machine=quote.line(one.machine),
            against=quote.line(one.baseline), metric=metric, finding=figure.finding,
            ratio=figure.ratio[0] if figure.ratio else None,
            low=figure.ratio[1] if figure.ratio else None,
            high=figure.ratio[2] if figure.ratio else None,
        )
        for one in measured
        for metric, figure in one.metrics.items()
        if figure.ratio is not None
    ][:_MOST_RESULTS]  # fmt: skip
    text = quote.block(entry.source.text, MAX_BYTES)
    return give.ShownPolicy(policy=_policy(entry), source=text, results=rows, text=text)


def history(arguments: take.History, setup: Setup) -> give.Versions:
    """Of a policy; or of this machine, as its loader kept it."""
    if arguments.policy is None:
        from schedc.mcp.deploying import loaded_so_far

        return loaded_so_far(arguments.last)
    del setup
    with told():
        library = Library()
        entry = find(arguments.policy, library)
        found = library.history(entry.name) if entry.origin == "mine" else ()
    versions = [
        give.Version(
            version=quote.line(one.version, 40), at=one.commit.when, commit=one.commit.id,
            subject=quote.line(one.commit.subject),
        )
        for one in found[: arguments.last]
    ]
    lines = [f"{one.version}  {one.commit[:12]}  {one.subject}" for one in versions]
    none = f"{entry.title} is shipped with schedc: its history is schedc's own"
    return give.Versions(versions=versions, text="\n".join(lines) or none)


def _policies(entries: Iterable[Entry], damaged: list[str]) -> give.Policies:
    policies = [_policy(one) for one in entries]
    lines = [
        f"{one.origin}/{one.name} {one.version}: {one.description}"
        f"{' (' + ', '.join(one.goals) + ')' if one.goals else ''}"
        for one in policies
    ]
    lines += [f"damaged: mine/{name}" for name in damaged]
    return give.Policies(
        policies=policies, damaged=damaged, text="\n".join(lines) or "no policy fits"
    )


def _policy(entry: Entry) -> give.Policy:
    return give.Policy(
        name=entry.name, origin=entry.origin, version=entry.version,
        description=quote.line(entry.description), goals=list(entry.goals), sha256=entry.sha256,
    )
