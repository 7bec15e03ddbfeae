"""Mutants of policies: one small change of the source each, that still compiles.

Input: a policy's source. Output: `Mutant`s, in a fixed order, all of different meaning (the typed
policies differ, and from the original's). Changes are those that people and models make: a clamp or
a window left out, a comparison turned, lines in another order, a period too short, a queue that
nobody takes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from schedc.ir.nodes import Policy
from schedc.pipeline import analyze
from schedc.source import Source

Change = tuple[str, str]
"""What was done, and the new text."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """`kind`: a name of `KINDS`. `what`: the change, for people. `base`: the policy's file."""

    base: Path
    kind: str
    what: str
    text: str
    policy: Policy

    @property
    def name(self) -> str:
        return f"{self.base.stem}: {self.what}"


@cache
def mutants(base: Path) -> tuple[Mutant, ...]:
    """Every mutant of a policy that compiles."""
    return tuple(generated(base))


def generated(base: Path, kinds: Iterable[str] = ()) -> Iterator[Mutant]:
    """Those of some kinds (of all, without), one by one: each takes some milliseconds."""
    text = bare(base.read_text())
    seen = {meaning(_compiled(text, base.name))}
    for kind in kinds or KINDS:
        for what, changed in KINDS[kind](text):
            policy = _compiled(changed, base.name)
            if policy is None or meaning(policy) in seen:
                continue
            seen.add(meaning(policy))
            yield Mutant(base, kind, what, changed, policy)


def bare(text: str) -> str:
    """Without comments, empty lines and strings' columns."""
    lines = (re.sub(r"\s+$", "", re.sub(r"#.*", "", line)) for line in text.splitlines())
    return "\n".join(re.sub(r"(?<=\S)  +", " ", line) for line in lines if line) + "\n"


def _compiled(text: str, name: str) -> Policy | None:
    return analyze(Source.from_text(name, text)).policy


def meaning(policy: Policy | None) -> str:
    """The same text for policies that differ in places of their source at most."""
    return re.sub(r"Span\([^)]*\)", "", repr(policy))


# --- ways to change a text ------------------------------------------------------------------------


def _replaced(
    text: str, where: str, pattern: str, *with_: str | Callable[[re.Match[str]], str]
) -> Iterator[Change]:
    """Each match of `pattern` in the lines that match `where`, by each of `with_`."""
    at = 0
    for line in text.splitlines(keepends=True):
        if re.match(where, line):
            for found in re.finditer(pattern, line):
                for other in with_:
                    new = found.expand(other) if isinstance(other, str) else other(found)
                    start, end = at + found.start(), at + found.end()
                    yield _told(line, found[0], new), text[:start] + new + text[end:]
        at += len(line)


def _told(line: str, old: str, new: str) -> str:
    context = " ".join(line.split()[:3])
    return f"`{context} …`: `{old.strip()}` → `{new.strip() or 'nothing'}`"


def _without_line(text: str, where: str, within: str = "") -> Iterator[Change]:
    """Each line that matches, left out."""
    lines = text.splitlines(keepends=True)
    inside = not within
    for at, line in enumerate(lines):
        if within and re.match(within, line):
            inside = True
        elif within and line.startswith("}"):
            inside = False
        if inside and re.match(where, line):
            yield f"without `{line.strip()}`", "".join(lines[:at] + lines[at + 1 :])


def _dispatch(text: str) -> tuple[str, list[str], str]:
    """What is before the lines of `dispatch`, the lines, what is after them."""
    found = re.search(r"^dispatch \{(.*?)\}\n", text, re.M | re.S)
    if found is None:
        return text, [], ""
    lines = [line.strip() for line in found[1].strip().splitlines()]
    return text[: found.start()] + "dispatch {\n", lines, "}\n" + text[found.end() :]


def _with_dispatch(text: str, made: Callable[[list[str]], Iterator[tuple[str, list[str]]]]
) -> Iterator[Change]:  # fmt: skip
    above, lines, below = _dispatch(text)
    for what, changed in made(lines):
        yield what, above + "".join(f"  {line}\n" for line in changed) + below


def _queues(text: str) -> list[str]:
    return re.findall(r"^queue (\w+)", text, re.M)


def _scaled(group: int, factor: int, over: int = 1) -> Callable[[re.Match[str]], str]:
    """The match with one of its groups, a number with a unit, times factor / over."""

    def scale(found: re.Match[str]) -> str:
        number, unit = re.fullmatch(r"(\d+)(\w*)", found[group]).groups()  # type: ignore[union-attr]
        value = int(number) * factor
        unit_ns = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}.get(unit, 1)
        value = value * unit_ns // over
        for name, size in (("s", 10**9), ("ms", 10**6), ("us", 10**3), ("ns", 1)):
            if unit in ("s", "ms", "us", "ns") and value % size == 0:
                value, unit = value // size, name
                break
        start, end = found.start(group) - found.start(), found.end(group) - found.start()
        return f"{found[0][:start]}{value}{unit}{found[0][end:]}"

    return scale


