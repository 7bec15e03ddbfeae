"""`schedc vm kernels` and `fetch`, off the network: what a cache holds is shown and used."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from schedc.cli import policy_object
from schedc.cli.frame import invoke
from schedc.cli.root import cli


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with two kernels, and no apt."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    for release in ("6.18.9+deb13-cloud-amd64", "6.18.15+deb13-cloud-amd64"):
        folder = tmp_path / "schedc/vm/kernels" / release
        folder.mkdir(parents=True)
        (folder / "vmlinuz").write_bytes(b"")
        (folder / "kernel.json").write_text(json.dumps({"release": release, "sha256": "x"}))
    return tmp_path


def test_cached_kernels_are_listed(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(cli, ["vm", "kernels"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [
        ["6.18", "6.18.15+deb13-cloud-amd64", "cached"],
        ["6.18", "6.18.9+deb13-cloud-amd64", "cached"],
    ]


def test_a_list_for_programs(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(cli, ["vm", "kernels", "--json"]) == 0
    (first, _) = json.loads(capsys.readouterr().out)
    assert first["release"] == "6.18.15+deb13-cloud-amd64"
    assert first["series"] == "6.18" and first["package"] is None
    assert Path(first["cached"]).is_dir()


def test_no_apt_and_nothing_cached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    assert invoke(cli, ["vm", "kernels"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "E0815" in shown.err and "--kernel PATH" in shown.err


def test_a_kernel_that_is_nowhere(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.o").write_bytes(b"\x7fELF")
    code = invoke(cli, ["vm", "check", str(tmp_path / "x.o"), "--kernel", "/no/such/bzImage"])
    assert code == 2
    assert "E0811" in capsys.readouterr().err


def test_a_policy_is_compiled_while_the_machine_starts(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a saved machine the compiler is in a thread; its diagnostics come out as ever."""
    (cache / "schedc/vm/machines/one").mkdir(parents=True)
    begun = threading.Event()

    @contextmanager
    def starts(*_: object, meanwhile: Callable[[], object], **__: object) -> Iterator[None]:
        assert not begun.is_set()  # QEMU is started first …
        meanwhile()
        assert begun.wait(10)  # … and the policy is read before the machine is there
        yield None

    read = policy_object.analyzed

    def reads(*arguments: str) -> object:
        begun.set()
        return read(*arguments)

    monkeypatch.setattr("schedc.vm.check.check_machine", starts)
    monkeypatch.setattr(policy_object, "analyzed", reads)
    (tmp_path / "wrong.sched").write_text("policy wrong 1.0.0\n")
    command = ["vm", "check", str(tmp_path / "wrong.sched"), "--format", "concise"]
    code = invoke(cli, command)
    shown = capsys.readouterr()
    assert (code, shown.out) == (1, "")
    assert f"{tmp_path}/wrong.sched:1:8: E0401" in shown.err


def test_a_wrong_policy_starts_no_cold_machine(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def starts(*_: object, **__: object) -> None:
        raise AssertionError("a machine was started")

    monkeypatch.setattr("schedc.vm.check.check_machine", starts)
    (tmp_path / "wrong.sched").write_text("policy wrong 1.0.0\n")
    assert invoke(cli, ["vm", "check", str(tmp_path / "wrong.sched")]) == 1
