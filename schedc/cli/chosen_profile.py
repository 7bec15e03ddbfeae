"""`--profile P.json`: the scenario that a profile stands for.

Input: a profile's file and the machine's options. Output: what a run keeps of the profile, and a
scenario with as many cpus as were profiled. Mistakes end in a `Failure`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from schedc.cli.console import Console
from schedc.cli.failure import Failure

if TYPE_CHECKING:
    from schedc.profile.errors import ProfileError
    from schedc.profile.model import Profile
    from schedc.sim.scenario import Scenario
    from schedc.synth.messages import Profiled


def chosen_profile(path: str) -> Profile:
    """The profile in a file; says what it doesn't know."""
    from schedc.profile.errors import ProfileError
    from schedc.profile.file import read_profile

    try:
        profile = read_profile(Path(path))
    except ProfileError as failure:
        raise profile_failure(failure) from failure
    console = Console.current()
    if any(group.bursts.estimated for group in profile.groups):
        console.status(
            f"the profile was taken by `{profile.collector}`, which knows the mean of bursts and "
            "sleeps but not their spread"
        )
    if profile.dropped or not profile.complete:
        console.status("the profile is not complete: what it lacks is in `schedc profile show`")
    return profile


def profile_failure(failure: ProfileError) -> Failure:
    """A profile that can't be read or taken."""
    from schedc.diagnostics.model import error

    return Failure(error(failure.code, failure.message, None, notes=failure.notes,
                         help=failure.help))  # fmt: skip


def scenario_of(
    profile: Profile, machine: str, flags: Mapping[str, int]
) -> tuple[Profiled, Scenario, dict[str, int]]:
    """What the run keeps, its scenario, and the machine's flags with the profile's cpus in them.

    A profile doesn't say which cpus share a core or a cache, so each is a core of its own unless
    flags say otherwise; a machine that is a file of the user's knows its cpus itself.
    """
    from schedc.sim import machine as machines
    from schedc.sim.scenario import Scenario
    from schedc.synth.from_profile import profiled
    from schedc.synth.profiled import ThinProfile, work_of

    flags = dict(flags)
    if machine in machines.profiles():
        flags = {"cpus": profile.cpus, "llcs": 1, "smt": 1, **flags}
    try:
        kept = profiled(profile)
        workload, settings = work_of(kept)
    except ThinProfile as failure:
        raise Failure(failure.diagnostic) from failure
    return kept, Scenario(workload, settings, machines.machine(machine, flags)), flags
