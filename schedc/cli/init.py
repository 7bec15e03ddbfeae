"""`schedc init NAME`: a commented policy to start from, which checks clean."""

from __future__ import annotations

import re
from pathlib import Path

import click

from schedc.cli.console import Console
from schedc.cli.failure import Exit, Failure, cannot_write
from schedc.diagnostics.model import error

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")

STARTER = """\
# {name}: a policy to start from. Each line can be changed; `schedc check {name}.sched` says what
# is wrong, `schedc explain WORD` what a word means.

policy {name} 1.0.0
"interactive tasks soon, all others in turn"
goal latency, fairness

# What the policy may rely on. The kernel enforces weights; the number of tasks is yours to judge.
assume runnable <= 32 per cpu
assume weight in 50..200

# Values that can be set when the policy is loaded, each with the range that makes sense.
tune short = 2ms in 500us..10ms "who sleeps again this soon is interactive"
tune slice = 5ms in 4ms..20ms   "how long a task runs before the next one's turn"

# Queues. A vtime queue serves whoever has had least, in proportion to weight; the window says
# how far ahead of or behind the queue's clock a task may be; `drift` bounds waiting whatever the
# weights.
queue soon fifo per llc
queue bulk by vtime within -40ms..100ms drift 1/64 per llc

# What is remembered of each task.
state task.used    : vtime of bulk
state task.typical : time in 0ms..100ms = 10ms

# The first class whose condition holds is the task's; the last one has no condition.
class interactive when max(task.typical, burst) < tune.short
class batch

on stop  {{ task.used += charge(ran) }}
on sleep {{ task.typical = ewma(task.typical, burst, 1/4) }}

# A task that wakes goes straight to an idle cpu, if one of these finds one.
place {{
  idle prev
  idle in llc
  idle anywhere
}}

enqueue interactive to soon slice 4ms
enqueue batch       to bulk key task.used slice tune.slice

# What a cpu runs next, from the top. All lines but the last are bounded, so that none starves.
dispatch {{
  take soon at most 50% every 40ms
  take bulk
  steal soon
  steal bulk
}}
"""


@click.command()
@click.argument("name")
@click.option(
    "--directory", type=click.Path(file_okay=False, path_type=Path), default=".",
    help="Where to write NAME.sched.  [default: here]",
)
def init(name: str, directory: Path) -> Exit:
    """Write NAME.sched, a commented policy to start from; an existing file is never touched."""
    if not _NAME.fullmatch(name):
        raise click.UsageError(
            f"`{name}` can't name a policy: lower-case letters, digits and `_`, "
            "beginning with a letter, 32 at most"
        )
    path = directory / f"{name}.sched"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with open(path, "x", encoding="utf-8") as file:
            file.write(STARTER.format(name=name))
    except FileExistsError:
        raise Failure(
            error("E0602", f"`{path}` is there already, and is left as it is", None,
                  help="choose another name, or remove the file")
        ) from None
    except OSError as failure:
        raise cannot_write(str(path), failure) from failure
    click.echo(path)
    Console.current().status(f"next: schedc check {path}")
    return Exit.fine