def _call_arguments(text: str, name: str) -> Iterator[tuple[int, int, list[str]]]:
    """Start, end and arguments of each call of a function."""
    for found in re.finditer(rf"\b{name}\(", text):
        depth, at, starts, parts = 1, found.end(), found.end(), []
        while depth:
            if text[at] in "()":
                depth += 1 if text[at] == "(" else -1
            if (text[at] == "," and depth == 1) or depth == 0:
                parts.append(text[starts:at].strip())
                starts = at + 1
            at += 1
        yield found.start(), at, parts


# --- the changes ----------------------------------------------------------------------------------

_SPAN = r"within (-?)(\w+)\.\.(\w+)"
_CODE = r"(?!\")(?!policy|goal|assume|promise|queue|cpus|tune|state)"


def _window(text: str) -> Iterator[Change]:
    for group in (2, 3):
        yield from _replaced(text, "queue", _SPAN, *(_scaled(group, f) for f in (10, 100, 1000)))
        yield from _replaced(text, "queue", _SPAN, _scaled(group, 1, 10))


def _drift(text: str) -> Iterator[Change]:
    others = tuple(f" drift 1/{1 << shift}" for shift in (1, 4, 8, 10, 16))
    yield from _replaced(text, "queue", r" drift 1/\d+", "", *others)
    yield from _replaced(text, "queue.*vtime(?!.*drift)", r"(within \S+)", r"\1 drift 1/64")
    yield from _replaced(text, "queue", r" clock \w+", "")


def _domain(text: str) -> Iterator[Change]:
    domains = ("", " per cpu", " per llc", " per node", " per cgroup")
    yield from _replaced(text, "queue", r" per \w+$", *domains)
    yield from _replaced(text, "queue(?!.* per )", r"(?<=\w)$", *domains[1:])


def _order(text: str) -> Iterator[Change]:
    for queue in _queues(text):
        plain = re.sub(rf"^(queue {queue}) by .*?( per \w+)?$", r"\1 fifo\2", text, flags=re.M)
        keyless = re.sub(
            rf"^(enqueue \w+ to {queue}) key .*?( slice .*)?$", r"\1\2", plain, flags=re.M
        )
        yield f"queue `{queue}` in order of arrival", keyless


def _condition(text: str) -> Iterator[Change]:
    flips = {"<": (">=", "<="), "<=": (">", "<"), ">": ("<=", ">="), ">=": ("<", ">"),
             "==": ("!=",), "!=": ("==",)}  # fmt: skip
    for at in (0, 1):
        yield from _replaced(
            text,
            _CODE,
            r" (<=|>=|<|>|==|!=) ",
            lambda f, at=at: f" {flips[f[1]][at % len(flips[f[1]])]} ",
        )
    yield from _replaced(text, r"class|    or", r" or ", " and ")
    yield from _replaced(text, r"class|    or", r" and ", " or ")
    yield from _replaced(text, "class", r"when (.*?)(?= confine| prefer|$)", r"when not (\1)")
    yield from _replaced(text, "class", r" (confine|prefer) \w+", "")
    classes = re.findall(r"^class \w+ when .*(?:\n    .*)*\n", text, re.M)
    for one, other in pairwise(classes):
        swapped = text.replace(one, "\0").replace(other, one).replace("\0", other)
        yield f"classes `{one.split()[1]}` and `{other.split()[1]}` in the other order", swapped


def _arithmetic(text: str) -> Iterator[Change]:
    yield from _replaced(text, _CODE, r"\bmin\(", "max(")
    yield from _replaced(text, _CODE, r"\bmax\(", "min(")
    yield from _replaced(text, _CODE, r" \+ ", " - ")
    yield from _replaced(text, _CODE, r" - ", " + ")
    yield from _replaced(text, _CODE, r" \* ", " / ")
    yield from _replaced(text, _CODE, r" / ", " * ")
    for name in ("clamp", "min", "max", "scale", "ewma", "log2"):
        for start, end, parts in _call_arguments(text, name):
            for part in parts[:2]:
                what = f"`{text[start:end]}` → `{part}`"
                yield what, f"{text[:start]}({part}){text[end:]}"


