"""Settings from `schedc.toml` or `[tool.schedc]` of `pyproject.toml`.

The nearest of the two files counts, from the working directory upwards. Flags win over the
environment, the environment over the file (click's own order, through its default map).

    format = "concise"        # for every command that has the option
    cc = "clang"

    [compile]                 # for one command
    counters = false

    [synth.prices]            # money for a million tokens: of the prompt, of the reply
    "gpt-5" = [1.25, 10]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from schedc.cli.failure import Failure
from schedc.diagnostics.model import error

GENERAL = ("format", "cc", "kernel")
"""Keys that may stand at the top: they reach every command that has such an option."""


@dataclass(frozen=True, slots=True)
class Config:
    """The settings, and the file that they are from (for messages)."""

    path: Path | None = None
    values: Mapping[str, Any] = field(default_factory=dict)


def find_config(start: Path) -> Config:
    """The settings that hold in a folder."""
    for folder in (start, *start.parents):
        own = folder / "schedc.toml"
        if own.is_file():
            return load_config(own)
        shared = folder / "pyproject.toml"
        if shared.is_file():
            values = _read(shared).get("tool", {})
            if isinstance(values, dict) and "schedc" in values:
                return Config(shared, _table(values["schedc"], shared, "tool.schedc"))
    return Config()


def load_config(path: Path) -> Config:
    """The settings of one file, which must be there."""
    values = _read(path)
    if path.name == "pyproject.toml":
        values = values.get("tool", {}).get("schedc", {})
    return Config(path, values)


def defaults_for(
    config: Config, command: click.Command, commands: Iterable[str]
) -> dict[str, Any]:
    """The default map of one command; unknown keys are errors, as a typo would be silent."""
    commands = list(commands)
    for key, value in config.values.items():
        known = commands if isinstance(value, dict) else list(GENERAL)
        if key not in known:
            raise _unknown(config, key, known)
    general = {key: config.values[key] for key in GENERAL if key in config.values}
    table = config.values.get(command.name or "", {})
    return _defaults(config, command, table, general, command.name or "")


def _defaults(
    config: Config, command: click.Command, table: Mapping[str, Any],
    general: Mapping[str, Any], where: str,
) -> dict[str, Any]:
    """Keys of `table` that are options of `command`; a group's tables go to its commands."""
    options = {
        option.name: option for option in command.params
        if isinstance(option, click.Option) and option.name
    }
    subcommands = command.commands if isinstance(command, click.Group) else {}
    result = {key: value for key, value in general.items() if key in options}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name in subcommands and isinstance(value, dict):
            continue
        if name in options and isinstance(value, dict):
            # A table of names: its own option reads it, as it reads `NAME=VALUE`.
            value = tuple(f"{one}={_listed(of)}" for one, of in value.items())
        if name not in options:
            raise _unknown(config, f"{where}.{key}", [f"{where}.{known}" for known in options])
        result[name] = value
    for name, subcommand in subcommands.items():
        result[name] = _defaults(
            config, subcommand, table.get(name, {}), general, f"{where}.{name}"
        )
    return result


def _listed(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _read(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as failure:
        raise Failure(
            error("E0112", f"can't read the configuration `{path}`: {failure.strerror}", None)
        ) from failure
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as failure:
        raise Failure(
            error("E0112", f"the configuration `{path}` is not TOML: {failure}", None)
        ) from failure


def _table(value: object, path: Path, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Failure(error("E0112", f"`{name}` in `{path}` is not a table", None))
    return value


def _unknown(config: Config, key: str, known: list[str]) -> Failure:
    from schedc.cli.suggest import did_you_mean

    return Failure(
        error("E0112", f"unknown key `{key}` in the configuration `{config.path}`", None,
              help=did_you_mean(key, known))
    )
