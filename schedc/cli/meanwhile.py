"""A policy that is compiled while a machine starts.

Input: what stands on the command line. Output: a `Loading`, which waits for the policy.
Invariant: what goes wrong in the thread is raised where the result is asked for; nothing of the
compiler is imported here, so that the machine can start first.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from schedc.cli.policy_object import Loaded


class Loading:
    """A policy that is being compiled, or is about to be."""

    def __init__(self, make: Callable[[], Loaded]) -> None:
        self._make = make
        self._future: Future[Loaded] | None = None

    def begin(self) -> Future[Loaded]:
        """Compile in a thread from now on, if not already."""
        if self._future is None:
            self._future = ThreadPoolExecutor(1, "compiler").submit(self._make)
        return self._future

    def result(self) -> Loaded:
        """The policy; waits for it."""
        return self.begin().result()


def loading(name: str, tunes: tuple[str, ...], cc: str | None, *, at_once: bool) -> Loading:
    """A policy to be compiled. Without `at_once` only the C compiler is still at work when this
    returns: what is wrong with the policy has been said, before anything that takes long is begun
    for it. Else nothing is begun yet: the machine that is soon there goes first."""
    context = click.get_current_context()
    finish = None if at_once else _analysed(name, tunes, cc)

    def made() -> Loaded:
        # How to show things is known by click's context, which belongs to a thread.
        with context.scope(cleanup=False):
            return (finish or _analysed(name, tunes, cc))()

    found = Loading(made)
    if at_once:
        # The two threads wait for each other's turn: a machine that answers is not kept waiting.
        sys.setswitchinterval(0.0005)
    else:
        found.begin()
    return found


def _analysed(name: str, tunes: tuple[str, ...], cc: str | None) -> Callable[[], Loaded]:
    from schedc.cli.policy_object import begin

    return begin(name, tunes, cc)
