"""`schedc apply`: carry out a plan, on trial first.

Once the connections to the loader are there, this process holds no capability any more; the loader
believes nothing of what it checked.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from schedc.cli.console import Console
from schedc.cli.failure import Exit, Failure, cannot_read
from schedc.cli.loader import guards_of, loader_errors, seconds, stop_signals, who
from schedc.cli.options import format_option
from schedc.deploy.drop import drop_privileges
from schedc.diagnostics.model import error
from schedc.diagnostics.render.visible import visible

if TYPE_CHECKING:
    from schedc.deploy.canary import Ended, Trial
    from schedc.deploy.guard import Guard
    from schedc.deploy.make import Scene
    from schedc.load.client import Client
    from schedc.load.plan import Plan

F = TypeVar("F", bound=Callable[..., Any])
CANARY_S = 60.0
GRACE_S = 5.0
"""More than the loader's own: the last look may be late on a machine that is short of cpus."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a plan is to be tried. `for_s`: None without a canary that was asked for."""

    for_s: float | None
    guards: tuple[Guard, ...]
    timeout_s: float
    as_json: bool


def canary_options(command: F) -> F:
    """The options; the command gets them as `wanted`, a `Wanted`."""
    from functools import update_wrapper

    def gather(*args: Any, **options: Any) -> Any:
        canary, for_s = options.pop("canary"), options.pop("for")
        guards = guards_of(options.pop("guard"))
        if for_s is None and (canary or guards):
            for_s = CANARY_S
        wanted = Wanted(for_s, guards, options.pop("guard_timeout"), options.pop("as_json"))
        return command(*args, wanted=wanted, **options)

    wrapped: Any = update_wrapper(gather, command)
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]


_OPTIONS = (
    click.option("--canary", is_flag=True,
                 help="On trial first: for 60s, unless --for says. --for and --guard imply it."),
    click.option("--for", "for", metavar="TIME", callback=seconds,
                 help="How long the trial lasts, such as 60s or 10min."),
    click.option("--guard", "guard", metavar="GUARD", multiple=True,
                 help="What must hold meanwhile: 'p99 < 20ms', 'p99 of CLASS < 5ms', 'psi < 60%', "
                 "'throughput > 90%', 'cmd:PROGRAM ARGS < 50'. May be repeated."),
    click.option("--guard-timeout", metavar="TIME", default="10s", show_default=True,
                 callback=seconds, help="When a guard's command is killed."),
    click.option("--json", "as_json", is_flag=True,
                 help="JSON lines on stdout: a look a second, then how it ended."),
)


@click.command()
@click.argument("plan", metavar="PLAN", type=click.Path())
@canary_options
@format_option
def apply(plan: str, wanted: Wanted) -> Exit:
    """Run the policy of PLAN, which `schedc plan` wrote.

    With --canary it is on trial: it is confirmed only if it stays and every guard holds until the
    end; else, and at Ctrl-C, what ran before is back (exit code 4). Without, the trial is three
    seconds long. A plan that is stale, expired or altered is refused.
    """
    found = _read(plan)
    return carry_out(found, wanted)


def _read(name: str) -> Plan:
    from schedc.load.plan import MAX_PLAN, parse

    try:
        if name == "-":
            data = sys.stdin.buffer.read(MAX_PLAN + 1)
        else:
            with open(name, "rb") as file:
                data = file.read(MAX_PLAN + 1)
    except OSError as failure:
        raise cannot_read(name, failure) from failure
    with loader_errors():
        return parse(data)


def carry_out(plan: Plan, wanted: Wanted) -> Exit:
    """Load a plan on trial; the exit code says whether it was confirmed."""
    from schedc.deploy.canary import Trial
    from schedc.deploy.make import check, scene

    with loader_errors():
        client = _connection()
        looker = _again(client)
        where = scene(looker)
        check(plan, where)
    drop_privileges()
    trial = Trial(wanted.guards, wanted.timeout_s)
    _measured_before(trial)
    with stop_signals(), client, looker:
        ended = _tried(plan, wanted, trial, client, looker)
        return _told(plan, wanted, ended, _now(looker))


