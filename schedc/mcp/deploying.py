"""plan, status, apply_plan.

Input: a proved policy, or the name of a person's plan. Output: a draft, what runs, how a canary
ended. Invariant: `plan` writes a draft and does nothing else; `apply_plan` takes plans only from
the folder that a person named, written by a person, always as a canary, and no guard of its runs a
command; the loader believes none of what is checked here and checks all of it again.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schedc.mcp import arguments as take, quote, results as give
from schedc.mcp.proving import build, unproved
from schedc.mcp.refusal import NOT_APPLIED, Refused, refuse, told
from schedc.mcp.setup import Setup
from schedc.mcp.sources import proved, read, settings
from schedc.pipeline import generate

if TYPE_CHECKING:
    from schedc.deploy.guard import Guard
    from schedc.deploy.make import Scene
    from schedc.load.plan import Plan

BY = "mcp"
_MOST_DRAFTS = 200
_DRAFT = re.compile(r"[a-z][a-z0-9_]{0,31}-[0-9a-f]{12}\.json", re.ASCII)
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", re.ASCII)
_GUARD_S = 10.0


def plan(arguments: take.PlanPolicy, setup: Setup) -> give.Planned:
    from schedc.deploy.make import plan_of

    where = _scene(arguments)
    found = read(arguments)
    proof = proved(found)
    unproved(found, proof)
    made = build(found, proof, generate(found.policy, found.source, sources=found.analysis.sources))
    with told():
        draft = plan_of(
            made.object, made.certificate, where, life_s=60 * arguments.minutes, by=BY,
            settings=settings(found.policy, arguments.set).text(),
        )
        path = _kept(draft, setup.plans)
    release = quote.line(where.kernel.release, 80)
    runs = _scheduler(where.current.state, where.current.ops)
    apply = f"schedc apply {path} --canary --for 60s --guard 'p99 < 20ms'"
    lines = [
        f"drafted {path.name}: {draft.policy.name} {draft.policy.version} in place of {runs}, on "
        f"{release}; good for {arguments.minutes} min",
        *(f"  {one.cls}: W(N) = {one.text}; {one.wait_ms:g} ms for N = {one.at_n}"
          for one in draft.bounds),
        "It changes nothing. A person looks at it and applies it:", f"  {apply}",
    ]  # fmt: skip
    return give.Planned(
        plan=path.name, sha256=draft.sha256, policy=draft.policy.name,
        version=draft.policy.version, kernel=release, current=runs,
        expires=draft.expires, by=BY, next=apply, text="\n".join(lines),
    )  # fmt: skip


def status(arguments: take.Nothing, setup: Setup) -> give.Status:
    from schedc.load import kernel
    from schedc.load.client import Client
    from schedc.load.errors import LoadError

    del arguments, setup
    details: dict[str, Any] = {}
    try:
        with Client.connect() as client:
            details = _quoted(client.ask({"do": "status"}))
        said = "schedc's loader answers"
    except LoadError as missing:
        said = f"schedc's loader: {missing.message}"
    state = kernel.state() or "this kernel has no sched_ext"
    runs = _scheduler(state, kernel.read_current().ops)
    return give.Status(
        sched_ext=state, scheduler=runs, loader=bool(details), details=details,
        text=f"sched_ext: {state}\nscheduler: {runs}\n{said}",
    )


def loaded_so_far(last: int) -> give.Versions:
    """What the loader loaded and took back, the newest last; E0830 if there is no loader."""
    from schedc.load.client import Client

    with told(), Client.connect() as client:
        entries = client.ask({"do": "history", "last": last}).get("history")
    events = [
        give.Event(
            at=float(one.get("at") or 0), what=quote.name(str(one.get("what"))),
            policy=quote.name(str(one.get("policy") or "-")),
            why=quote.line(str(one.get("why") or "")), by=quote.line(str(one.get("by") or ""), 80),
        )
        for one in (entries if isinstance(entries, list) else [])
        if isinstance(one, dict)
    ]
    lines = [f"{one.at:.0f}  {one.what:12} {one.policy}  {one.why}  by {one.by}" for one in events]
    return give.Versions(events=events, text="\n".join(lines) or "nothing was ever loaded")


def apply_plan(arguments: take.ApplyPlan, setup: Setup) -> give.Applied:
    """Only where the server was started with `--allow-apply`."""
    from schedc.deploy.canary import Trial
    from schedc.deploy.measured import Unmeasurable
    from schedc.deploy.state import ask
    from schedc.load.client import Client

    assert setup.apply is not None
    wanted = _persons_plan(arguments.plan, setup.apply)
    trial = Trial([_guard(text) for text in arguments.guards], _GUARD_S)
    with told(), Client.connect() as client, Client.connect() as watching:
        try:
            trial.measure_before()
        except Unmeasurable as found:
            raise refuse(NOT_APPLIED, f"a guard can't be judged: {found.why}") from found
        handle = client.canary(wanted, arguments.seconds, f"{BY}: plan by {wanted.by[:80]}")
        ended = trial.run(handle, lambda: ask(watching), arguments.seconds, lambda look: None)
    outcome = "confirmed" if ended.confirmed else "aborted"
    reason = quote.line(ended.reason) or f"it held for {ended.seconds:.0f} s"
    return give.Applied(
        plan=arguments.plan, outcome=outcome, reason=reason,
        text=f"{wanted.policy.name} {wanted.policy.version}: {outcome}: {reason}",
    )


# --- drafting


def _scene(arguments: take.PlanPolicy) -> Scene:
    """The machine that the plan is for: this one, or one that was described."""
    from schedc.deploy.make import Scene, current_scene
    from schedc.load.errors import LoadError
    from schedc.load.plan import Current, Kernel

    other = arguments.target
    if other is None:
        try:
            return current_scene()
        except LoadError as failure:
            hint = "with `target`, a plan is drafted for another machine"
            raise refuse(
                failure.code, failure.message, *failure.notes, hint, help=failure.help
            ) from failure
    current = Current(other.state, other.ops, other.enable_seq, other.object)
    return Scene(Kernel(other.release, other.boot_id), current, None, ())


def _kept(draft: Plan, folder: Path) -> Path:
    """Write a draft; those that nobody can apply any more make room."""
    from schedc.atomic import write_atomically

    try:
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        _make_room(folder)
        path = folder / f"{draft.policy.name}-{draft.sha256[:12]}.json"
        write_atomically(path, draft.text().encode())
    except OSError as failure:
        raise refuse("E0602", f"can't write the draft: {failure.strerror}",
                     help="start the server with --plans DIR, a folder of yours") from failure
    return path


def _make_room(folder: Path) -> None:
    """The oldest of the server's own drafts go."""
    drafts = [path for path in folder.iterdir() if _DRAFT.fullmatch(path.name)]
    drafts.sort(key=lambda path: path.lstat().st_mtime)
    for path in drafts[: max(len(drafts) - _MOST_DRAFTS + 1, 0)]:
        path.unlink(missing_ok=True)


