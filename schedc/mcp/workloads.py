"""list_workloads, show_workload; and the workload that a simulation is of.

Input: a name, a text, or a profile. Output: a workload with a value for each parameter. Invariant:
a name is compared with the shipped ones and never made a path.
"""

from __future__ import annotations

from collections.abc import Mapping

from schedc.diagnostics.model import error
from schedc.diagnostics.render.located import Sources
from schedc.mcp import arguments as take, profiles, quote, results as give
from schedc.mcp.refusal import Refused
from schedc.mcp.setup import Setup
from schedc.mcp.sources import text_source
from schedc.records import dataclass
from schedc.source import MAX_BYTES, Source
from schedc.workload import registry
from schedc.workload.model import Ref, Setting, Workload
from schedc.workload.read import read_workload
from schedc.workload.table import near


@dataclass(frozen=True, slots=True)
class Chosen:
    """A workload, its file, and its settings; `cpus`: of the machine that was profiled."""

    workload: Workload
    source: Source
    settings: Mapping[str, Setting]
    cpus: int | None = None


def list_workloads(arguments: take.Nothing, setup: Setup) -> give.Workloads:
    del arguments, setup
    found = [_described(_shipped(name)[0]) for name in registry.names()]
    lines = [f"{one.name:12} {one.description}" for one in found]
    return give.Workloads(workloads=found, text="\n".join(lines))


def show_workload(arguments: take.ShowWorkload, setup: Setup) -> give.ShownWorkload:
    found = chosen(arguments, setup)
    params = [
        give.Param(
            name=one.name, default=registry.show(one, one.default),
            value=registry.show(one, found.settings[one.name]), values=registry.describe(one),
            doc=quote.line(one.doc),
        )
        for one in found.workload.params.values()
    ]
    groups = [
        give.Group(
            name=one.name,
            tasks=f"${one.count.param}" if isinstance(one.count, Ref) else str(one.count),
            comm=f"${one.comm.param}" if isinstance(one.comm, Ref) else quote.name(one.comm),
        )
        for one in found.workload.groups.values()
    ]
    toml = quote.block(found.source.text, MAX_BYTES)
    return give.ShownWorkload(
        workload=_described(found.workload), params=params, groups=groups, toml=toml, text=toml
    )


def chosen(arguments: take.OfWorkload, setup: Setup) -> Chosen:
    """What the arguments name; mistakes in a text are refused against its lines."""
    cpus = None
    if arguments.workload is not None:
        workload, source = _shipped(arguments.workload)
    elif arguments.workload_toml is not None:
        workload, source = _written(arguments.workload_toml, "workload.toml")
    else:
        assert arguments.profile is not None
        text, cpus = profiles.workload_text(arguments.profile, setup)
        workload, source = _written(text, "profile.toml")
    given = [f"{name}={value}" for name, value in arguments.params.items()]
    settings, wrong = registry.settings(workload, given)
    if wrong:
        raise Refused(*wrong)
    return Chosen(workload, source, settings, cpus)


def _shipped(name: str) -> tuple[Workload, Source]:
    if name not in registry.names():
        raise Refused(error(
            "E1208", f"there is no workload `{quote.line(name, 40)}`", None,
            help=near(name, registry.names()) or "list_workloads names those that there are",
        ))  # fmt: skip
    workload, source, wrong = registry.find(name)
    if workload is None:
        raise Refused(*wrong, sources=Sources(source))
    return workload, source


def _written(text: str, name: str) -> tuple[Workload, Source]:
    source = text_source(text, name)
    workload, wrong = read_workload(source)
    if workload is None:
        raise Refused(*wrong, sources=Sources(source))
    return workload, source


def _described(workload: Workload) -> give.Workload:
    return give.Workload(
        name=workload.name, description=quote.line(workload.description),
        metrics=list(workload.metrics),
    )
