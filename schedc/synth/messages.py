"""What the agents tell each other, as values: read and written as JSON.

Input: a message, or a JSON object. Output: the other. Invariant: `decode(encode(m)) == m`; an
object that is no message raises `NotAMessage`; fields that a newer version added are refused, not
dropped. Texts in messages (policies, replies, names of tasks) are data of others: nothing here
interprets them.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from schedc.records import dataclass
from schedc.synth.goal import Goal


class NotAMessage(ValueError):
    """A JSON value that is none of the messages below."""


@dataclass(frozen=True, slots=True)
class Started:
    """What was asked for, so that it can be asked again. `workload`: a name or a file; `settings`:
    its parameters as `NAME=VALUE`; `machine`: the name of one, and `cpus=8` and the like; `limits`
    by name (rounds, tokens, cost, seconds)."""

    goal: Goal
    workload: str
    settings: tuple[str, ...]
    machine: tuple[str, ...]
    engine: str
    model: str
    seed: int
    runs: int
    limits: Mapping[str, float]
    version: str


@dataclass(frozen=True, slots=True)
class Trait:
    """One fact in words with its number, such as "8 workers wake 900/s each and run 80 us". Of a
    group of tasks also `comm`, its tasks' name where that is plain, and `cpus`, what one of them
    uses."""

    subject: str
    text: str
    value: float
    unit: str
    comm: str = ""
    cpus: float = 0.0


@dataclass(frozen=True, slots=True)
class Profiled:
    """A profile that the run works on, so that it goes on without the profile's file: the workload
    made of it (`text`, TOML), and what the profile says of the work. `overload` as in `Observed`;
    `busy`: cpus in use, on average."""

    text: str
    fingerprint: str
    traits: tuple[Trait, ...]
    overload: float
    cpus: int
    busy: float
    collector: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Observed:
    """What the work is. `fingerprint` is the same for the same kind of work."""

    workload: str
    fingerprint: str
    traits: tuple[Trait, ...]
    overload: float
    """Cpu time wanted over cpu time there is; above 1 somebody must wait."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A policy to begin with, its text, and why. `how`: reuse, tune, compose or write (then there
    is no text yet)."""

    name: str
    how: str
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class Planned:
    choices: tuple[Choice, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Answered:
    """A model's reply, with what the endpoint says that it used."""

    request: str
    text: str
    rung: str
    prompt_tokens: int
    reply_tokens: int
    cost: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """A policy's text, and values for some of its tunables (literals such as `5ms`). `number`
    counts from 1 in a run, `parent` is 0 for none; `how` says in words what was done."""

    number: int
    parent: int
    how: str
    text: str
    tunes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Judged:
    """What the compiler and the prover say. `verdict`: error, refuted, unproven or proved; `said`:
    as they print it; `meaning` empty for an error; `bounds`: longest wait by class, ns."""

    verdict: str
    said: str
    meaning: str
    bounds: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Ratio:
    """A metric against another arm's: medians, and the interval of the paired ratio."""

    metric: str
    median: float
    other: float
    ratio: float
    low: float
    high: float
    finding: str


@dataclass(frozen=True, slots=True)
class Simulated:
    """The figures of a scheduler, run by run: `values[metric][i]` belongs to `seeds[i]`, so two of
    these can be compared in pairs whenever they were made. `void`: why there are none."""

    where: str
    seeds: tuple[int, ...]
    values: Mapping[str, tuple[float, ...]]
    void: str = ""


@dataclass(frozen=True, slots=True)
class Tried:
    """What a real kernel says of the winner: `verdict` confirmed, contradicted, undecided or
    void; `why` in words."""

    where: str
    verdict: str
    ratios: tuple[Ratio, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Best:
    """From now on the best candidate."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Turn:
    """Whether round `number` is begun, or why the run ends before it."""

    number: int
    go: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Learned:
    """A sentence for later runs."""

    text: str


@dataclass(frozen=True, slots=True)
class Spent:
    """What a run has used so far."""

    seconds: float
    rounds: int
    prompt_tokens: int
    reply_tokens: int
    cost: float


@dataclass(frozen=True, slots=True)
class Ended:
    """`best` 0: none. `reason`: done, or which limit was hit, or why it could not go on."""

    best: int
    reason: str
    spent: Spent


Message = (
    Started | Profiled | Observed | Planned | Turn | Answered | Candidate | Judged | Simulated
    | Best | Tried | Learned | Ended
)  # fmt: skip

_KINDS: dict[str, type] = {
    one.__name__.lower(): one
    for one in (
        Started, Profiled, Observed, Planned, Turn, Answered, Candidate, Judged, Simulated, Best,
        Tried, Learned, Ended,
    )
}  # fmt: skip


def encode(message: Message) -> dict[str, Any]:
    """A JSON object; its `kind` says which message."""
    return {"kind": type(message).__name__.lower(), **_plain(message)}


def decode(value: object) -> Message:
    """The message in a JSON object; raises `NotAMessage`."""
    named = value.get("kind") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(named, str) or named not in _KINDS:
        raise NotAMessage("no kind of message")
    kind = _KINDS[named]
    found: Message = _made(kind, {key: one for key, one in value.items() if key != "kind"})
    return found


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return value


@cache
def _types(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _made(cls: type, values: object) -> Any:
    if not isinstance(values, dict):
        raise NotAMessage(f"no object where a {cls.__name__} should be")
    hints = _types(cls)
    unknown = values.keys() - hints.keys()
    if unknown:
        raise NotAMessage(f"{cls.__name__} has no `{min(unknown)!s:.40}`")
    try:
        return cls(**{name: _read(hints[name], value) for name, value in values.items()})
    except TypeError as failure:
        raise NotAMessage(f"{cls.__name__}: {failure}") from failure


def _read(hint: Any, value: object) -> Any:
    """A JSON value as the type that a field has."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        hint = next(one for one in arguments if one is not type(None))
        return _read(hint, value)
    if origin is typing.Literal:
        if value in arguments:
            return value
    elif origin is tuple:
        if isinstance(value, list):
            return tuple(_read(arguments[0], one) for one in value)
    elif origin is not None and issubclass(origin, Mapping):
        if isinstance(value, dict):
            return {str(key): _read(arguments[1], one) for key, one in value.items()}
    elif is_dataclass(hint):
        return _made(typing.cast(type, hint), value)
    elif hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    elif isinstance(hint, type) and isinstance(value, hint) and (
        hint is bool or not isinstance(value, bool)
    ):
        return value
    raise NotAMessage(f"{value!r:.40} is no {getattr(hint, '__name__', hint)}")
