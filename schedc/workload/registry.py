"""The workloads that there are, and the settings of one.

Input: a name or a path, and `name=value` texts. Output: a `Workload`, and settings for all of its
parameters. Invariant: settings that are returned are of the right kind and within range.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from schedc.diagnostics.model import Diagnostic, error
from schedc.source import Source
from schedc.workload.model import Param, Setting, Workload
from schedc.workload.quantity import write_time
from schedc.workload.read import read_workload, setting_of
from schedc.workload.rtapp import is_rtapp, read_rtapp
from schedc.workload.table import near

_DATA = Path(__file__).resolve().parent / "data"


def names() -> tuple[str, ...]:
    """The shipped workloads, sorted."""
    return tuple(sorted(path.stem for path in _DATA.glob("*.toml")))


def find(name: str) -> tuple[Workload | None, Source, tuple[Diagnostic, ...]]:
    """A shipped workload by name, or one of the user's by path (with a `/`, `.toml` or
    `.json` in it); what is in a file says whether it is ours or rt-app's."""
    given = "/" in name or name.endswith((".toml", ".json"))
    path = Path(name) if given else _DATA / f"{name}.toml"
    if not given and name not in names():
        found = error("E1208", f"there is no workload `{name[:40]}`", None,
                      help=near(name, names()))
        return None, Source.from_text(name, ""), (found,)
    try:
        raw = path.read_bytes()
    except OSError as failure:
        found = error("E1208", f"the workload {path} can't be read: {failure.strerror}", None)
        return None, Source.from_text(str(path), ""), (found,)
    source, bad = Source.from_bytes(str(path), raw)
    if bad:
        return None, source, bad
    read = read_rtapp if is_rtapp(source.text) else read_workload
    workload, found_all = read(source)
    return workload, source, found_all


def settings(
    workload: Workload, given: Iterable[str]
) -> tuple[Mapping[str, Setting], tuple[Diagnostic, ...]]:
    """Defaults, changed by `name=value` texts as a user writes them."""
    texts = tuple(given)
    values: dict[str, Setting] = {name: one.default for name, one in workload.params.items()}
    found = []
    # A case first, wherever it stands: what is set beside it is meant to differ from it.
    chosen = [text[5:] for text in texts if text.startswith("case=")]
    values |= workload.cases.get(chosen[-1] if chosen else str(values.get("case")), {})
    for text in texts:
        name, equals, value = text.partition("=")
        param = workload.params.get(name)
        if not equals:
            found.append(error("E1204", f"`{text[:40]}` sets nothing", None,
                               help="write NAME=VALUE"))
        elif param is None:
            found.append(error("E1206", f"`{workload.name}` has no parameter `{name[:40]}`", None,
                               help=near(name, workload.params)))
        elif (setting := setting_of(param, value)) is None:
            found.append(error("E1205", f"`{value[:40]}` is nothing that `{name}` can be", None,
                               help=f"it is {describe(param)}"))
        else:
            values[name] = setting
    return values, tuple(found)


def describe(param: Param) -> str:
    """The values that a parameter can have, for a help line."""
    match param.kind:
        case "choice":
            return "one of " + ", ".join(param.choices)
        case "time":
            return f"a time in {write_time(param.low)}..{write_time(param.high)}"
        case "percent":
            return f"a share in {param.low}%..{param.high}%"
        case "count":
            return f"a whole number in {param.low}..{param.high}, or cpus: as many as there are"


def show(param: Param, value: Setting) -> str:
    """A setting as a user would write it."""
    match param.kind:
        case "time" if isinstance(value, int):
            return write_time(value)
        case "percent":
            return f"{value}%"
        case _:
            return str(value)