# --- applying


def _persons_plan(name: str, folder: Path) -> Plan:
    """A plan that a person put there. The name is compared with those of the folder."""
    from schedc.load import plan as plans

    there = sorted(one.name for one in os.scandir(folder) if _FILE.fullmatch(one.name))
    if name not in there:
        raise refuse(
            NOT_APPLIED, f"no plan in the server's folder is called `{quote.line(name, 60)}`",
            help=f"there is: {', '.join(there[:10]) or 'none yet; a person puts one there'}",
        )
    try:
        handle = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            info = os.fstat(handle)
            data = file.read(plans.MAX_PLAN + 1)
    except OSError as failure:
        raise refuse(NOT_APPLIED, f"`{name}` can't be read: {failure.strerror}") from failure
    if not stat.S_ISREG(info.st_mode) or info.st_uid not in (0, os.geteuid()):
        raise refuse(NOT_APPLIED, f"`{name}` is no plain file of the server's user or root")
    with told():
        plan = plans.parse(data)
    if plan.by.strip().lower().startswith(BY):
        raise refuse(
            NOT_APPLIED, f"`{name}` was drafted by an agent and not made by a person",
            help="a person applies it with `schedc apply`, or makes a plan with `schedc plan`",
        )
    return plan


def _guard(text: str) -> Guard:
    """A guard that only looks."""
    from schedc.deploy.guard import BadGuard, parse_guard
    from schedc.diagnostics.render.located import Sources
    from schedc.source import Source

    try:
        guard = parse_guard(text)
    except BadGuard as wrong:
        raise Refused(
            wrong.diagnostic, sources=Sources(Source.from_text("guard", text))
        ) from wrong
    if guard.argv:
        raise refuse(NOT_APPLIED, "a guard of an agent's runs no command",
                     help="use p99, psi or throughput; commands are for `schedc apply`")
    return guard


# --- words


def _scheduler(state: str, ops: str) -> str:
    """Who schedules now."""
    return quote.name(ops) if state == "enabled" and ops else "default"


def _quoted(value: Any, depth: int = 8) -> Any:
    """A reply of the loader's with every text a quoted datum, and no deeper than that."""
    match value:
        case str():
            return quote.line(value)
        case dict() if depth:
            return {quote.line(str(key), 80): _quoted(one, depth - 1)
                    for key, one in list(value.items())[:200]}  # fmt: skip
        case list() if depth:
            return [_quoted(one, depth - 1) for one in value[:1000]]
        case bool() | int() | float() | None:
            return value
        case _:
            return quote.line(str(value))
