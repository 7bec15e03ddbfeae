"""The templates and what they may call.

Input: none. Output: the Jinja environment of `backends/bpf/templates`. Filters are functions of
this package; a name that a template uses and nobody defines is an error.
"""

from __future__ import annotations

from functools import lru_cache

import jinja2

from schedc.data import data_path
from schedc.emit.expression import clock_here, domain_parameters, dsq_here, head_parameters
from schedc.emit.functions import Function, declare, mentions
from schedc.emit.kept import Member, members
from schedc.emit.names import byte_array, class_id, field, nanoseconds, queue_id
from schedc.emit.templates import Cache
from schedc.ir.nodes import Const, CpuSet, Kind, Queue, State, Tune, TuneRef


@lru_cache(maxsize=1)
def environment() -> jinja2.Environment:
    """One environment for all policies: templates are read once."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(str(data_path("backends/bpf/templates"))),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
        bytecode_cache=Cache(),
    )
    made.filters |= {
        "byte_array": _terminated,
        "class_id": class_id,
        "clock_here": clock_here,
        "declare": declare,
        "domain_count": _domain_count,
        "domain_parameters": domain_parameters,
        "head_parameters": head_parameters,
        "dsq_here": dsq_here,
        "field": field,
        "has_member": _has_member,
        "initial": _initial,
        "members": members,
        "mentions": mentions,
        "nanoseconds": nanoseconds,
        "queue_id": queue_id,
        "set_words": _set_words,
        "statements": _has_statements,
        "takes": _takes,
        "tune_value": _tune_value,
    }
    return made


def _has_statements(text: str) -> bool:
    return bool(text.strip())


def _has_member(found: list[Member], name: str) -> bool:
    return any(member.name == name for member in found)


def _takes(made: Function, name: str) -> bool:
    return name in made.parameters


def _terminated(text: bytes, exact: bool) -> str:
    """A comm pattern as bytes; an exact one ends with the NUL that ends a comm."""
    return byte_array(text + b"\0" if exact and len(text) < 16 else text)


def _tune_value(tune: Tune) -> str:
    timed = tune.type.kind in (Kind.TIME, Kind.LAG)
    return nanoseconds(tune.value) if timed else str(tune.value)


def _initial(state: State) -> str:
    """Initial value of a variable that isn't a task's: a constant or a tunable."""
    match state.initial:
        case Const(value=value):
            timed = state.type.kind in (Kind.TIME, Kind.LAG)
            return nanoseconds(value) if timed else str(value)
        case TuneRef(name=name):
            return f"tune_{name}"
        case _:
            return "0"


def _domain_count(queue: Queue) -> str:
    counts = {"cpu": "nr_cpu_ids", "llc": "nr_llcs", "node": "nr_nodes", "cgroup": "MAX_CGROUPS"}
    return counts[queue.domain]


def _set_words(cpus: CpuSet) -> str:
    """A list of cpus as 64-bit words."""
    bits = 0
    for low, high in cpus.cpus:
        bits |= ((1 << (high - low + 1)) - 1) << low
    words = [bits >> (64 * i) & (1 << 64) - 1 for i in range(8)]
    while len(words) > 1 and not words[-1]:
        words.pop()
    return "{ " + ", ".join(f"0x{word:x}ULL" for word in words) + " }"
