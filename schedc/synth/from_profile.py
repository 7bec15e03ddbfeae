"""A profile as what a run of synthesis works on.

Input: a `Profile`. Output: a `Profiled` message: the workload made of it, its facts, how busy the
machine was. Invariant: a profile that holds too little to be worth a search is refused (E1107), and
it is said what it lacks; names that aren't plain become numbers here once more, since a profile's
file may have been written by anyone.
"""

from __future__ import annotations

from schedc.profile.drift import fingerprint
from schedc.profile.model import Profile
from schedc.profile.traits import traits
from schedc.profile.workload import workload_toml
from schedc.synth.messages import Profiled, Trait
from schedc.synth.observe import named
from schedc.synth.profiled import ThinProfile

FEWEST_BURSTS = 100
"""A distribution's 99th percentile is its largest value below that."""
LEAST_BUSY = 0.01
"""In cpus: below it, any scheduler serves everybody at once."""
_LONGEST_TEXT = 300


def profiled(profile: Profile) -> Profiled:
    """What a run keeps of a profile. Raises `ThinProfile`."""
    _check(profile)
    waiting = profile.machine.runq.sum / max(profile.seconds, 1e-9) / 1e9
    return Profiled(
        workload_toml(profile), fingerprint(profile), _traits(profile),
        (profile.machine.busy + waiting) / max(profile.cpus, 1), profile.cpus,
        profile.machine.busy, profile.collector, profile.seconds,
    )  # fmt: skip


def _check(profile: Profile) -> None:
    bursts = sum(one.bursts.count for one in profile.groups)
    hogs = sum(one.hogs for one in profile.groups)
    used = sum(one.share for one in profile.groups)
    if not profile.groups or (bursts == 0 and hogs == 0):
        raise ThinProfile(
            "nothing ran while the profile was taken",
            "take it while the load is there: schedc profile --for 10s -o p.json",
        )
    if used < LEAST_BUSY:
        raise ThinProfile(
            f"what was profiled used {100 * used:.1f}% of one cpu: there is nothing to schedule",
            "take the profile while the load is there, or of another --pid or --cgroup",
        )
    if bursts < FEWEST_BURSTS and hogs == 0:
        raise ThinProfile(
            f"the profile holds {bursts} bursts, which says little of how long they are; "
            f"at least {FEWEST_BURSTS} are wanted",
            f"profile longer than {profile.seconds:.3g} s: schedc profile --for 30s -o p.json",
        )


def _traits(profile: Profile) -> tuple[Trait, ...]:
    """The profile's facts as messages; a text that isn't plain is left out."""
    return tuple(
        Trait(named(one.subject, number), one.text, one.value, one.unit,
              one.comm if named(one.comm, number) == one.comm else "", one.cpus)
        for number, one in enumerate(traits(profile))
        if one.text.isascii() and one.text.isprintable() and len(one.text) <= _LONGEST_TEXT
    )  # fmt: skip
