"""A plan that a loader takes, made without a compiler."""

from __future__ import annotations

from functools import cache
from typing import Any

from schedc.load.plan import Current, Kernel, Plan, make
from tests.load.forge import forge, marked_elf

KERNEL = Kernel("6.18.15-cloud-amd64", "0f1e2d3c-0000-4000-8000-000000000000")
CURRENT = Current("disabled", "", 3, None)
MADE, EXPIRES = 1_000_000, 1_003_600


@cache
def proved(name: str = "sample") -> tuple[bytes, str]:
    """An object with its certificate; nothing that a kernel would take."""
    return forge(name, lambda mark: marked_elf(mark, name.encode()))


def plan(name: str = "sample", settings: str = "set tune_slice 5000000\n", **more: Any) -> Plan:
    data, certificate = proved(name)
    facts: dict[str, Any] = {
        "kernel": KERNEL, "current": CURRENT, "made": MADE, "expires": EXPIRES, "by": "tests",
    }  # fmt: skip
    return make(data, certificate, settings=settings, **{**facts, **more})
