"""Options of commands that look at the machine again and again: what at, how often, until when.

Input: what stands on the command line, and the profile to compare with. Output: `Looks`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from schedc.profile.looks import Looks
    from schedc.profile.model import Profile
    from schedc.profile.target import Target

F = TypeVar("F", bound=Callable[..., Any])


def span(ctx: click.Context, param: click.Parameter, value: str) -> float:
    """The callback of options for times such as 10s or 500ms: seconds."""
    from schedc.workload.quantity import parse_time

    ns = parse_time(value)
    if not ns:
        raise click.BadParameter(f"`{value[:20]}` is no time: write 10s, or 500ms", ctx, param)
    return ns / 1e9


def looking_options(command: F) -> F:
    """What is looked at, how often, and what counts as another load."""
    for option in reversed((
        click.option("--pid", type=click.IntRange(1), help="Look at this process only."),
        click.option("--cgroup", metavar="C", help="Look at this control group only."),
        click.option("--every", metavar="TIME", callback=span, default="60s", show_default=True,
                     help="From the beginning of a look to that of the next."),
        click.option("--look", "seconds", metavar="TIME", callback=span, default="5s",
                     show_default=True, help="How long a look is."),
        click.option("--drift", "limit", type=click.FloatRange(0, 1, min_open=True), default=0.3,
                     show_default=True, help="Farther than that from the profile, for two looks "
                     "in a row, is another load: 0 is the same one, 1 has nothing in common."),
        click.option("--collector", type=click.Choice(["auto", "bcc", "bpf", "proc"]),
                     default="auto", show_default=True, help="What watches the tasks."),
        click.option("--object", "object_file", metavar="FILE", type=click.Path(dir_okay=False),
                     help="The bpf collector's object, made elsewhere by `schedc profile object`."),
        click.option("--looks", "most", type=click.IntRange(0), default=0,
                     help="End after so many looks.  [default: go on]"),
    )):  # fmt: skip
        command = option(command)
    return command


def target_of(options: Mapping[str, Any]) -> Target:
    """What is to be looked at. Raises `ProfileError` if it isn't there."""
    from schedc.profile import target

    if options["pid"] is not None and options["cgroup"] is not None:
        raise click.UsageError("--pid or --cgroup, not both")
    if options["pid"] is not None:
        return target.process(options["pid"])
    if options["cgroup"] is not None:
        return target.cgroup(options["cgroup"])
    return target.EVERYTHING


def looks_of(options: Mapping[str, Any], old: Profile) -> Looks:
    """Looks at the target, as often as the options say."""
    from schedc.profile.looks import Looks, Pace

    target = target_of(options)
    return Looks(
        old, Pace(max(options["every"], options["seconds"]), options["limit"]),
        lambda: taken(target, options),
    )


def taken(target: Target, options: Mapping[str, Any]) -> Profile:
    """A profile of what runs now. Raises `ProfileError`."""
    from schedc.profile.collect import collect

    made = Path(options["object_file"]) if options["object_file"] else None
    return collect(target, options["seconds"], options["collector"], object_file=made)
