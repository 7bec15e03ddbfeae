"""A machine that tests share: one whose guest died is replaced for the next test.

A module boots its machine once, as that takes seconds. If a test's guest dies, that test fails;
those after it have nothing to do with it and get a fresh machine.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, cast

from schedc.vm.machine import Machine


class _Live:
    """Whatever is asked of it is asked of a machine that lives."""

    def __init__(self, boot: Callable[[], Machine]) -> None:
        self._boot = boot
        self._machine = boot()

    def __getattr__(self, name: str) -> Any:
        if self._machine.closed:
            self._machine = self._boot()
        return getattr(self._machine, name)

    def __enter__(self) -> Machine:
        return cast(Machine, self)

    def __exit__(self, *_: object) -> None:
        self._machine.close()


def live(boot: Callable[[], Machine]) -> AbstractContextManager[Machine]:
    """The machine that `boot` makes, and makes again whenever the last one is found dead."""
    return _Live(boot)
