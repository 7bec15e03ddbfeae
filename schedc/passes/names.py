"""The second pass: does every name mean something, and is everything declared used?

Input: the symbols. Output: `Names`: what is used, and the order in which `let`s can be expanded.
Invariant: an undeclared name is reported once here (E0201, E0203, E0204) and is silently poison
in every later pass; lets that refer to themselves are not in `let_order`.
"""

from __future__ import annotations

from collections.abc import Iterable

from schedc.ir.facts import FACTS
from schedc.passes import suggest, walk
from schedc.passes.facts_in_context import check_context
from schedc.passes.report import Report
from schedc.passes.symbols import Symbols
from schedc.source import Span
from schedc.syntax import tree

_STATE_SCOPES = ("task", "cpu", "llc", "node", "class", "cgroup", "comm", "global")


class Names:
    """What the policy uses of what it declares. `reads`: states whose value matters somewhere."""

    def __init__(self, let_order: tuple[str, ...]) -> None:
        self.let_order = let_order
        self.tunes: set[str] = set()
        self.lets: set[str] = set()
        self.reads: set[tuple[str, str]] = set()
        self.writes: set[tuple[str, str]] = set()
        self.queues: set[str] = set()
        self.cpus: set[str] = set()


def resolve(symbols: Symbols, report: Report) -> Names:
    """Look up every name of the policy."""
    names = Names(_order_lets(symbols, report))
    seen: set[tuple[str, str]] = set()
    for item in symbols.policy.items:
        for expr, context in walk.expressions(item):
            _resolve_expr(expr, context, symbols, names, report, seen)
        for quantity in walk.quantities(item):
            if isinstance(quantity, tree.Ref):
                _resolve_ref(quantity, symbols, names, report)
        for queue in walk.queue_names(item):
            _resolve_queue(queue, symbols, names, report)
        for cls in walk.class_names(item):
            _resolve_class(cls, symbols, report)
        _resolve_rest(item, symbols, names, report)
    return names


def _resolve_rest(item: tree.Item, symbols: Symbols, names: Names, report: Report) -> None:
    """Cpu sets, and the targets of assignments."""
    match item:
        case tree.Class(cpus=cpus) if cpus is not None:
            names.cpus.add(cpus.text)
            if cpus.text in symbols.cpus or symbols.may_be_declared("cpus", cpus.text):
                return
            _undeclared(
                report, "E0201", f"no cpu set is called `{cpus.text}`", cpus.span,
                _near_name(cpus.text, symbols.cpus)
                or f'declare it: `cpus {cpus.text} = "0-3"`',
            )  # fmt: skip
        case tree.Event(body=body):
            for assign in body:
                check_context(assign.target, item.name.text, report)
                _resolve_target(assign, symbols, names, report)


def _resolve_target(assign: tree.Assign, symbols: Symbols, names: Names, report: Report) -> None:
    target = assign.target
    if target.scope in ("tune", "let"):
        what = "a tunable" if target.scope == "tune" else "a named expression"
        report.add(
            "E0212", f"`{_dotted(target)}` is {what}: it can't be assigned", target.span,
            "not a state", help=f"declare a state: `state task.{target.name} : time`",
        )  # fmt: skip
        return
    if (target.scope, target.name) in symbols.states:
        names.writes.add((target.scope, target.name))
    else:
        _resolve_ref(target, symbols, names, report)


def _resolve_expr(
    root: tree.Expr, context: str, symbols: Symbols, names: Names, report: Report,
    seen: set[tuple[str, str]],
) -> None:  # fmt: skip
    """Look up the names in an expression, and in the lets that it uses, for this context."""
    stack = [root]
    while stack:
        for expr in walk.subexpressions(stack.pop()):
            if context != "let":
                check_context(expr, context, report)
            match expr:
                case tree.Ref():
                    _resolve_ref(expr, symbols, names, report)
                    let = symbols.lets.get(expr.name) if expr.scope == "let" else None
                    if (
                        let is not None
                        and context != "let"
                        and (let.name.text, context) not in seen
                    ):
                        seen.add((let.name.text, context))
                        stack.append(let.value)
                case tree.QueueCall(queue=queue):
                    _resolve_queue(queue, symbols, names, report)
                case tree.IsClass(cls=cls):
                    _resolve_class(cls, symbols, report)


