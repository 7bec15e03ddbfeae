"""A policy that is compiled while a machine starts.

Input: what stands on the command line. Output: a function that waits for the policy to be ready.
Invariant: what goes wrong in the thread is raised where the result is asked for; nothing of the
compiler is imported here, so that the machine can start first.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from schedc.cli.policy_object import Loaded


def loading(
    name: str, tunes: tuple[str, ...], cc: str | None, *, at_once: bool
) -> Callable[[], Loaded]:
    """Begin to compile. Without `at_once` only the C compiler is still at work when this returns:
    what is wrong with the policy has been said, before anything that takes long is begun for it."""
    context = click.get_current_context()
    finish = None if at_once else _analysed(name, tunes, cc)

    def made() -> Loaded:
        # How to show things is known by click's context, which belongs to a thread.
        with context.scope(cleanup=False):
            return (finish or _analysed(name, tunes, cc))()

    return ThreadPoolExecutor(1, "compiler").submit(made).result


def _analysed(name: str, tunes: tuple[str, ...], cc: str | None) -> Callable[[], Loaded]:
    from schedc.cli.policy_object import begin

    return begin(name, tunes, cc)
