"""The guest script of a run: what the TOML says, and nothing that a shell could misread."""

from __future__ import annotations

import subprocess

import pytest

from schedc.workload import registry
from schedc.workload.command import plan
from schedc.workload.model import Workload
from schedc.workload.plan import plan_text


def load(name: str) -> Workload:
    workload, _, found = registry.find(name)
    assert workload is not None and not found
    return workload


@pytest.mark.parametrize("name", registry.names())
def test_every_script_is_valid_shell_without_holes(name: str) -> None:
    workload = load(name)
    values, _ = registry.settings(workload, [])
    made = plan(workload, values, 7, 1000, 2)
    assert "{" not in made.script and "}" not in made.script
    subprocess.run(["sh", "-n"], input=made.script, text=True, check=True)
    assert made.parser == workload.parser
    assert made.timeout_s >= 30


def test_settings_reach_the_command_line_in_its_units() -> None:
    workload = load("cyclictest")
    values, _ = registry.settings(workload, ["interval=1500us", "hog_time=1500ms", "hogs=3"])
    script = plan(workload, values, 11, 4321, 2).script
    assert "--interval=1500 " in script
    # Rounded up: 1500 ms must not become 1 s, nor a short time 0.
    assert "--timeout 2s " in script
    assert "--cpu 3 " in script


def test_without_commands_the_plan_itself_is_run() -> None:
    workload = load("wakeup")
    values, _ = registry.settings(workload, ["hogs=3"])
    script = plan(workload, values, 11, 4321, 2).script
    assert "wl-phases --spin-rate 4321 > out/measured" in script
    assert plan_text(workload, values, 11, 2) in script
    # The shell hands the text on as it is.
    shown = script.replace("wl-phases --spin-rate 4321 > out/measured 2> out/stderr", "cat")
    done = subprocess.run(["sh"], input=shown, text=True, capture_output=True, check=True)
    assert done.stdout == plan_text(workload, values, 11, 2)


def test_optional_arguments_follow_their_parameter() -> None:
    workload = load("hackbench")
    script = {
        text: plan(workload, registry.settings(workload, [text])[0], 1, 1, 2).script
        for text in ("threads=0", "threads=1")
    }
    assert "--threads" in script["threads=1"]
    assert "--threads" not in script["threads=0"]


def test_programs_beside_the_measured_one_are_ended() -> None:
    workload = load("cyclictest")
    lines = plan(workload, registry.settings(workload, [])[0], 1, 1, 2).script.splitlines()
    started = next(i for i, line in enumerate(lines) if line.endswith("&"))
    measured = next(i for i, line in enumerate(lines) if "out/measured" in line)
    killed = next(i for i, line in enumerate(lines) if line.startswith("kill "))
    assert started < measured < killed


def test_the_time_limit_covers_the_duration() -> None:
    workload = load("pinned")
    values, _ = registry.settings(workload, ["duration=100s"])
    assert plan(workload, values, 1, 1, 2).timeout_s > 100
