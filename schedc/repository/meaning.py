"""What a policy means, whatever its author called things.

Input: a typed policy. Output: a hash. Invariant: two policies with the same hash compile to
schedulers that decide alike: only the policy's own name, version and description, the reasons
written beside tunables, and the names of what it declares differ. Layout and comments are gone
with the text already; the order of declarations stays, since it can matter.
"""

from __future__ import annotations

import hashlib
from dataclasses import fields, is_dataclass, replace
from typing import Any

from schedc.ir import nodes as ir
from schedc.ir.print import print_policy

_NAMED = {
    "name", "cls", "queue", "cpus", "clock", "victims", "queues", "portions",
}
"""Fields of nodes that hold names which the policy itself declares."""


def meaning(policy: ir.Policy) -> str:
    """The SHA-256 of the policy in its canonical form, in hexadecimal."""
    return hashlib.sha256(print_policy(canonical(policy)).encode()).hexdigest()


def canonical(policy: ir.Policy) -> ir.Policy:
    """The policy with every declared name replaced by its kind and number."""
    renamed: ir.Policy = _rename(policy, _names(policy))
    tunes = tuple(replace(tune, why="") for tune in renamed.tunes)
    return replace(
        renamed, name="policy", version="0.0.0", description="", goals=(), tunes=tunes
    )


def _names(policy: ir.Policy) -> dict[str, str]:
    """New names by old ones. One table is enough: the language has one name space for all of these
    but for states, which are named per scope."""
    table: dict[str, str] = {}
    for prefix, declared in (
        ("t", [tune.name for tune in policy.tunes]),
        ("m", [cpus.name for cpus in policy.cpu_sets]),
        ("q", [queue.name for queue in policy.queues]),
        ("s", [state.name for state in policy.states]),
        ("c", [cls.name for cls in policy.classes]),
    ):
        for number, name in enumerate(dict.fromkeys(declared)):
            table.setdefault(name, f"{prefix}{number}")
    clocks = [queue.clock for queue in policy.queues if queue.clock is not None]
    for number, name in enumerate(dict.fromkeys(clocks)):
        table.setdefault(name, f"k{number}")
    return table


def _rename(node: Any, table: dict[str, str]) -> Any:
    if isinstance(node, tuple):
        return tuple(_rename(one, table) for one in node)
    if isinstance(node, dict):
        return {key: _rename(one, table) for key, one in node.items()}
    if not is_dataclass(node) or isinstance(node, type | ir.FactRef):
        return node  # facts are the language's names, not the policy's
    changes: dict[str, Any] = {}
    for field in fields(node):
        value = getattr(node, field.name)
        changed = _renamed(value, table) if field.name in _NAMED else _rename(value, table)
        if changed is not value:
            changes[field.name] = changed
    return replace(node, **changes) if changes else node


def _renamed(value: Any, table: dict[str, str]) -> Any:
    """The value of a field that holds names: one, or a tuple of them (portions have parts too)."""
    if isinstance(value, str):
        return table.get(value, value)
    if isinstance(value, tuple):
        return tuple(_renamed(one, table) for one in value)
    return _rename(value, table)
