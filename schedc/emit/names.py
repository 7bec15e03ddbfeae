"""Names of the generated C: the policy's own, kept apart from C's and from the runtime's.

A policy's names match [a-z][a-z0-9_]*, so that they are C identifiers; those that C or the runtime uses already get
an underscore at the end. Nothing else of a policy's text becomes an identifier.
"""

from __future__ import annotations

from schedc.ir.nodes import NS_PER_MS

_C_WORDS = frozenset(
    """auto break case char const continue default do double else enum extern float for goto if inline int long
    register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
    bool true false asm typeof u8 u16 u32 u64 s32 s64 main""".split()
)

_TASK_FIELDS = frozenset(
    """cls home queued_at waited slept slept_at burst_base ran wakes wakings last_wake last_waking waker sync woken
    cgroup counted""".split()
)

_CPU_FIELDS = frozenset(
    """started paid running_since cls line picked retry kept bucket served count cap next credit contended""".split()
)

# First parts of functions and variables that end in a name of the policy's or of a callback.
_STEMS = frozenset(
    """on dsq clock read_clock head head_waited window rebase enqueue preempt_for take steal share lowest lowest_head
    keep cgroups_waiting cpu_in cpus tune comm_matches claim_in place slice cgroup nr record scx task note""".split()
)


def field(name: str, scope: str) -> str:
    """Name of a state variable as a member of its scope's structure."""
    taken = {"task": _TASK_FIELDS, "cpu": _CPU_FIELDS}.get(scope, frozenset())
    return name + "_" if name in _C_WORDS or name in taken else name


def prefix(policy: str) -> str:
    """Prefix of the callbacks, from the policy's name."""
    return policy + "_" if policy in _STEMS else policy


def class_id(name: str) -> str:
    return f"CLASS_{name.upper()}"


def queue_id(name: str) -> str:
    return f"QUEUE_{name.upper()}"


_UNITS = ((1000 * NS_PER_MS, "NSEC_PER_SEC"), (NS_PER_MS, "NSEC_PER_MSEC"), (1000, "NSEC_PER_USEC"))


def nanoseconds(value: int) -> str:
    """A duration as a kernel developer writes it: `8 * NSEC_PER_MSEC`."""
    sign, magnitude = ("-", -value) if value < 0 else ("", value)
    for unit, name in _UNITS:
        if magnitude and magnitude % unit == 0:
            return f"{sign}{magnitude // unit} * {name}"
    return integer(value)


def integer(value: int) -> str:
    """An integer constant; C has no literal for the most negative one, and none is needed."""
    return f"{value}LL" if abs(value) >= 1 << 31 else str(value)


def byte_array(data: bytes) -> str:
    """Bytes as an initialiser. The only way that a string of a policy reaches C."""
    return "{ " + ", ".join(f"0x{byte:02x}" for byte in data) + " }"
