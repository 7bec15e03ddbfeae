"""`--workload W -p NAME=VALUE`: a workload with its settings, for commands that run one.

Input: what stands on the command line. Output: the workload and a value for each of its parameters.
Mistakes end in a `Failure` with diagnostics against the workload's lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from schedc.cli.failure import Exit, Failure

if TYPE_CHECKING:
    from schedc.workload.model import Setting, Workload


class UsageFailure(Failure):
    """The command line names or sets what isn't there: no finding in any file."""

    @property
    def exit_code(self) -> Exit:
        return Exit.usage


def chosen_workload(name: str, params: tuple[str, ...]) -> tuple[Workload, dict[str, Setting]]:
    """The workload of this name or file, with `params` set and defaults for the rest."""
    from schedc.workload import registry

    found, source, wrong = registry.find(name)
    if found is None:
        missing = any(one.code == "E1208" for one in wrong)
        raise (UsageFailure if missing else Failure)(*wrong, source=source)
    settings, bad = registry.settings(found, params)
    if bad:
        raise UsageFailure(*bad)
    return found, dict(settings)