def _handler(text: str) -> Iterator[Change]:
    assign = r"(?<=[{ ])(task|cpu|cgroup|comm|global)\.\w+ +(\+=|-=|=) [^}\n]*?(?= ?[}\n])"
    for found in re.finditer(assign, text):
        if text[: found.start()].count("{") == text[: found.start()].count("}"):
            continue
        yield f"without `{found[0]}`", text[: found.start()] + text[found.end() :]
        for op in ("+=", "-=", "="):
            new = found[0].replace(found[2], op, 1)
            yield f"`{found[0]}` → `{new}`", text[: found.start()] + new + text[found.end() :]
        for guard in (" when ran >= 5ms", " when nice < 0", " when false"):
            new = found[0] + guard
            yield f"`{found[0]}` → `{new}`", text[: found.start()] + new + text[found.end() :]
    for old, new in (("stop", "sleep"), ("stop", "run"), ("stop", "wake"), ("sleep", "stop"),
                     ("wake", "enqueue"), ("sleep", "wake"), ("enqueue", "wake")):  # fmt: skip
        yield from _replaced(text, "on ", rf"\b{old}\b", new)


def _charge(text: str) -> Iterator[Change]:
    some = (
        "ran", "0ms", "charge(ran) / 1000", "charge(ran) * 10", "charge(min(ran, 1ms))",
        "min(charge(ran), 1ms)", "charge(ran) - 10us", "charge(ran, 10000)", "charge(slept)",
    )  # fmt: skip
    yield from _replaced(text, "on stop|  task", r"charge\(ran\)", *some)
    clocks = re.findall(r"^state task\.(\w+) *: vtime of (\w+)", text, re.M)
    for name, queue in clocks:
        for event in ("wake", "enqueue", "stop", "sleep", "run", "tick"):
            for value in (f"clock({queue})", f"clock({queue}) - 20ms", f"clock({queue}) + 20ms"):
                line = f"on {event} {{ task.{name} = {value} }}"
                head = rf"^on {event} *\{{"
                if re.search(head, text, re.M):
                    more = f"on {event} {{\n  task.{name} = {value}\n "
                    changed = re.sub(head, more, text, count=1, flags=re.M)
                else:
                    above = r"^(?=place|enqueue|dispatch)"
                    changed = re.sub(above, line + "\n", text, count=1, flags=re.M)
                yield f"`{line}` besides", changed


def _key(text: str) -> Iterator[Change]:
    for queue in _queues(text):
        where, key = rf"enqueue \w+ to {queue} key", r"key .*?(?= slice|$)"
        others = (
            f"key clock({queue})", f"key clock({queue}) + 50ms", f"key clock({queue}) - 20ms",
            "key now", "key now + 10s", "key now - 10s", "key now + slept",
            f"key clock({queue}) - charge(burst)",
        )  # fmt: skip
        yield from _replaced(text, where, key, *others)
        for more in ("+ 1s", "- 1s", "+ burst", "- burst", "+ slept", "- slept", "- waited"):
            yield from _replaced(text, where, r"key (.*?)(?= slice|$)", rf"key \1 {more}")


def _target(text: str) -> Iterator[Change]:
    keys = dict(re.findall(r"^enqueue \w+ to (\w+)( key .*?)(?= slice|$)", text, re.M))
    for queue in _queues(text):
        new = rf"\1 {queue}{keys.get(queue, '')}\3"
        yield from _replaced(text, "enqueue", r"(enqueue \w+ to) (\w+(?: key .*?)?)( slice|$)", new)


def _slice(text: str) -> Iterator[Change]:
    some = ("1ms", "100us", "40ms", "200ms", "2s", "10s", "unlimited contended 10ms",
            "unlimited contended 200ms", "tune.slice * 8")  # fmt: skip
    yield from _replaced(
        text, "enqueue", r" slice .*?(?= preempt| perf|$)", *(f" slice {one}" for one in some)
    )
    yield from _replaced(text, "let slice", r"= .*", "= 100us", "= 1s", "= 20ms")


def _preempt(text: str) -> Iterator[Change]:
    yield from _replaced(text, "enqueue", r" preempt .*?when ran >= \w+", "")
    yield from _replaced(text, "enqueue", r"when ran >= \w+", "when ran >= 1us", "when ran >= 10ms")
    classes = re.findall(r"^class (\w+)", text, re.M)
    for cls in classes:
        yield from _replaced(
            text, f"enqueue(?! {cls} )(?!.*preempt)", r"$", f" preempt {cls} when ran >= 1ms",
            f" preempt {cls} when ran >= 100us",
        )  # fmt: skip


