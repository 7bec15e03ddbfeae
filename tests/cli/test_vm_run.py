"""`vm run` and `vm workloads` as far as they need no machine."""

from __future__ import annotations

from pathlib import Path

import pytest

import schedc.cli
from schedc.workload import registry


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    code = schedc.cli.run(args)
    out, err = capsys.readouterr()
    return code, out, err


def test_workloads_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "vm", "workloads")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == list(registry.names())


def test_the_parameters_of_one(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "vm", "workloads", "wakeup")
    assert code == 0
    assert "think=1ms" in out and "metrics: wakeup_p50" in out


@pytest.mark.parametrize(
    ("args", "code", "text"),
    [
        (("-w", "wakup"), "E1208", "did you mean `wakeup`?"),
        (("-w", "wakeup", "-p", "hog=3"), "E1206", "did you mean `hogs`?"),
        (("-w", "wakeup", "-p", "hogs=x"), "E1205", "a whole number in 0..4096"),
        (("-w", "wakeup", "-p", "hogs"), "E1204", "NAME=VALUE"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_of_usage(
    capsys: pytest.CaptureFixture[str], args: tuple[str, ...], code: str, text: str
) -> None:
    status, out, err = run(capsys, "vm", "run", "fifo", *args)
    assert status == 2
    assert out == ""
    assert code in err and text in err


def test_a_mistake_in_a_workload_file_is_a_finding(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('format = 1\nname = "x"\nspeed = 3\n')
    status, _, err = run(capsys, "vm", "run", "fifo", "-w", str(path))
    assert status == 1
    assert "E1202" in err and "mine.toml:3:1" in err


def test_an_unknown_policy_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "vm", "run", "nosuch", "-w", "batch")
    assert status == 2
    assert "nosuch" in err
