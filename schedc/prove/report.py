"""A proof in words: the theorem in a sentence, the bounds, the assumptions, the obligations.

Input: a `Proof`. Output: plain text for a terminal or a log, no colours. Invariant: everything
said is in the proof; what isn't proved is never called so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

from schedc.prove.parameters import at_most, milliseconds
from schedc.prove.result import PROPERTIES, WATCHDOG_NS, Bound, Obligation, Proof, Verdict

_WIDTH = 100


def line(proof: Proof) -> str:
    """The outcome in a few words, as `check` shows it."""
    worst = proof.worst_bound
    if proof.verdict is not Verdict.proved or worst is None:
        return f"{proof.verdict.value}"
    wait = at_most(worst.wait_ns(proof.runnable))
    return f"proved: waits of at most {wait} with {proof.runnable} tasks a cpu"


def full(proof: Proof, *, details: bool, only: Sequence[str] = ()) -> str:
    """Everything that `prove` says; `compile` leaves out the obligations' details. `only`: what it
    was proved for instead of what the policy declares."""
    parts = [theorem(proof)]
    if only:
        parts.append(_wrapped(f"Only for {', '.join(only)}: nothing in the object enforces that."))
    if proof.bounds:
        parts += [bounds(proof), *([formulas(proof)] if details else [])]
    if proof.verdict is Verdict.proved:
        parts += [slack(proof), assumptions(proof)]
    parts.append(obligations(proof) if details else summary(proof))
    return "\n\n".join(parts) + "\n"


def theorem(proof: Proof) -> str:
    """The claim in a sentence, or what there is instead of one."""
    name = f"{proof.policy} {proof.version}"
    worst = proof.worst_bound
    if proof.verdict is Verdict.proved and worst is not None:
        wait = at_most(worst.wait_ns(proof.runnable))
        return _wrapped(
            f"{name} is proved: no task that could run is left waiting for longer than {wait}, as "
            f"long as at most {proof.runnable} tasks contend for one cpu. Proved for the model, "
            "under the assumptions below; that the compiled code does the same is tested."
        )
    counts = _counts(proof.obligations)
    return _wrapped(f"{name} is {proof.verdict.value}: of its obligations, {counts}.")


def bounds(proof: Proof) -> str:
    """The longest wait of each class: W(N) = a + b N, its value, and how far it holds."""
    head = ("class", "longest wait", f"N = {proof.runnable}", "promise", "kept up to", "queue")
    rows = []
    for one in sorted(proof.bounds, key=lambda bound: -bound.wait_ns(proof.runnable)):
        rows.append((
            one.cls, formula(one), at_most(one.wait_ns(proof.runnable)),
            milliseconds(one.promise_ns), f"N = {one.most_runnable}",
            f"{one.queue}, {one.discipline}",
        ))  # fmt: skip
    table = (
        "How long a task of each class may wait, N being the tasks that contend for one cpu:\n\n"
        + _table(head, rows)
    )
    if proof.verdict is not Verdict.proved:
        table += "\n\nObligations are missing, so these bounds are not proved either."
    return table


def formula(bound: Bound) -> str:
    """`24 ms + 8 ms N`."""
    return " + ".join(
        [*([_time(bound.a_ns)] if bound.a_ns or not bound.b_ns else []),
         *([f"{_time(bound.b_ns)} N"] if bound.b_ns else [])]
    )  # fmt: skip


def formulas(proof: Proof) -> str:
    """How each bound is composed."""
    rows = [(one.cls, one.formula) for one in proof.bounds]
    return "How each bound is composed (the symbols are those of docs/prover.md):\n\n" + _table(
        ("class", "bound"), rows
    )


def slack(proof: Proof) -> str:
    """How much room is left, to the promise that is nearest and to the watchdog."""
    promised = min(proof.bounds, key=lambda one: one.promise_ns - one.wait_ns(proof.runnable))
    worst = max(one.wait_ns(proof.runnable) for one in proof.bounds)
    room = promised.promise_ns - promised.wait_ns(proof.runnable)
    most = min(one.most_runnable for one in proof.bounds)
    which = f"`{promised.cls}`, {milliseconds(promised.promise_ns)}"
    return _wrapped(
        f"Slack: {milliseconds(room)} to the promise ({which}), "
        f"{milliseconds(WATCHDOG_NS - worst)} to the kernel's watchdog "
        f"({milliseconds(WATCHDOG_NS)}). Every promise is kept up to N = {most}."
    )


def assumptions(proof: Proof) -> str:
    """What is taken for granted, with the numbers of this proof."""
    rows = [(one.code, one.text, one.value) for one in proof.assumptions]
    return "Assumed of the machine and its tasks:\n\n" + _table(("", "assumption", "here"), rows)


def obligations(proof: Proof) -> str:
    """Each obligation with its verdict and time, by property; why one isn't proved stands below."""
    rows = []
    for one in _ordered(proof.obligations):
        rows.append((one.verdict.value, f"{one.ms:.1f} ms", one.name, one.statement))
        if one.reason:
            rows.append(("", "", "", f"because {one.reason}"))
    return _table(("verdict", "time", "obligation", "which says"), rows) + "\n\n" + summary(proof)


def summary(proof: Proof) -> str:
    """How many obligations there are of each verdict, and the time of all."""
    total = sum(one.ms for one in proof.obligations)
    counts = _counts(proof.obligations)
    waived = [one for one in proof.obligations if one.verdict is Verdict.waived]
    lines = [f"Obligations: {counts} ({total / 1000:.2f} s)."]
    lines += [f"Waived: {one.statement}: {one.reason}" for one in waived if one.reason]
    return "\n".join(lines)


def _ordered(found: Iterable[Obligation]) -> list[Obligation]:
    return sorted(found, key=lambda one: PROPERTIES.index(one.property))


def _counts(found: Sequence[Obligation]) -> str:
    numbers = [(sum(one.verdict is kind for one in found), kind.value) for kind in Verdict]
    return ", ".join(f"{number} {kind}" for number, kind in numbers if number) or "none"


def _time(ns: Fraction) -> str:
    return milliseconds(float(ns))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell; the widest text column wraps, so that lines end at
    the page's edge."""
    widths = [max(len(row[at]) for row in [head, *rows]) for at in range(len(head))]
    longest = widths.index(max(widths))
    room = _WIDTH - 2 - sum(widths) + widths[longest] - 2 * (len(widths) - 1)
    widths[longest] = max(min(widths[longest], room), 20)
    lines: list[str] = []
    for row in [head, *rows]:
        cells = [
            _split(cell, widths[at]) if at == longest else [cell] for at, cell in enumerate(row)
        ]
        for index in range(max(map(len, cells))):
            parts = [
                (cell[index] if index < len(cell) else "").ljust(width)
                for cell, width in zip(cells, widths, strict=True)
            ]
            lines.append(("  " + "  ".join(parts)).rstrip())
    return "\n".join(lines)


def _wrapped(text: str) -> str:
    return "\n".join(_split(text, _WIDTH))


def _split(text: str, width: int) -> list[str]:
    from textwrap import wrap

    return wrap(text, width, break_on_hyphens=False) or [""]
