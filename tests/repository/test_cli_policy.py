"""`schedc policy`, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import schedc.cli
from schedc.data import read_data


@pytest.fixture(autouse=True)
def _own_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEDC_REPOSITORY", str(tmp_path / "kept"))


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    code = schedc.cli.run(["policy", *args])
    out, err = capsys.readouterr()
    return code, out, err


def test_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "list")
    assert (code, err) == (0, "")
    assert len(out.splitlines()) == 14
    code, out, _ = run(capsys, "list", "--json")
    assert {json.loads(line)["origin"] for line in out.splitlines()} == {"stdlib"}


def test_one_is_found_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "search", "short", "sleepers", "--goal", "latency")
    assert code == 0 and out.startswith("stdlib/interactive")
    assert run(capsys, "search", "zzzzz")[:2] == (1, "")
    assert run(capsys, "show", "fifo")[:2] == (0, read_data("stdlib_policies/fifo.sched"))


def test_nothing_by_that_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "show", "interactiv") == (
        2, "",
        "error[E1002]: no policy is called `interactiv`\n  = help: did you mean `interactive`?\n\n",
    )  # fmt: skip


def test_compose_keep_and_compose_upon_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, out, err = run(capsys, "compose", "web", "fair", "--set", "slice=6ms")
    assert code == 0, err
    assert out == (
        'policy web 1.0.0\n"fair with slice 6ms"\nextends stdlib/fair@1\n\n'
        'tune slice = 6ms in 4ms..20ms "longer: fewer switches; shorter: turns come sooner"\n'
    )
    (tmp_path / "web.sched").write_text(out)
    code, _, err = run(capsys, "add", str(tmp_path / "web.sched"), "-m", "for the front end")
    assert code == 0 and "added mine/web 1.0.0" in err
    code, out, err = run(capsys, "compose", "web_two", "mine/web", "--set", "slice=8ms", "--add")
    assert code == 0 and "added mine/web_two 1.0.0" in err
    assert "extends mine/web@1" in run(capsys, "show", "web_two")[1]
    code, out, _ = run(capsys, "history", "web")
    assert code == 0 and "web 1.0.0: for the front end" in out
    assert "mine/web_two" in run(capsys, "list")[1]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("compose", "Web", "fair"), "E1005"),
        (("compose", "web", "fair", "--set", "slcie=6ms"), "E1002"),
        (("compose", "web", "fair", "--set", "slice=6ms\nqueue x fifo"), "E1005"),
        (("compose", "web", "fair", "--set", "slice=900ms"), "E0"),
        (("compose", "web", "nosuch"), "E1002"),
        (("promote", "fair", "--goal", "latency", "-w", "wakeup", "--metric", "wakeup_p99"),
         "E1007"),
    ],
)  # fmt: skip
def test_mistakes(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: str
) -> None:
    status, out, err = run(capsys, *words)
    assert status in (1, 2) and out == ""
    assert f"error[{code}" in err


def test_a_refuted_one_is_not_kept(capsys: pytest.CaptureFixture[str]) -> None:
    flawed = Path(__file__).parents[2] / "examples/refuted/strict_priority/flawed.sched"
    code, _, err = run(capsys, "add", str(flawed))
    assert code == 1
    assert "error[E1006]" in err and "schedc prove" in err


def test_a_damaged_one_is_named_and_the_rest_listed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = tmp_path / "kept/policies"
    folder.mkdir(parents=True)
    (folder / "evil\x1b[2J.sched").write_text("x")
    code, out, err = run(capsys, "list")
    assert code == 1 and len(out.splitlines()) == 14
    assert "E1003" in err and "\x1b" not in err
