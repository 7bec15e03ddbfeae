"""Expanding `extends`: a policy and the one that it changes become one tree.

Input: a tree, and a way to load the source of a base. Output: a tree without `extends`, and the
sources of the bases by the name that their spans carry. Invariant: what comes from a base has
`Span.file` set, so that a message about it shows the base's line; the base's order is kept, what
the child declares anew stands at the base's place, and new classes come before the base's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from schedc.data import MissingData, data_path, read_data
from schedc.diagnostics.model import Diagnostic, Label
from schedc.passes import suggest
from schedc.passes.report import Report
from schedc.passes.symbols import first_word
from schedc.records import dataclass
from schedc.source import Source, Span
from schedc.syntax import tree

MAX_DEPTH = 8
_LIBRARY = "stdlib"

Parse = Callable[[Source], tuple[tree.PolicyTree, tuple[Diagnostic, ...]]]
Load = Callable[[str], Source | None]


@dataclass(frozen=True, slots=True)
class Expanded:
    tree: tree.PolicyTree
    sources: Mapping[str, Source]


def expand(
    source: tree.PolicyTree, parse: Parse, report: Report, load: Load | None = None
) -> Expanded:
    """Replace `extends` by what it stands for; a base that can't be had is left out (E0207)."""
    sources: dict[str, Source] = {}
    expanded = _expand(source, parse, load or load_from_library, report, sources, ())
    return Expanded(expanded, sources)


def load_from_library(module: str) -> Source | None:
    """The source of `stdlib/NAME`, or None if the library has no such policy."""
    library, name = module.split("/", 1)
    if library != _LIBRARY:
        return None
    try:
        return Source.from_text(
            f"stdlib_policies/{name}.sched", read_data(f"stdlib_policies/{name}.sched")
        )
    except MissingData:
        return None


def _expand(
    source: tree.PolicyTree, parse: Parse, load: Load, report: Report,
    sources: dict[str, Source], chain: tuple[str, ...],
) -> tree.PolicyTree:  # fmt: skip
    extends = [item for item in source.items if isinstance(item, tree.Extends)]
    items = tuple(item for item in source.items if not isinstance(item, tree.Extends))
    for other in extends[1:]:
        report.add(
            "E0403", "`extends` is written twice", first_word(other), "again here",
            secondary=[Label(first_word(extends[0]), "first here")], help="keep one of the two",
        )  # fmt: skip
    child = replace(source, items=items)
    if not extends:
        return child
    base = _base(extends[0], parse, load, report, sources, chain)
    # Without its base, half of what the policy names is missing: say nothing of that.
    missing = tree.Broken("*", "", extends[0].span)
    return merge(child, base) if base else replace(child, broken=(*child.broken, missing))


def _base(
    extends: tree.Extends, parse: Parse, load: Load, report: Report,
    sources: dict[str, Source], chain: tuple[str, ...],
) -> tree.PolicyTree | None:  # fmt: skip
    module = extends.module
    if module in chain or len(chain) >= MAX_DEPTH:
        loop = " extends ".join(f"`{name}`" for name in (*chain, module))
        report.add(
            "E0208", f"`{module}` extends itself" if module in chain
            else f"more than {MAX_DEPTH} policies extend each other",
            extends.span, loop, help="extend a policy that stands on its own",
        )  # fmt: skip
        return None
    text = load(module)
    if text is None:
        report.add(
            "E0207", f"no policy is called `{module}`", extends.span, "not found",
            help=_near_module(module),
        )  # fmt: skip
        return None
    sources[module] = text
    parsed, problems = parse(text)
    report.add_syntax(relocated(problem, module) for problem in problems)
    base: tree.PolicyTree = relocated(parsed, module)
    version = base.header.version if base.header is not None else ""
    if base.header is not None and int(version.split(".")[0]) != extends.major:
        report.add(
            "E0209", f"`{module}` has version {version}", extends.span,
            f"this asks for major version {extends.major}",
            help=f"write `extends {module}@{version.split('.')[0]}`, and read what changed in it",
        )  # fmt: skip
        return None
    return _expand(base, parse, load, report, sources, (*chain, module))


def _near_module(module: str) -> str:
    try:
        names = [f"{_LIBRARY}/{path.stem}" for path in data_path("stdlib_policies").glob("*.sched")]
    except MissingData:
        names = []
    found = suggest.near(module, names)
    if found is not None:
        return f"did you mean `{found}`?"
    listed = suggest.listing(names)
    return f"there is {listed}" if listed else "the library of policies is empty: reinstall schedc"


def relocated(node: Any, file: str) -> Any:
    """The same node with `file` in all of its spans."""
    if isinstance(node, Span):
        return replace(node, file=file) if not node.file else node
    if isinstance(node, tuple):
        return tuple(relocated(part, file) for part in node)
    if is_dataclass(node) and not isinstance(node, type):
        return replace(
            node, **{part.name: relocated(getattr(node, part.name), file) for part in fields(node)}
        )
    return node


def merge(child: tree.PolicyTree, base: tree.PolicyTree) -> tree.PolicyTree:
    """The base with the child's items at the places of those they replace."""
    own: dict[object, tree.Item] = {}
    for item in child.items:
        own.setdefault(identity(item), item)
    replaced = {key for item in base.items if (key := identity(item)) in own}
    # Duplicates in the child stay in the tree: they are reported as such later.
    new = [item for item in child.items if own[identity(item)] is not item
           or identity(item) not in replaced]  # fmt: skip
    kept = [own.get(identity(item), item) for item in base.items]
    first_class = next(
        (at for at, item in enumerate(kept) if isinstance(item, tree.Class)), len(kept)
    )
    classes = [item for item in new if isinstance(item, tree.Class)]
    others = [item for item in new if not isinstance(item, tree.Class)]
    items = (*kept[:first_class], *classes, *kept[first_class:], *others)
    return replace(child, items=items, broken=(*child.broken, *base.broken))


def identity(item: tree.Item) -> object:
    """What an item is, whichever policy writes it: its kind and the name that it is known by."""
    match item:
        case tree.State(ref=ref):
            return tree.State, ref.scope, ref.name
        case (
            tree.Tune(name=name) | tree.Let(name=name) | tree.Cpus(name=name)
            | tree.Queue(name=name) | tree.Class(name=name) | tree.Event(name=name)
        ):  # fmt: skip
            return type(item), name.text
        case tree.Enqueue(cls=name) | tree.Cap(cls=name):
            return type(item), name.text
        case tree.Place(cls=cls) | tree.Promise(cls=cls):
            return type(item), cls.text if cls is not None else None
    return type(item)