def _connection() -> Client:
    """To the loader that runs; root starts one if none does."""
    import os

    from schedc.load.client import Client, start_loader
    from schedc.load.errors import NO_LOADER, LoadError

    try:
        return Client.connect()
    except LoadError as failure:
        if failure.code != NO_LOADER or os.geteuid() != 0:
            raise
        return start_loader()


def _again(_first: Client) -> Client:
    """A second connection: the first belongs to the trial alone."""
    from schedc.load.client import Client

    return Client.connect()


def _measured_before(trial: Trial) -> None:
    from schedc.deploy.measured import Unmeasurable

    try:
        trial.measure_before()
    except Unmeasurable as found:
        code = "E0913" if found.command else "E0911"
        raise Failure(error(
            code, f"`{visible(found.guard.text)}` can't be measured: {visible(found.why)}"
            if not found.command else visible(found.why), None,
            notes=["nothing was loaded"],
        )) from found  # fmt: skip


def _tried(
    plan: Plan, wanted: Wanted, trial: Trial, client: Client, looker: Client
) -> Ended:
    from schedc.deploy import state
    from schedc.deploy.canary import BY_HAND, SHORT_S, Ended
    from schedc.deploy.live import watching

    for_s = SHORT_S if wanted.for_s is None else wanted.for_s
    began = time.monotonic()
    try:
        with loader_errors():
            handle = client.canary(plan, for_s + GRACE_S, who())
    except KeyboardInterrupt:
        # The loader notices that nobody watches, and goes back by itself.
        client.close()
        return Ended(BY_HAND, "ended by hand while it was being loaded", time.monotonic() - began)
    title = f"{plan.policy.name} {plan.policy.version}"
    with watching(visible(title), trial, as_json=wanted.as_json) as tell:
        return trial.run(handle, lambda: state.ask(looker), for_s, tell)


def _now(looker: Client) -> str:
    """What runs after the trial, in words."""
    from schedc.deploy.make import scene
    from schedc.deploy.show import running_now
    from schedc.load.errors import LoadError

    where: Scene
    try:
        where = scene(looker)
    except LoadError:
        try:
            where = scene(None)
        except LoadError as failure:
            return failure.message
    return running_now(where)


def _told(plan: Plan, wanted: Wanted, ended: Ended, now: str) -> Exit:
    """How it ended: on stdout if it was confirmed, else a diagnostic."""
    name = f"{visible(plan.policy.name)} {visible(plan.policy.version)}"
    if wanted.as_json:
        click.echo(json.dumps(_ended_json(plan, ended, now)))
    if ended.confirmed:
        guards = len(wanted.guards)
        held = f", {guards} guard{'s' if guards != 1 else ''} held" if guards else ""
        if not wanted.as_json:
            click.echo(f"{name} is confirmed: it stayed for {int(ended.seconds)} s{held}")
        return Exit.fine
    values = [
        f"`{visible(one.guard.text)}`: {one.guard.show(one.value)}"
        + (f" ({visible(one.basis)})" if one.basis else "")
        for one in ended.readings if one.value is not None
    ]  # fmt: skip
    Console.current().report([([error(
        ended.code, f"{name} was taken back: {visible(ended.reason)}", None,
        notes=[f"after {int(ended.seconds)} s on trial", *values, *map(visible, ended.notes),
               f"now: {now}"],
        help="schedc history says the same later; after two such ends a policy is quarantined",
    )], None)])  # fmt: skip
    return Exit.usage if ended.code == "E0911" else Exit.refused


def _ended_json(plan: Plan, ended: Ended, now: str) -> Mapping[str, Any]:
    return {
        "type": "ended", "policy": plan.policy.name, "version": plan.policy.version,
        "confirmed": ended.confirmed, "code": ended.code or None, "reason": ended.reason or None,
        "seconds": round(ended.seconds, 3), "now": now,
    }  # fmt: skip


