"""The first pass: what a policy declares.

Input: the tree, with `extends` expanded. Output: `Symbols`, the declarations by name, each kind of
name in a table of its own. Invariant: the first declaration of a name stands; later ones are
reported and left out, so that every later pass sees each name once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schedc.diagnostics.model import Label
from schedc.passes.report import Report
from schedc.records import dataclass
from schedc.source import Span
from schedc.syntax import tree


@dataclass(frozen=True, slots=True)
class Symbols:
    """Everything declared, in the order of declaration. States are known by (scope, name)."""

    policy: tree.PolicyTree
    tunes: Mapping[str, tree.Tune]
    lets: Mapping[str, tree.Let]
    cpus: Mapping[str, tree.Cpus]
    queues: Mapping[str, tree.Queue]
    states: Mapping[tuple[str, str], tree.State]
    classes: Mapping[str, tree.Class]
    events: Mapping[str, tree.Event]
    places: Mapping[str | None, tree.Place]
    rules: Mapping[str, tree.Enqueue]
    caps: Mapping[str, tree.Cap]
    promises: Mapping[str | None, tree.Promise]
    dispatch: tree.Dispatch | None
    pack: tree.Pack | None
    goal: tree.Goal | None
    runnable: tree.AssumeRunnable | None
    weight: tree.AssumeWeight | None
    cgroups: tree.AssumeCgroups | None

    def may_be_declared(self, verb: str, name: str) -> bool:
        """Whether a statement that did not parse may have declared or been this."""
        return any(
            broken.verb == "*" or (broken.verb == verb and broken.name in ("", name))
            for broken in self.policy.broken
        )


class _Tables:
    """The tables while they fill: one dictionary for each kind of item."""

    def __init__(self, report: Report) -> None:
        self.of: dict[str, dict[object, object]] = {}
        self.report = report

    def put(self, table: str, key: object, item: object, span: Span, code: str, what: str) -> None:
        entries = self.of.setdefault(table, {})
        first = entries.setdefault(key, item)
        if first is item:
            return
        verb = "declared" if code == "E0202" else "written"
        self.report.add(
            code, f"{what} is {verb} twice", span, "again here",
            secondary=[Label(key_span(first), "first here")],
            help="rename one of them" if code == "E0202" else "keep one of the two",
        )  # fmt: skip

    def only(self, table: str) -> Any:
        return next(iter(self.of.get(table, {}).values()), None)


def declare(source: tree.PolicyTree, report: Report) -> Symbols:
    """Collect the declarations; report what is declared twice (E0202) or written twice (E0403)."""
    tables = _Tables(report)
    for item in source.items:
        _declare_item(item, tables)

    def get(table: str) -> Any:
        return tables.of.get(table, {})

    return Symbols(
        source,
        tunes=get("tune"), lets=get("let"), cpus=get("cpus"), queues=get("queue"),
        states=get("state"), classes=get("class"), events=get("event"), places=get("place"),
        rules=get("enqueue"), caps=get("cap"), promises=get("promise"),
        dispatch=tables.only("dispatch"), pack=tables.only("pack"), goal=tables.only("goal"),
        runnable=tables.only("runnable"), weight=tables.only("weight"),
        cgroups=tables.only("cgroups"),
    )  # fmt: skip


def _declare_item(item: tree.Item, tables: _Tables) -> None:
    span = key_span(item)
    match item:
        case tree.Tune(name=name):
            tables.put("tune", name.text, item, span, "E0202", f"`tune.{name.text}`")
        case tree.Let(name=name):
            tables.put("let", name.text, item, span, "E0202", f"`let.{name.text}`")
        case tree.Cpus(name=name):
            tables.put("cpus", name.text, item, span, "E0202", f"the cpu set `{name.text}`")
        case tree.Queue(name=name):
            tables.put("queue", name.text, item, span, "E0202", f"the queue `{name.text}`")
        case tree.State(ref=ref):
            what = f"`{ref.scope}.{ref.name}`"
            tables.put("state", (ref.scope, ref.name), item, span, "E0202", what)
        case tree.Class(name=name):
            tables.put("class", name.text, item, span, "E0202", f"the class `{name.text}`")
        case tree.Event(name=name):
            tables.put("event", name.text, item, span, "E0403", f"`on {name.text}`")
        case tree.Place(cls=cls):
            what = f"`place {cls.text}`" if cls else "`place`"
            tables.put("place", cls.text if cls else None, item, span, "E0403", what)
        case tree.Enqueue(cls=cls):
            what = f"`enqueue {cls.text}`"
            tables.put("enqueue", cls.text, item, span, "E0403", what)
        case tree.Cap(cls=cls):
            tables.put("cap", cls.text, item, span, "E0403", f"`cap {cls.text}`")
        case tree.Promise(cls=cls):
            what = f"the promise for `{cls.text}`" if cls else "the promise for every task"
            tables.put("promise", cls.text if cls else None, item, span, "E0403", what)
        case tree.Dispatch():
            tables.put("dispatch", None, item, span, "E0403", "`dispatch`")
        case tree.Pack():
            tables.put("pack", None, item, span, "E0403", "`pack`")
        case tree.Goal():
            tables.put("goal", None, item, span, "E0403", "`goal`")
        case tree.AssumeRunnable():
            tables.put("runnable", None, item, span, "E0403", "`assume runnable`")
        case tree.AssumeWeight():
            tables.put("weight", None, item, span, "E0403", "`assume weight`")
        case tree.AssumeCgroups():
            tables.put("cgroups", None, item, span, "E0403", "`assume cgroups`")
        case tree.Extends():
            pass  # expanded before; what remains is reported there


def key_span(item: object) -> Span:
    """The part of an item to point at: its name, or its first word where it has none."""
    match item:
        case tree.State(ref=ref):
            return ref.span
        case (
            tree.Tune(name=name) | tree.Let(name=name) | tree.Cpus(name=name)
            | tree.Queue(name=name) | tree.Class(name=name) | tree.Event(name=name)
        ):  # fmt: skip
            return name.span
        case tree.Enqueue(cls=name) | tree.Cap(cls=name):
            return name.span
        case tree.Place(cls=name) | tree.Promise(cls=name) if name is not None:
            return name.span
    return first_word(item)


_VERBS = {
    tree.Dispatch: "dispatch", tree.Place: "place", tree.Pack: "pack", tree.Goal: "goal",
    tree.Promise: "promise", tree.Extends: "extends", tree.AssumeRunnable: "assume runnable",
    tree.AssumeWeight: "assume weight", tree.AssumeCgroups: "assume cgroups",
}  # fmt: skip


def first_word(item: object) -> Span:
    """The keyword that an item begins with: a whole block is too much to underline."""
    span: Span = item.span  # type: ignore[attr-defined]
    verb = _VERBS.get(type(item))
    if verb is None:
        return span
    return Span(span.start, min(span.start + len(verb), span.end), span.file)
