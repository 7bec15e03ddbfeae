"""list_profiles, read_profile, create_profile.

Input: an id, or what to watch. Output: what a profile says. Invariant: an id is compared with those
that there are and never made a path; the only collector is the one of /proc, which needs no
privileges; a new profile goes into the scratch folder.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from schedc.mcp import arguments as take, quote, results as give
from schedc.mcp.refusal import NO_PROFILE, refuse, told
from schedc.mcp.setup import Setup

if TYPE_CHECKING:
    from schedc.profile.model import Profile
    from schedc.profile.target import Target

_MOST_PROFILES = 200
_MOST_KEPT = 100
_MOST_GROUPS = 40


def list_profiles(arguments: take.Nothing, setup: Setup) -> give.Profiles:
    from schedc.mcp.refusal import Refused

    del arguments
    good, bad = [], []
    for id_, path in _places(setup).items():
        try:
            good.append(_info(id_, _read(path)))
        except Refused:
            bad.append(id_)
    lines = [f"{one.id}: {one.groups} groups, {one.seconds:g} s of {one.target}" for one in good]
    lines += [f"{id_}: no profile" for id_ in bad]
    none = "there is no profile yet; create_profile makes one"
    return give.Profiles(profiles=good, damaged=bad, text="\n".join(lines) or none)


def read_profile(arguments: take.ReadProfile, setup: Setup) -> give.ShownProfile:
    return _shown(arguments.profile, _found(arguments.profile, setup))


def create_profile(arguments: take.CreateProfile, setup: Setup) -> give.ShownProfile:
    from schedc.profile.collect import collect
    from schedc.profile.file import write_profile

    with told():
        profile = collect(_target(arguments), arguments.seconds, "proc")
    id_, path = _reserved(setup.scratch / "profiles")
    with told():
        write_profile(profile, path)
    return _shown(id_, profile)


def _target(arguments: take.CreateProfile) -> Target:
    """Whom to watch."""
    from schedc.profile.target import EVERYTHING, cgroup, process

    if arguments.pid is not None:
        return process(arguments.pid)
    return cgroup(arguments.cgroup) if arguments.cgroup is not None else EVERYTHING


def workload_text(id_: str, setup: Setup) -> tuple[str, int]:
    """The workload of a profile, as TOML, and how many cpus were profiled."""
    from schedc.profile.workload import workload_toml

    profile = _found(id_, setup)
    with told():
        return workload_toml(profile), profile.cpus


def _found(id_: str, setup: Setup) -> Profile:
    places = _places(setup)
    if id_ not in places:
        raise refuse(
            NO_PROFILE, f"there is no profile `{quote.line(id_, 60)}`",
            help="list_profiles names those that there are; create_profile makes one",
        )
    return _read(places[id_])


def _read(path: Path) -> Profile:
    from schedc.profile.file import read_profile as read

    with told():
        return read(path)


def _places(setup: Setup) -> dict[str, Path]:
    """Every profile by its id: those of this session by theirs, the user's by the file's name if
    it is plain."""
    found: dict[str, Path] = {}
    for folder in (setup.scratch / "profiles", setup.profiles):
        for path in _files(folder):
            stem = path.name.removesuffix(".json")
            id_ = quote.name(stem)
            found.setdefault(id_ if id_ not in found else quote.opaque(stem), path)
    return found


def _files(folder: Path) -> Iterator[Path]:
    """Plain files that may be profiles; no link is followed."""
    try:
        names = sorted(one.name for one in os.scandir(folder) if one.name.endswith(".json"))
    except OSError:
        return
    for name in names[:_MOST_PROFILES]:
        path = folder / name
        try:
            if stat.S_ISREG(path.lstat().st_mode):
                yield path
        except OSError:
            continue


def _reserved(folder: Path) -> tuple[str, Path]:
    """The next id of this session, taken: two calls at once get two. The oldest make room."""
    folder.mkdir(mode=0o700, exist_ok=True)
    there = sorted(int(path.stem[1:]) for path in folder.glob("p*.json"))
    for old in there[: max(len(there) - _MOST_KEPT + 1, 0)]:
        (folder / f"p{old}.json").unlink(missing_ok=True)
    number = there[-1] + 1 if there else 1
    while True:
        path = folder / f"p{number}.json"
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            return f"p{number}", path
        except FileExistsError:
            number += 1


def _shown(id_: str, profile: Profile) -> give.ShownProfile:
    from schedc.profile.page import page
    from schedc.profile.traits import traits

    groups = [
        give.ProfileGroup(
            name=quote.name(one.name), tasks=one.tasks, share=one.share,
            wakeups_s=one.wakeups_s, burst_p50_ns=one.bursts.quantile(0.5),
            sleep_p50_ns=one.sleeps.quantile(0.5), runq_p99_ns=one.runq.quantile(0.99),
        )
        for one in sorted(profile.groups, key=lambda one: -one.share)[:_MOST_GROUPS]
    ]
    text = f"profile {id_}\n\n{quote.block(page(profile), 16_000)}"
    return give.ShownProfile(
        profile=_info(id_, profile), groups=groups,
        traits=[quote.line(one.text) for one in traits(profile)], text=text,
    )


def _info(id_: str, profile: Profile) -> give.ProfileInfo:
    return give.ProfileInfo(
        id=id_, collector=profile.collector, seconds=profile.seconds,
        target=quote.line(profile.target, 80), groups=len(profile.groups),
    )
