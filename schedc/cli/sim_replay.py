"""`schedc sim --replay RUN.json [POLICY]`: a refutation, repeated by the generated C.

Input: the run's file and the policy's, if it is named. Output: the table of what happened, or JSON.
Exit code 0 if the run is confirmed, 4 if the generated C does something else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from schedc.cli.compile import analyzed
from schedc.cli.failure import Exit, cannot_read
from schedc.data import data_path


def replay_run(
    name: str, policy: str | None, *, as_json: bool = False, stdin_filename: str = "<stdin>",
    cc: str | None = None,
) -> Exit:  # fmt: skip
    """See the module. Raises `SimError` where the simulator can't be built or run."""
    from schedc.pipeline import generate
    from schedc.sim import build, replay_show
    from schedc.sim.replay import Unplayable, replay

    run = _read(name)
    source, analysis = analyzed(policy or _policy_of(run, name), stdin_filename)
    assert analysis.policy is not None
    text = generate(analysis.policy, source, sources=analysis.sources)
    runtime, shared = build.runtime(cc=cc), build.policy(text, cc=cc)
    try:
        found = replay(run, analysis.policy, runtime, shared)
    except Unplayable as why:
        raise click.UsageError(f"`{name}` can't be replayed: {why}") from why
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as wrong:
        raise _no_run(name) from wrong
    if as_json:
        click.echo(json.dumps(replay_show.as_json(found), indent=1))
    else:
        click.echo(replay_show.told(found, analysis.policy, name), nl=False)
    return Exit.fine if found.confirmed else Exit.refused


def _read(name: str) -> dict[str, Any]:
    try:
        run = json.loads(Path(name).read_bytes())
    except OSError as failure:
        raise cannot_read(name, failure) from failure
    except (ValueError, RecursionError) as wrong:
        raise click.UsageError(f"`{name}` is not JSON; a run is `prove --run`'s") from wrong
    if not isinstance(run, dict):
        raise _no_run(name)
    return run


def _no_run(name: str) -> click.UsageError:
    return click.UsageError(f"`{name}` is no run, as `schedc prove --run` writes it")


def _policy_of(run: Mapping[str, Any], name: str) -> str:
    """The file that the run names, as it was named or beside the run; else a shipped policy."""
    file, policy = run.get("file"), run.get("policy")
    beside = Path(name).parent
    places = [Path(file), beside / file] if isinstance(file, str) and file else []
    if isinstance(policy, str) and policy.isidentifier():
        places += [beside / f"{policy}.sched", data_path("stdlib_policies") / f"{policy}.sched"]
    for place in places:
        if place.is_file():
            return str(place)
    raise click.UsageError(f"say whose run it is: schedc sim --replay {name} POLICY.sched")