def _lines(text: str) -> Iterator[Change]:
    def made(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
        for at, line in enumerate(lines):
            yield f"without line `{line}`", lines[:at] + lines[at + 1 :]
        for i in range(len(lines)):
            for j in range(i + 1, len(lines)):
                other = lines[:]
                other[i], other[j] = lines[j], lines[i]
                yield f"lines `{lines[i]}` and `{lines[j]}` exchanged", other
        for queue in _queues(text):
            for line in (
                f"take {queue}", f"take {queue} at most 1", f"take {queue} at most 90% every 1s",
                f"take {queue} after 100ms at most 10% every 500ms", f"steal {queue}",
            ):  # fmt: skip
                for at in sorted({0, 1, len(lines)}):
                    yield f"line `{line}` at {at + 1}", [*lines[:at], line, *lines[at:]]
        for line in (
            "keep at most 1 when true", "keep at most 100 when true",
            "keep at most 3 when ran < 10ms", "keep at most 1000000 when ran < 1s",
        ):  # fmt: skip
            yield f"line `{line}` first", [line, *lines]

    yield from _with_dispatch(text, made)


def _limit(text: str) -> Iterator[Change]:
    where, share = "  (take|keep)", r"(\w+)% every (\w+)"
    yield from _replaced(text, where, r" at most \w+(% every \w+)?", "")
    yield from _replaced(text, where, r" after \S+", "", " after 10s", " after 1us")
    yield from _replaced(
        text, where, share, *(rf"{p}% every \2" for p in (1, 2, 5, 10, 30, 60, 90, 100))
    )
    yield from _replaced(text, where, share, *(_scaled(2, f) for f in (2, 10, 100)))
    yield from _replaced(text, where, share, *(_scaled(2, 1, over) for over in (2, 4, 10, 20, 100)))
    yield from _replaced(text, where, share, "1", "4", "16", "1000000")
    yield from _replaced(text, where, r"at most \d+$", "at most 1", "at most 16", "at most 1000000",
                         "at most 50% every 100ms", "at most 20% every 40ms")  # fmt: skip
    yield from _replaced(text, r"  take \w+$", r"$", " at most 1", " at most 50% every 100ms")
    yield from _replaced(text, "  share", r" (\d+)", " 1", " 100", " 10000")
    yield from _replaced(text, "  steal", r"$", " pick 2")
    yield from _replaced(text, "  lowest", r"lowest (\w+), (\w+)", r"lowest \2, \1", r"take \1",
                         "take \\1 at most 4\n  take \\2")  # fmt: skip


def _assumption(text: str) -> Iterator[Change]:
    wide = ("1..10000", "1..1000", "100..100", "50..10000")
    yield from _replaced(text, "assume weight", r"\d+\.\.\d+", *wide)
    yield from _without_line(text, "assume|promise|cap|pack")
    yield from _replaced(
        text, "assume runnable", r"<= (\d+)", *(_scaled(1, f) for f in (4, 16, 64))
    )
    yield from _replaced(text, "promise", r"<= (\w+)", *(_scaled(1, 1, o) for o in (2, 10, 100)))
    yield "a promise of 2 s", text.replace("\nqueue", "\npromise wait <= 2s\nqueue", 1)
    yield from _replaced(
        text, "cap", r"(\d+)% every (\w+)", _scaled(2, 1, 10), _scaled(2, 10), r"1% every \2"
    )
    for cls in re.findall(r"^class (\w+)", text, re.M):
        line = f"cap {cls} at 30% every 100ms\n"
        yield (
            f"`{line.strip()}` besides",
            re.sub(r"^(?=place|on |enqueue)", line, text, count=1, flags=re.M),
        )


def _tune(text: str) -> Iterator[Change]:
    limits = r"in (-?\w+)\.\.(\w+%?)"
    yield from _replaced(text, "tune", limits, *(_scaled(2, f) for f in (4, 50)))
    yield from _replaced(
        text, "tune", limits, r"in 1us..\2", r"in 1..\2", r"in 0..\2", r"in 0us..\2"
    )


def _place(text: str) -> Iterator[Change]:
    yield "without `place`", re.sub(r"^place( \w+)? \{.*?\}\n", "", text, flags=re.M | re.S)
    yield from _without_line(text, r"  idle", r"place")


KINDS: dict[str, Callable[[str], Iterator[Change]]] = {
    "window": _window,
    "drift or clock": _drift,
    "domain of a queue": _domain,
    "order of a queue": _order,
    "condition": _condition,
    "arithmetic": _arithmetic,
    "event handler": _handler,
    "charge": _charge,
    "key": _key,
    "target of a rule": _target,
    "slice": _slice,
    "preemption": _preempt,
    "dispatch line": _lines,
    "limit of a line": _limit,
    "assumption or promise": _assumption,
    "range of a tunable": _tune,
    "placement": _place,
}
