"""Names of the generated C: the policy's own, kept apart from C's and from the runtime's.

A policy's names match [a-z][a-z0-9_]*, so that they are C identifiers; where C or the runtime uses
one already, it gets an underscore at the end. Nothing else of a policy's text becomes an
identifier. Invariant: different names of a policy stay different, and no two stems (the fixed first
parts of generated names) begin alike, so that `stem_name` says which stem it is made of.
"""

from __future__ import annotations

from schedc.ir.nodes import NS_PER_MS

_C_WORDS = frozenset(
    """auto break case char const continue default do double else enum extern float for goto if
    inline int long register restrict return short signed sizeof static struct switch typedef union
    unsigned void volatile while bool true false asm typeof u8 u16 u32 u64 s32 s64 main""".split()
)

TASK_FIELDS = frozenset(
    """cls queued_at waited slept slept_at burst_base ran wakes wakings last_wake last_waking waker
    sync woken counted""".split()
)
"""Members of `struct task_ctx` that are the runtime's; so are those that begin with `home_`."""

CPU_FIELDS = frozenset(
    """started paid ended ran cls_bit running_since retry line picked bucket cap served count
    kept last""".split()
)
"""Members of `struct cpu_ctx` that are the runtime's; so are those that begin with `next_`."""

_FIELD_STEMS = {"task": "home_", "cpu": "next_"}

STEMS = frozenset(
    """on clock shared_clock read_clock read_shared_clock head first_waited least_head key prev_key
    window rebase enqueue preempt_for take steal share lowest keep cgroups_waiting cpu_in cpus tune
    comm_matches""".split()
)
"""First parts of functions and variables that end in a name of the policy's, a number, an event."""


def field(name: str, scope: str) -> str:
    """Name of a state variable as a member of its scope's structure."""
    taken = {"task": TASK_FIELDS, "cpu": CPU_FIELDS}.get(scope, frozenset()) | _C_WORDS
    stem = _FIELD_STEMS.get(scope)
    clash = name.rstrip("_") in taken or (stem is not None and name.startswith(stem))
    return f"{name}_" if clash else name


def prefix(policy: str) -> str:
    """Prefix of the callbacks, from the policy's name."""
    return f"{policy}_" if policy.rstrip("_") in STEMS | {"record", "scx"} else policy


def class_id(name: str) -> str:
    """The enumerator of a class."""
    return f"CLASS_{name.upper()}"


def queue_id(name: str) -> str:
    """The enumerator of a queue."""
    return f"QUEUE_{name.upper()}"


def mask_id(cpus: str) -> str:
    """The enumerator of a set of cpus."""
    return f"MASK_SET_{cpus.upper()}"


_UNITS = ((1000 * NS_PER_MS, "NSEC_PER_SEC"), (NS_PER_MS, "NSEC_PER_MSEC"), (1000, "NSEC_PER_USEC"))


def nanoseconds(value: int) -> str:
    """A duration as a kernel developer writes it: `8 * NSEC_PER_MSEC`."""
    sign, magnitude = ("-", -value) if value < 0 else ("", value)
    for unit, name in _UNITS:
        if magnitude and magnitude % unit == 0:
            count = magnitude // unit
            return f"{sign}{name}" if count == 1 else f"{sign}{count} * {name}"
    return integer(value)


def integer(value: int) -> str:
    """An integer constant; C has no literal for the most negative one, and none is needed."""
    return f"{value}LL" if abs(value) >= 1 << 31 else str(value)


def byte_array(data: bytes) -> str:
    """Bytes as an initialiser. The only way that a string of a policy reaches C."""
    return "{ " + ", ".join(f"0x{byte:02x}" for byte in data) + " }"
