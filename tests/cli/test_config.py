"""Settings: flags over environment over file, and mistakes in the file are said."""

from pathlib import Path

import click
import pytest

from schedc.cli import run
from schedc.cli.config import Config, defaults_for, find_config, load_config
from schedc.cli.failure import Exit, Failure


@pytest.fixture(autouse=True)
def isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SCHEDC_FORMAT", raising=False)


def shown(capfd: pytest.CaptureFixture[str], *options: str) -> str:
    """What `check` says about a file of bad bytes, which needs no parser."""
    Path("bad.sched").write_bytes(b"\xff")
    assert run(["check", *options, "bad.sched"]) == Exit.findings
    captured = capfd.readouterr()
    return captured.out + captured.err


def test_flags_over_environment_over_file(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shown(capfd).startswith("error[E0101]")
    Path("schedc.toml").write_text('format = "concise"\n')
    assert shown(capfd) == "bad.sched:1:1: E0101 the source is not valid UTF-8\n"
    monkeypatch.setenv("SCHEDC_FORMAT", "json")
    assert shown(capfd).startswith("{")
    assert shown(capfd, "--format", "full").startswith("error[E0101]")


def test_a_table_for_one_command(capfd: pytest.CaptureFixture[str]) -> None:
    Path("schedc.toml").write_text('format = "json"\n[check]\nformat = "concise"\n')
    assert shown(capfd).startswith("bad.sched:1:1:")


def test_pyproject_and_the_nearest_file(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("pyproject.toml").write_text('[tool.schedc]\nformat = "concise"\n')
    assert shown(capfd).startswith("bad.sched:1:1:")
    below = Path("below")
    below.mkdir()
    (below / "pyproject.toml").write_text('[project]\nname = "other"\n')
    monkeypatch.chdir(below)
    assert shown(capfd).startswith("bad.sched:1:1:")
    Path("schedc.toml").write_text("")
    assert shown(capfd).startswith("error[E0101]")


def test_config_can_be_named_or_left_out(capfd: pytest.CaptureFixture[str]) -> None:
    Path("other.toml").write_text('format = "concise"\n')
    Path("bad.sched").write_bytes(b"\xff")
    assert run(["--config", "other.toml", "check", "bad.sched"]) == Exit.findings
    assert capfd.readouterr().err.startswith("bad.sched:1:1:")
    Path("schedc.toml").write_text('nonsense = 1\n')
    assert run(["--no-config", "check", "bad.sched"]) == Exit.findings
    assert run(["--config", "none.toml", "check", "bad.sched"]) == Exit.usage


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('frmat = "full"', "unknown key `frmat`"),
        ("[chek]\n", "did you mean `check`"),
        ("[check]\ndeny-wranings = true", "did you mean `check.deny_warnings`?"),
        ('format = "xml"', "(from the configuration file)"),
        ("format = ", "is not TOML"),
        ("\xff", "is not TOML"),
    ],
)
def test_mistakes_are_said(text: str, message: str, capfd: pytest.CaptureFixture[str]) -> None:
    Path("schedc.toml").write_bytes(text.encode("latin-1"))
    Path("a.sched").write_bytes(b"\xff")
    assert run(["check", "a.sched"]) == Exit.usage
    assert message in capfd.readouterr().err


def test_groups_pass_their_tables_on() -> None:
    option = click.Option(["--kernel"])
    group = click.Group("vm", commands={"check": click.Command("check", params=[option])})
    config = Config(Path("c"), {"kernel": "6.18", "vm": {"check": {}}})
    assert defaults_for(config, group, ["vm"]) == {"check": {"kernel": "6.18"}}
    config = Config(Path("c"), {"vm": {"check": {"kernle": "6.18"}}})
    with pytest.raises(Failure, match=r"vm\.check\.kernle") as caught:
        defaults_for(config, group, ["vm"])
    assert [found.code for found in caught.value.diagnostics] == ["E0112"]


def test_no_file_no_settings(tmp_path: Path) -> None:
    assert find_config(tmp_path / "nowhere").values == {}


def test_a_table_of_names_is_an_option_given_several_times(tmp_path: Path) -> None:
    from schedc.cli.root import COMMANDS
    from schedc.cli.synth import synth

    path = tmp_path / "schedc.toml"
    path.write_text('[synth]\nmax-rounds = 3\n[synth.prices]\n"a" = [1.25, 10]\n"b" = [0, 2]\n')
    found = defaults_for(load_config(path), synth, COMMANDS)
    assert found["prices"] == ("a=1.25,10", "b=0,2")
    assert found["max_rounds"] == 3
