"""`schedc synth --watch`: a new policy whenever the load has become another one.

Input: the options of `synth`, and a function that runs synthesis on a profile. Output: what each
run prints, and a line for each look; JSON lines with --json. Ends with Ctrl-C, or after --looks.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from schedc.cli.chosen_profile import chosen_profile, profile_failure
from schedc.cli.console import Console
from schedc.cli.failure import Exit, Failure
from schedc.cli.looking import looks_of, taken, target_of

if TYPE_CHECKING:
    from schedc.profile.looks import Look
    from schedc.profile.model import Profile

Synthesis = Callable[["Profile"], Exit]


def watch(options: Mapping[str, Any], synthesis: Synthesis) -> Exit:
    """Synthesis now, and again after each drift. The exit code is that of the last one."""
    from schedc.profile.errors import ProfileError

    for name in ("resume", "replay", "workload"):
        if options[name] is not None:
            raise click.UsageError(f"--watch works on profiles: leave --{name} out")
    try:
        return _watch(options, synthesis)
    except ProfileError as failure:
        raise profile_failure(failure) from failure


def _watch(options: Mapping[str, Any], synthesis: Synthesis) -> Exit:
    old = _first(options)
    last = synthesis(old)
    looks = looks_of(options, old)
    Console.current().status(
        f"watching: a look every {options['every']:g} s; Ctrl-C ends it"
    )
    try:
        for look in looks:
            _tell(look, options)
            if look.drifted and look.profile is not None:
                last = _again(look.profile, synthesis, last)
                looks.again(look.profile)
            if options["most"] and look.number >= options["most"]:
                break
    except KeyboardInterrupt:
        Console.current().status("the watch was ended by hand")
    return last


def _again(profile: Profile, synthesis: Synthesis, last: Exit) -> Exit:
    """Synthesis for the new load; what it can't begin with does not end the watch."""
    try:
        return synthesis(profile)
    except Failure as failure:
        Console.current().status(f"no synthesis: {failure}")
        return last


def _first(options: Mapping[str, Any]) -> Profile:
    """What later looks are compared to: the profile that was given, or one that is taken now."""
    if options["profile"] is not None:
        return chosen_profile(options["profile"])
    return taken(target_of(options), options)


def _tell(look: Look, options: Mapping[str, Any]) -> None:
    from schedc.diagnostics.render.visible import visible

    what = look.failed or "; ".join(look.what)
    if options["as_json"]:
        kind = "drifted" if look.drifted else "look" if look.profile is not None else "not-looked"
        click.echo(json.dumps({"event": kind, "look": look.number,
                               "distance": round(look.distance, 4), "what": what}))  # fmt: skip
    elif look.profile is None:
        click.echo(f"look {look.number}: not taken: {visible(what)}")
    else:
        beyond = f" (more than {options['limit']:g})" if look.beyond else ""
        click.echo(f"look {look.number}: drift {look.distance:.2f}{beyond}  {visible(what)[:120]}")
        if look.drifted:
            click.echo("the load is another one: synthesis begins anew")
    sys.stdout.flush()
