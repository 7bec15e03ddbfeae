"""Plans, states and histories for people and for programs.

Input: values. Output: lines of text, JSON values. Invariant: pure; every text that came from a
plan, a socket or the kernel is made visible.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from math import ceil
from typing import Any

from schedc.deploy.make import Scene
from schedc.deploy.state import Loaded, State
from schedc.diagnostics.render.visible import cells, visible
from schedc.load.plan import Plan
from schedc.prove.parameters import at_most, milliseconds
from schedc.workload.quantity import show_time

OWN = "the kernel's own scheduler"
_MS = 1_000_000
_SHORT = 16


def table(head: Sequence[str], rows: Iterable[Sequence[str]], indent: str = "  ") -> list[str]:
    """Columns, the first to the left and the others to the right."""
    lines = [tuple(head), *map(tuple, rows)]
    widths = [max(cells(line[i]) for line in lines) for i in range(len(head))]
    return [
        indent + "  ".join(
            _padded(cell, widths[i], left=i == 0) for i, cell in enumerate(line)
        ).rstrip()
        for line in lines
    ]  # fmt: skip


def _padded(text: str, width: int, *, left: bool) -> str:
    gap = " " * (width - cells(text))
    return text + gap if left else gap + text


def at(unix: float) -> str:
    """A moment, in UTC, as logs have it."""
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def span(seconds: float) -> str:
    """`45 s`, `12 min`, `3 h 5 min`, `2 d 4 h`."""
    whole = int(seconds)
    for unit, size, small, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60)):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {unit}" + (f" {rest} {small}" if rest else "")
    return f"{whole // 60} min" if whole >= 120 else f"{whole} s"


# --- plans


def running_now(where: Scene) -> str:
    """What runs, in words."""
    if where.policy is not None:
        one = where.policy
        return f"{one.name} {one.version} ({one.stage}, since {at(one.since)}, by {one.by})"
    if where.foreign:
        name = visible(where.current.ops[:64]) or "nameless"
        return f"{'a' if where.refused else 'another'} scheduler ({name})"
    return OWN


def unchanged(plan: Plan, where: Scene) -> bool:
    """Whether the very same runs already, for good."""
    now = where.policy
    return now is not None and now.stage == "confirmed" and (
        (now.object, now.settings) == (plan.object_sha256, plan.settings)
    )


def plan_lines(plan: Plan, where: Scene, now: float) -> list[str]:
    """What a plan would change, and why it may."""
    new = f"{visible(plan.policy.name)} {visible(plan.policy.version)}"
    same = unchanged(plan, where)
    lines = [f"{new} would run on this machine:" if not same else
             f"{new} runs on this machine already; applying the plan attaches it anew:", ""]
    before = running_now(where)
    lines += [f"  - {before}", f"  + {new}", ""]
    rows = [
        ("kernel", f"{visible(plan.kernel.release)}, this boot ({plan.kernel.boot_id[:8]})"),
        ("object", f"sha256 {plan.object_sha256[:_SHORT]}…, {-(-len(plan.object) // 1024)} KiB"),
        ("policy", f"sha256 {plan.policy.source_sha256[:_SHORT]}…"),
        *(("setting", visible(line)) for line in plan.settings.splitlines()),
        ("quarantine", _quarantine(plan, where)),
        ("expires", f"in {span(ceil(plan.expires - now))} ({at(plan.expires)})"),
        ("made by", visible(plan.by)),
    ]
    lines += [f"  {name:10}  {text}" for name, text in rows]
    lines += ["", *bounds_lines(plan)]
    return lines


def _quarantine(plan: Plan, where: Scene) -> str:
    if where.loader:
        return f"not known: {where.loader}"
    listed = plan.policy.source_sha256 in where.quarantined
    return "this policy is quarantined" if listed else "no"


def bounds_lines(plan: Plan) -> list[str]:
    """What is proved of each class."""
    if not plan.bounds:
        return []
    at_n = plan.bounds[0].at_n
    head = ("class", "longest wait", f"N = {at_n}", "promise")
    rows = [
        (visible(one.cls), visible(one.text), bound_text(one.wait_ms),
         milliseconds(one.promise_ms * _MS))
        for one in sorted(plan.bounds, key=lambda bound: -bound.wait_ms)
    ]  # fmt: skip
    return [
        f"  proved, as long as at most N = {at_n} tasks contend for one cpu:", "",
        *table(head, rows, "    "),
    ]  # fmt: skip


def plan_json(plan: Plan, where: Scene) -> dict[str, Any]:
    """The plan without its object and certificate, and what runs now."""
    values = plan.as_json()
    values.pop("certificate")
    values["object"] = {"sha256": plan.object_sha256, "bytes": len(plan.object)}
    values["now"] = {
        "what": running_now(where), "foreign": where.foreign,
        "policy": None if where.policy is None else _loaded_json(where.policy),
        "quarantined": plan.policy.source_sha256 in where.quarantined,
        "loader": where.loader or "running",
    }  # fmt: skip
    return values


def _loaded_json(one: Loaded) -> dict[str, Any]:
    return {
        "name": one.name, "version": one.version, "object": one.object, "source": one.source,
        "stage": one.stage, "since": one.since, "by": one.by,
    }  # fmt: skip


# --- what runs


def status_lines(state: State, now: float) -> list[str]:
    """What runs, since when, and whether it does well."""
    lines = [_headline(state, now)]
    if state.previous is not None:
        one = state.previous
        lines.append(f"  a rollback would bring back {one.name} {one.version}")
    elif state.policy is not None:
        lines.append(f"  a rollback would bring back {OWN}")
    kernel = state.kernel
    lines.append(f"  kernel {kernel.release}, sched_ext {kernel.state or 'unknown'}"
                 f"{', ' + kernel.ops if kernel.ops else ''}")  # fmt: skip
    if state.policy is not None:
        lines.append(f"  object {state.policy.object[:_SHORT]}…, policy "
                     f"{state.policy.source[:_SHORT]}…")  # fmt: skip
    if state.classes:
        lines += ["", *class_lines(state)]
    counted = {name: count for name, count in kernel.events.items() if count}
    if counted:
        lines += ["", "  events: " + ", ".join(f"{name} {n}" for name, n in counted.items())]
    lines += [f"  quarantined: {one}" for one in quarantine_lines(state)]
    return lines


def quarantine_lines(state: State) -> list[str]:
    """One line for each policy that is not loaded until somebody clears it."""
    return [
        f"{one.policy} {one.source[:_SHORT]}… since {at(one.since)}: {'; '.join(one.why)}"
        for one in state.quarantined
    ]


def _headline(state: State, now: float) -> str:
    one = state.policy
    if one is not None:
        trial = " on trial" if one.stage == "canary" else ""
        return f"{one.name} {one.version} runs{trial} for {span(now - one.since)}, by {one.by}"
    if state.kernel.state == "enabled":
        return f"another scheduler ({state.kernel.ops or 'nameless'}) runs"
    return f"{OWN} runs"


def class_lines(state: State) -> list[str]:
    """Waits of each class since it was attached, beside what was proved."""
    bounds = {one.cls: one for one in state.bounds}
    head = ("class", "run", "wait p50", "p99", "max", "proved")
    rows = []
    for one in state.classes:
        bound = bounds.get(one.name)
        rows.append((
            one.name, str(one.run), wait_text(one.wait(0.5)), wait_text(one.wait(0.99)),
            wait_text(float(one.wait_max_ns) if one.run else None),
            f"{bound_text(bound.wait_ms)} (N = {bound.at_n})" if bound else "-",
        ))  # fmt: skip
    return table(head, rows)


def bound_text(wait_ms: float) -> str:
    """A proved wait, rounded up: what is called a bound must be one."""
    return at_most(ceil(wait_ms * _MS))


def wait_text(ns: float | None) -> str:
    return "-" if ns is None else show_time(ns)


# --- history


def history_lines(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    """One line an event: when, what, of which policy, why, by whom."""
    found = []
    for one in entries:
        took = one.get("took_ms")
        more = [
            visible(str(one["why"])) if one.get("why") else "",
            f"by {visible(str(one['by']))}" if one.get("by") else "",
            f"{took:g} ms" if isinstance(took, int | float) else "",
        ]
        tail = "; ".join(part for part in more if part)
        name = visible(str(one.get("policy") or "-"))
        found.append(
            f"{at(float(one.get('at', 0)))}  {visible(str(one.get('what', '?'))):11}  {name:20}  "
            f"{tail}".rstrip()
        )
    return found
