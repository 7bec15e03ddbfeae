"""What `prove`, `check` and `compile` share: for what to prove, and how to show a proof.

Input: options as written, an analysed policy. Output: `Parameters`, diagnostics and text.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from schedc.cli.console import Console
from schedc.cli.settings import parse_time, settings, show_range
from schedc.diagnostics.render import Format
from schedc.ir.nodes import Interval, Policy
from schedc.passes.declarations import MAX_RUNNABLE
from schedc.pipeline import Analysis, prove
from schedc.source import Source

if TYPE_CHECKING:
    from schedc.diagnostics.model import Diagnostic
    from schedc.prove.parameters import Parameters
    from schedc.prove.result import Proof

F = TypeVar("F", bound=Callable[..., Any])
_MAX_CHANGES = 1000


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of a proof, as written."""

    runnable: int | None = None
    weights: str | None = None
    tick: str | None = None
    higher: str | None = None
    changes: int = 0
    cached: bool = True


def proof_options(command: F) -> F:
    """The options; the command gets them as `asked`, an `Asked`."""

    def gather(*args: Any, **options: Any) -> Any:
        names = ("runnable", "weights", "tick", "higher", "changes", "cached")
        return command(*args, asked=Asked(*(options.pop(name) for name in names)), **options)

    wrapped: Any = _like(command, gather)
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]


_OPTIONS = (
    click.option("--runnable", metavar="N", type=click.IntRange(1, MAX_RUNNABLE),
                 help="Tasks that contend for one cpu.  [default: what the policy assumes]"),
    click.option("--weights", metavar="LO..HI",
                 help="Weights of tasks.  [default: what the policy assumes]"),
    click.option("--tick", metavar="TIME",
                 help="How far a task runs past its slice: a tick, and the longest section that "
                 "can't be interrupted.  [default: 4ms]"),
    click.option("--higher", metavar="TIME,PERCENT",
                 help="What higher scheduling classes take of a cpu: a burst, and a share of any "
                 "time.  [default: 0ms,0%]"),
    click.option("--changes", metavar="N", type=click.IntRange(0, _MAX_CHANGES), default=0,
                 show_default=True,
                 help="Changes of affinity, nice or cgroup while a task waits."),
    click.option("--cache/--no-cache", "cached", default=True,
                 help="Take the proof of an unchanged policy from the cache.  [default: on]"),
)


def _like(command: Callable[..., Any], gather: Callable[..., Any]) -> Callable[..., Any]:
    from functools import update_wrapper

    return update_wrapper(gather, command)


def parameters(policy: Policy, asked: Asked, sets: Iterable[str] = ()) -> Parameters:
    """What to prove for; `sets` narrows tunables to a value (`slice=5ms`) or a part of their range
    (`slice=2ms..5ms`)."""
    from schedc.prove.parameters import declared

    found = declared(policy)
    narrowed = _ranges(policy, sets)
    tunes = tuple((name, narrowed.get(name, whole)) for name, whole in found.tunes)
    found = replace(found, tunes=tunes, changes=asked.changes)
    if asked.runnable is not None:
        found = replace(found, runnable=asked.runnable)
    if asked.weights is not None:
        found = replace(found, weight=_weights(policy, asked.weights))
    if asked.tick is not None:
        found = replace(found, tick_ns=_time("--tick", asked.tick))
    if asked.higher is not None:
        burst, percent = _higher(asked.higher)
        found = replace(found, higher_burst_ns=burst, higher_percent=percent)
    return found


def narrower(policy: Policy, proof: Proof) -> list[str]:
    """What a proof was made for where that is less than the policy declares, in words."""
    found = []
    if proof.runnable < policy.runnable:
        found.append(f"{proof.runnable} contenders of the declared {policy.runnable}")
    low, high = proof.parameters["weight"]
    if Interval(low, high) != policy.weight:
        found.append(f"weights of {low}..{high} of {policy.weight.low}..{policy.weight.high}")
    for tune in policy.tunes:
        low, high = proof.parameters["tunes"][tune.name]
        if (low, high) != (tune.low, tune.high):
            whole = show_range(tune, tune.low, tune.high)
            found.append(f"`{tune.name}` of {show_range(tune, low, high)} of {whole}")
    return found


def proved(source: Source, analysis: Analysis, asked: Asked, sets: Iterable[str] = ()) -> Proof:
    """The proof of an analysed policy, for what was asked."""
    assert analysis.policy is not None
    wanted = parameters(analysis.policy, asked, sets)
    with _patience(f"proving {analysis.policy.name}, or looking for a run that refutes it"):
        return prove(analysis, source, wanted, cached=asked.cached)


@contextmanager
def _patience(what: str) -> Iterator[None]:
    """On a terminal, say what takes so long after a second; the line goes away at the end."""
    if not sys.stderr.isatty():
        yield
        return
    from threading import Timer

    timer = Timer(1.0, lambda: print(f"{what} …", end="", file=sys.stderr, flush=True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def diagnostics(proof: Proof) -> tuple[Diagnostic, ...]:
    """Why a policy isn't proved; none if it is."""
    from schedc.prove.result import Verdict

    if proof.verdict is Verdict.proved:
        return ()
    from schedc.prove.diagnose import diagnose

    return diagnose(proof)


def tell(proof: Proof, source: Source, analysis: Analysis) -> None:
    """Show the run that refutes a policy, below its diagnostics, to people."""
    if proof.run is None or Console.current().format is not Format.full:
        return
    from schedc.refute.story import tell as story

    assert analysis.policy is not None
    click.echo(story(proof.run, analysis.policy, source, alone=False), err=True)


def _ranges(policy: Policy, sets: Iterable[str]) -> dict[str, Interval]:
    """The part of its range that each set tunable is proved for."""
    found: dict[str, Interval] = {}
    for item in sets:
        name, _, value = item.partition("=")
        low, dots, high = value.partition("..")
        ends = [settings(policy, [f"{name}={end}"]) for end in ([low, high] if dots else [value])]
        ((name, first),), ((_, last),) = ends[0].items(), ends[-1].items()
        if first > last:
            raise _usage("--set", item, "the range is the wrong way round")
        found[name] = Interval(first, last)
    return found


def _weights(policy: Policy, text: str) -> Interval:
    match = re.fullmatch(r"(\d{1,5})\.\.(\d{1,5})", text, re.ASCII)
    if match is None or int(match[1]) > int(match[2]):
        raise _usage("--weights", text, "write LO..HI, such as 50..200")
    low, high = int(match[1]), int(match[2])
    if low < policy.weight.low or high > policy.weight.high:
        raise _usage(
            "--weights", text,
            f"the policy assumes weights of {policy.weight.low}..{policy.weight.high}; "
            "widen its `assume weight` to prove it for others",
        )
    return Interval(low, high)


def _time(option: str, text: str) -> int:
    ns = parse_time(text)
    if ns is None or ns < 0:
        raise _usage(option, text, "write a time with its unit, such as 4ms")
    return ns


def _higher(text: str) -> tuple[int, int]:
    burst, _, percent = text.partition(",")
    match = re.fullmatch(r"(\d{1,2})%?", percent.strip(), re.ASCII)
    if match is None:
        raise _usage("--higher", text, "write a burst and a share below 100%, such as 10ms,5%")
    return _time("--higher", burst.strip()), int(match[1])


def _usage(option: str, text: str, why: str) -> click.UsageError:
    from schedc.diagnostics.render.visible import visible

    return click.UsageError(
        f"{option} {visible(text)}: {why}", click.get_current_context(silent=True)
    )