def _resolve_ref(ref: tree.Ref, symbols: Symbols, names: Names, report: Report) -> None:
    if ref.scope == "tune" and ref.name in symbols.tunes:
        names.tunes.add(ref.name)
    elif ref.scope == "let" and ref.name in symbols.lets:
        names.lets.add(ref.name)
    elif (ref.scope, ref.name) in symbols.states:
        names.reads.add((ref.scope, ref.name))
    else:
        verb = ref.scope if ref.scope in ("tune", "let") else "state"
        name = ref.name if verb == ref.scope else _dotted(ref)
        if symbols.may_be_declared(verb, name) or report.is_full("E0201"):
            return
        what = {"tune": "tunable", "let": "named expression"}.get(ref.scope, "state")
        message = f"no {what} is called `{_dotted(ref)}`"
        _undeclared(report, "E0201", message, ref.span, _help_for(ref, symbols))


def _help_for(ref: tree.Ref, symbols: Symbols) -> str:
    """The nearest thing that exists, else the line that would declare it."""
    known = {f"{scope}.{name}" for scope, name in symbols.states}
    known |= {f"tune.{name}" for name in symbols.tunes} | {f"let.{name}" for name in symbols.lets}
    if ref.name in FACTS:
        return f"`{ref.name}` is a fact: write it without `{ref.scope}.`"
    same_name = sorted(one for one in known if one.endswith(f".{ref.name}"))
    if same_name:
        return f"did you mean `{same_name[0]}`?"
    # Compare names without their scope, which would make all of them look alike.
    alike = {one.partition(".")[2]: one for one in sorted(known) if one.startswith(f"{ref.scope}.")}
    if ref.scope == "task":
        alike = {fact: fact for fact in FACTS} | alike
    found = suggest.near(ref.name, alike) or suggest.near(_dotted(ref), known)
    if found is not None:
        return f"did you mean `{alike.get(found, found)}`?"
    if ref.scope == "tune":
        return f"declare it: `tune {ref.name} = 4ms in 1ms..20ms`"
    if ref.scope == "let":
        return f"declare it: `let {ref.name} = …`"
    return f"declare it: `state {_dotted(ref)} : time`"


def _resolve_queue(name: tree.Name, symbols: Symbols, names: Names, report: Report) -> None:
    if name.text in symbols.queues:
        names.queues.add(name.text)
        return
    if symbols.may_be_declared("queue", name.text) or report.is_full("E0203"):
        return
    hint = _near_name(name.text, symbols.queues) or f"declare it: `queue {name.text} fifo`"
    _undeclared(report, "E0203", f"no queue is called `{name.text}`", name.span, hint)


def _resolve_class(name: tree.Name, symbols: Symbols, report: Report) -> None:
    if name.text in symbols.classes or symbols.may_be_declared("class", name.text):
        return
    if report.is_full("E0204"):
        return
    hint = _near_name(name.text, symbols.classes) or f"declare it: `class {name.text} when …`"
    _undeclared(report, "E0204", f"no class is called `{name.text}`", name.span, hint)


def _near_name(word: str, known: Iterable[str]) -> str | None:
    names = sorted(known)
    found = suggest.near(word, names)
    if found is not None:
        return f"did you mean `{found}`?"
    listed = suggest.listing(names)
    return f"there is {listed}" if listed else None


def _undeclared(report: Report, code: str, message: str, span: Span, hint: str) -> None:
    report.add(code, message, span, "not declared", help=hint)


def _dotted(ref: tree.Ref) -> str:
    return f"{ref.scope}.{ref.name}"


def _order_lets(symbols: Symbols, report: Report) -> tuple[str, ...]:
    """Lets so that each comes after those it uses; cycles are reported and left out."""
    uses = {
        name: {
            one.name
            for one in walk.subexpressions(let.value)
            if isinstance(one, tree.Ref) and one.scope == "let" and one.name in symbols.lets
        }
        for name, let in symbols.lets.items()
    }
    done: dict[str, None] = {}
    waiting = dict(uses)
    while waiting:
        ready = [name for name, needs in waiting.items() if needs <= done.keys()]
        if not ready:
            break
        done.update(dict.fromkeys(ready))
        for name in ready:
            del waiting[name]
    for name in _in_cycles(waiting):
        let = symbols.lets[name]
        report.add(
            "E0211", f"`let.{name}` refers to itself", let.name.span, "expands without end",
            help="a named expression can't be recursive: keep the value in a state",
        )  # fmt: skip
    return tuple(done)


def _in_cycles(graph: dict[str, set[str]]) -> list[str]:
    """One of each cycle: it can reach itself. Those that merely use it aren't to blame."""
    found: list[str] = []
    reported: set[str] = set()
    for start in graph:
        if start in reported:
            continue
        reached: set[str] = set()
        stack = [start]
        while stack:
            for name in graph.get(stack.pop(), ()):
                if name not in reached:
                    reached.add(name)
                    stack.append(name)
        if start in reached:
            found.append(start)
            reported |= reached
    return found
