"""What `vm check` and `vm run` load: a policy of the user's or the library's, or an object.

Input: what stands on the command line. Output: a `vm.run.Policy`, with the settings that the loader
applies. Invariant: mistakes end in a `Failure` with diagnostics against the policy's lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import click

from schedc.cli.compile import analyzed
from schedc.cli.console import Console
from schedc.cli.failure import Failure, cannot_read
from schedc.cli.settings import settings as tune_values
from schedc.data import data_path
from schedc.diagnostics.model import Diagnostic
from schedc.diagnostics.render.located import Sources
from schedc.ir.nodes import Policy as TypedPolicy
from schedc.records import dataclass
from schedc.source import Source
from schedc.toolchain import compile_c, find_compiler
from schedc.vm.check import Settings
from schedc.vm.loadable import Policy

LIBRARY = "stdlib_policies"


def find_policy(name: str) -> str:
    """The file that a name means: itself if there is one, else that of the library's policy."""
    if name == "-" or "/" in name or "." in name or Path(name).is_file():
        return name
    path = data_path(LIBRARY) / f"{name}.sched"
    return str(path) if path.is_file() else name


@dataclass(frozen=True, slots=True)
class Loaded:
    """A policy that is ready for a machine; `text` is its C, empty for an object."""

    policy: Policy
    source: Source | None
    text: str


def load_policy(
    name: str, tunes: Iterable[str] = (), cc: str | None = None, *, counters: bool = True
) -> Policy:
    """Compile a policy for a machine, or read the object that `name` is."""
    return load(name, tunes, cc, counters=counters).policy


def load(
    name: str, tunes: Iterable[str] = (), cc: str | None = None, *, counters: bool = True
) -> Loaded:
    """The same, with what diagnostics need."""
    return begin(name, tunes, cc, counters=counters)()


def begin(
    name: str, tunes: Iterable[str] = (), cc: str | None = None, *, counters: bool = True
) -> Callable[[], Loaded]:
    """Analyse a policy and say what is wrong with it; what is left is to call the result, which
    runs the C compiler."""
    tunes = tuple(tunes)
    if name.endswith(".o"):
        made = Loaded(_object(name, tunes), None, "")
        return lambda: made
    source, analysis = analyzed(find_policy(name), "<stdin>")
    assert analysis.policy is not None
    Console.current().report([(analysis.diagnostics, Sources(source, analysis.sources))])
    typed = analysis.policy
    settings = settings_of(typed, tunes, counters).text()

    def compiled() -> Loaded:
        text, data = compile_policy(typed, source, cc, analysis.sources)
        policy = Policy(
            typed.name, data, settings,
            tuple(one.name for one in typed.classes), tuple(one.name for one in typed.queues),
            source, text,
        )
        return Loaded(policy, source, text)

    return compiled


def compile_policy(
    typed: TypedPolicy, source: Source, cc: str | None, bases: Mapping[str, Source]
) -> tuple[str, bytes]:
    """The C and the object of a typed policy; `bases` are the policies that it extends."""
    from schedc.pipeline import generate

    compiler = find_compiler(cc)
    if isinstance(compiler, Diagnostic):
        raise Failure(compiler)
    text = generate(typed, source, sources=bases)
    done = compile_c(text, compiler, source=source, bases=bases)
    if done.object is None:
        raise Failure(*done.diagnostics, source=Sources(source, bases))
    return text, done.object


def settings_of(typed: TypedPolicy, tunes: Iterable[str], counters: bool = True) -> Settings:
    """What the loader sets: tunables, counting, and the groups and files that conditions name."""
    values = {f"tune_{name}": value for name, value in tune_values(typed, tunes).items()}
    if not counters:
        values["counters"] = 0
    return Settings(
        values,
        tuple(path.decode("utf-8", "surrogateescape") for path in typed.cgroup_paths),
        tuple(path.decode("utf-8", "surrogateescape") for path in typed.exes),
    )


def _object(name: str, tunes: tuple[str, ...]) -> Policy:
    if tunes:
        raise click.UsageError("--set is for a policy's tunables; an object has no such names")
    try:
        return Policy(Path(name).stem, Path(name).read_bytes())
    except OSError as failure:
        raise cannot_read(name, failure) from failure
