"""Failures that end a command, and which exit code each kind of diagnostic asks for."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from schedc.diagnostics.model import Diagnostic, error
from schedc.diagnostics.render.located import Sources
from schedc.source import Source


class Exit(IntEnum):
    """What a shell script can tell apart."""

    fine = 0
    findings = 1
    usage = 2
    unproven = 3
    refused = 4
    bug = 101


# Neither the policy nor the kernel is at fault: a file, a configuration, a missing tool.
_USAGE = frozenset(
    "E0111 E0112 E0596 E0602 E0701 E0810 E0811 E0812 E0813 E0814 E0815 E0816 E0820 E0821 E0824 "
    "E0830 E0831 E0832 E0834 E0842 E0844 E0845 E0846 E0847 E0849 E0901 E0902 E0908 E0910 E0911 "
    "E0917 E0918 E0919 E0920 E1001 E1002 E1101 E1102 E1103 E1104 E1105 E1106 E1107 "
    "E1220 E1222 E1223 E1224 E1225 E1226 E1227 E1228".split()
)

# What the loader says of an object without a proof is what `compile` says of it.
_UNPROVEN = {"E0837": "E0594"}


def exit_code(diagnostics: Iterable[Diagnostic]) -> Exit:
    """The gravest answer wins: usage over refused over findings over unproven."""
    codes = [_UNPROVEN.get(one.code, one.code) for one in diagnostics if one.is_error]
    if any(code in _USAGE for code in codes):
        return Exit.usage
    if any(code.startswith(("E0595", "E08", "E09")) and code != "E0903" for code in codes):
        return Exit.refused
    if any(not code.startswith("E059") for code in codes):
        return Exit.findings
    return Exit.unproven if codes else Exit.fine


class Failure(Exception):
    """Ends the command: its diagnostics are shown and decide the exit code."""

    def __init__(
        self, *diagnostics: Diagnostic, source: Source | Sources | None = None
    ) -> None:
        super().__init__("; ".join(found.message for found in diagnostics))
        self.diagnostics = diagnostics
        self.source = source

    @property
    def exit_code(self) -> Exit:
        return exit_code(self.diagnostics)


def cannot_read(name: str, failure: OSError) -> Failure:
    """A source or data file that can't be read."""
    return Failure(error("E0111", f"can't read `{name}`: {_reason(failure)}", None))


def cannot_write(name: str, failure: OSError) -> Failure:
    """An output that can't be written; nothing of it was left behind."""
    return Failure(
        error(
            "E0602",
            f"can't write `{name}`: {_reason(failure)}",
            None,
            notes=["no part of the file was written; what stood there before is unchanged"],
        )
    )


def _reason(failure: OSError) -> str:
    text = failure.strerror or str(failure) or type(failure).__name__
    return text[0].lower() + text[1:]
