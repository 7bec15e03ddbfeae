"""`schedc watch`: the policy that runs goes when the load is no longer what it was made for.

Runs on the machine itself, without solver or compiler. A line for each look and each step; JSON
lines with --json. Exit codes: 0 nothing was to be done, or the plan took over; 1 the policy was
unloaded, as asked; 4 the plan did not stay, or another policy was found.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from schedc.cli.chosen_profile import chosen_profile, profile_failure
from schedc.cli.console import Console
from schedc.cli.failure import Exit
from schedc.cli.loader import guards_of, loader_errors, seconds
from schedc.cli.looking import looking_options, looks_of
from schedc.cli.options import format_option

if TYPE_CHECKING:
    from schedc.deploy.canary import Ended
    from schedc.deploy.watch import Event
    from schedc.load.plan import Plan

UNLOAD = "unload"
MAX_BY = 200
"""What the loader takes at most as the one who asks."""


@click.command()
@click.argument("profile", metavar="P.json")
@looking_options
@click.option("--on-drift", "on_drift", metavar="unload|PLAN", default=UNLOAD, show_default=True,
              help="The kernel's default scheduler comes back, or a prepared plan is tried under "
              "canary; if that does not stay, the default comes back.")
@click.option("--for", "canary_s", metavar="TIME", callback=seconds, default="60s",
              show_default=True, help="How long the plan's canary is.")
@click.option("--guard", "guards", metavar="EXPR", multiple=True,
              help="What must hold meanwhile, as for `schedc apply`.")
@click.option("--guard-timeout", metavar="TIME", callback=seconds, default="10s", show_default=True,
              help="How long a guard's command may take.")
@click.option("--json", "as_json", is_flag=True, help="Events as JSON lines on stdout.")
@format_option
def watch(profile: str, **options: Any) -> Exit:
    """Watch whether the load still is what P.json says.

    P.json is the profile that the policy was made from. When two looks in a row are farther from it
    than --drift, the policy is unloaded, or another plan takes over; why stands in `schedc
    history`. After a plan has taken over, the watch goes on, against the load that it was for, and
    then unloads.
    """
    from schedc.profile.errors import ProfileError

    try:
        with loader_errors():
            return _watch(profile, options)
    except ProfileError as failure:
        raise profile_failure(failure) from failure
    except KeyboardInterrupt:
        Console.current().status("the watch was ended by hand; what runs is left alone")
        return Exit.fine


def _watch(name: str, options: Mapping[str, Any]) -> Exit:
    from schedc.deploy.watch import Kind, Watch

    looks = looks_of(options, chosen_profile(name))
    plan = _plan(options["on_drift"]) if options["on_drift"] != UNLOAD else None
    hands = _Hands(plan, options)
    watching = Watch(looks, hands, _teller(options), planned=plan is not None,
                     most=options["most"])  # fmt: skip
    match watching.run():
        case Kind.done | Kind.replaced:
            return Exit.fine
        case Kind.unloaded | Kind.nothing:
            return Exit.findings
        case _:
            return Exit.refused


def _plan(path: str) -> Plan:
    """The prepared plan; one that could not be applied now is refused now, not at night."""
    import time

    from schedc.cli.failure import cannot_read
    from schedc.deploy.make import current_scene
    from schedc.load.plan import MAX_PLAN, parse, verify

    try:
        with open(Path(path), "rb") as file:
            plan = parse(file.read(MAX_PLAN + 1))
    except OSError as failure:
        raise cannot_read(path, failure) from failure
    where = current_scene()
    verify(plan, now=time.time(), kernel=where.kernel, current=where.current,
           quarantined=where.quarantined)  # fmt: skip
    return plan


class _Hands:
    """The loader, asked anew each time: it may have been started again since."""

    def __init__(self, plan: Plan | None, options: Mapping[str, Any]) -> None:
        self._plan = plan
        self._canary_s = options["canary_s"]
        self._timeout_s = options["guard_timeout"]
        self._guards = guards_of(options["guards"])

    def object(self) -> str:
        from schedc.deploy import state
        from schedc.load.client import Client

        with Client.connect() as client:
            policy = state.ask(client).policy
        return policy.object if policy is not None else ""

    def replace(self, reason: str) -> Ended:
        from schedc.deploy import state
        from schedc.deploy.canary import UNMEASURABLE, Ended, Trial
        from schedc.deploy.measured import Unmeasurable
        from schedc.load.client import Client

        assert self._plan is not None, "only a watch with a plan replaces"
        trial = Trial(self._guards, self._timeout_s)
        try:
            trial.measure_before()
        except Unmeasurable as found:
            trial.stop()
            return Ended(UNMEASURABLE, found.why, 0.0)
        with Client.connect() as client, Client.connect() as looker:
            handle = client.canary(self._plan, self._canary_s, f"watch: {reason}"[:MAX_BY])
            return trial.run(handle, lambda: state.ask(looker), self._canary_s, lambda look: None)

    def unload(self, reason: str) -> None:
        from schedc.load.client import Client

        with Client.connect() as client:
            client.ask({"do": "unload", "reason": f"watch: {reason}"})


def _teller(options: Mapping[str, Any]) -> Callable[[Event], None]:
    def tell(event: Event) -> None:
        click.echo(json.dumps(event.as_json()) if options["as_json"] else line(event))
        sys.stdout.flush()

    return tell


def line(event: Event) -> str:
    """An event for people."""
    from schedc.deploy.watch import Kind
    from schedc.diagnostics.render.visible import visible

    what = visible(event.what)[:200]
    match event.kind:
        case Kind.watching:
            return f"watching {what}"
        case Kind.look:
            return f"look {event.look}: drift {event.distance:.2f}  {what}".rstrip()
        case Kind.not_looked:
            return f"look {event.look}: not taken: {what}"
        case Kind.drifted:
            return f"the load is another one: {what}"
        case Kind.refused:
            return f"the plan did not stay ({event.code}): {what}"
        case Kind.failed:
            return f"nothing could be done now ({event.code}): {what}"
        case Kind.replaced:
            return f"the plan took over: {what}"
        case Kind.unloaded | Kind.rolled_back:
            return f"unloaded: {what}"
        case _:
            return what
