"""A plan, made of an object and its certificate on the machine that it is for.

Input: bytes of both, the loader if one runs. Output: a `Plan` and the `Scene` it was made in.
Invariant: needs no solver and no compiler; what no loader would take is refused here already, with
the loader's own words, so that a person doesn't find out later.
"""

from __future__ import annotations

import json
import time
from math import ceil
from typing import Any

from schedc.deploy import state as states
from schedc.deploy.state import Loaded, State
from schedc.load import kernel
from schedc.load.client import Client
from schedc.load.errors import NO_LOADER, NOT_ALLOWED, LoadError
from schedc.load.plan import Current, Kernel, Plan, make, verify
from schedc.records import dataclass


@dataclass(frozen=True, slots=True)
class Scene:
    """The machine as it is now. `loader`: why none can be asked, empty if one was. `refused`: there
    is one, but not for this user, so what runs may be its own."""

    kernel: Kernel
    current: Current
    policy: Loaded | None
    quarantined: tuple[str, ...]
    loader: str = ""
    refused: bool = False

    @property
    def foreign(self) -> bool:
        """Whether a scheduler runs that isn't the loader's own, as far as this user can know."""
        return self.current.state not in ("", kernel.DISABLED) and self.policy is None


def scene(client: Client | None, why: LoadError | None = None) -> Scene:
    """What runs now; raises E0831 on a kernel that can run no policy. `why`: there is no client."""
    kernel.check_kernel()
    if client is None:
        said, refused = ("", False) if why is None else (why.message, why.code == NOT_ALLOWED)
        return Scene(kernel.this_kernel(), kernel.read_current(), None, (), said, refused)
    state: State = states.ask(client)
    loaded = state.policy.object if state.policy is not None else None
    return Scene(
        kernel.this_kernel(), kernel.read_current(loaded), state.policy,
        tuple(one.source for one in state.quarantined),
    )  # fmt: skip


def current_scene() -> Scene:
    """The same, asking the loader if there is one for this user."""
    try:
        with Client.connect() as client:
            return scene(client)
    except LoadError as failure:
        if failure.code not in (NO_LOADER, NOT_ALLOWED):
            raise
        found = scene(None, failure)
        if found.refused and found.foreign:
            # Whose scheduler that is, only the loader knows.
            raise
        return found


def settings_in(certificate: str) -> str:
    """The settings that an object can't do without: groups and files that its conditions name.

    The certificate may be anything: what isn't of the known form has no names, and is refused by
    `make` as a certificate.
    """
    try:
        names: Any = json.loads(certificate)["build"]["names"]
        rows = [("cgroup", names["cgroups"]), ("exe", names["exes"])]
        return "".join(
            f"{kind} {i} {path}\n" for kind, paths in rows for i, path in enumerate(paths)
        )
    except (KeyError, TypeError, ValueError, RecursionError):
        return ""


def draft(
    data: bytes, certificate: str, where: Scene, *, life_s: int, by: str,
    settings: str | None = None,
) -> Plan:
    """A plan for here and now, if the object is proved; whether it may be carried out, `check`
    says. Without `settings`: those that the certificate names."""
    # Rounded up: a plan is good for no shorter than asked for.
    made = ceil(time.time())
    return make(
        data, certificate, kernel=where.kernel, current=where.current, made=made,
        expires=made + life_s, by=by,
        settings=settings_in(certificate) if settings is None else settings,
    )  # fmt: skip


def check(plan: Plan, where: Scene) -> None:
    """Raises the `LoadError` with which a loader would refuse the plan now."""
    verify(plan, now=time.time(), kernel=where.kernel, current=where.current,
           quarantined=where.quarantined)  # fmt: skip
    kernel.check_free(own=not where.foreign)


def plan_of(
    data: bytes, certificate: str, where: Scene, *, life_s: int, by: str,
    settings: str | None = None,
) -> Plan:
    """A plan that can be carried out; raises the `LoadError` that says why not."""
    plan = draft(data, certificate, where, life_s=life_s, by=by, settings=settings)
    check(plan, where)
    return plan
