"""Giving up privileges; in processes of their own."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import os, subprocess, sys
from schedc.deploy.drop import drop_privileges
drop_privileges()
drop_privileges()
WANTED = ("CapEff", "CapPrm", "NoNewPrivs")
def caps(text):
    return [line for line in text.splitlines() if line.startswith(WANTED)]
print(caps(open("/proc/self/status").read()))
print(caps(subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True).stdout))
print(os.getuid(), os.geteuid(), os.getgid(), sorted(os.getgroups()))
"""


def told(**environment: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env={**os.environ, **environment}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()


@pytest.mark.skipif(os.geteuid() != 0, reason="not root: there is nothing to give up")
def test_root_keeps_nothing_and_its_children_get_nothing() -> None:
    mine, child, ids = told(SUDO_UID="", SUDO_GID="")
    zero = "0000000000000000"
    for shown in (mine, child):
        assert shown.count(zero) == 2 and "NoNewPrivs:\\t1" in shown
    assert ids.startswith("0 0 0 ")


@pytest.mark.skipif(os.geteuid() != 0, reason="not root: there is nothing to give up")
def test_root_by_sudo_becomes_who_called() -> None:
    _, child, ids = told(SUDO_UID="4321", SUDO_GID="4321")
    assert ids == "4321 4321 4321 [4321]"
    assert child.count("0000000000000000") == 2
    # What isn't a number, or is root itself, changes nobody.
    assert told(SUDO_UID="x1", SUDO_GID="4321")[2].startswith("0 0 0 ")
    assert told(SUDO_UID="0", SUDO_GID="0")[2].startswith("0 0 0 ")


@pytest.mark.skipif(os.geteuid() == 0, reason="root has privileges")
def test_without_privileges_nothing_happens() -> None:
    assert told(SUDO_UID="0", SUDO_GID="0")[2].startswith(f"{os.getuid()} ")
