"""Reading apt's output; what its failures become. No network: apt's words are written down here."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from schedc.vm import apt as apt_module
from schedc.vm.apt import CONFIG, Apt, Package, find_mirror, parse_mirror, parse_uris
from schedc.vm.errors import DISK, FETCH_FAILED, NO_APT, VmError
from schedc.vm.store import Store

URIS = """\
Reading package lists...
Building dependency tree...
The following NEW packages will be installed:
  busybox-static libbpf1
'http://m.example/b/busybox-static_1.37_amd64.deb' busybox-static_1%3a1.37_amd64.deb 1000 SHA256:ab
'http://mirror.example/pool/l/libbpf1_1.5.0-2_amd64.deb' libbpf1_1.5.0-2_amd64.deb 2000 SHA256:cd
'http://mirror.example/pool/n/nohash_1_all.deb' nohash_1_all.deb 3
"""


def test_uris_are_read_and_prose_is_passed_over() -> None:
    assert parse_uris(URIS) == (
        Package("http://m.example/b/busybox-static_1.37_amd64.deb",
                "busybox-static_1%3a1.37_amd64.deb", 1000, "SHA256:ab"),
        Package("http://mirror.example/pool/l/libbpf1_1.5.0-2_amd64.deb",
                "libbpf1_1.5.0-2_amd64.deb", 2000, "SHA256:cd"),
        Package("http://mirror.example/pool/n/nohash_1_all.deb", "nohash_1_all.deb", 3),
    )  # fmt: skip
    assert parse_uris("") == ()


@pytest.mark.parametrize(
    ("text", "mirror"),
    [
        ("http://a.example/debian|bookworm|Debian\n", "http://a.example/debian"),
        ("http://a.example/debian/|bookworm|Debian\n", "http://a.example/debian"),
        # security is another archive, whether or not its lists were ever fetched
        ("http://a.example/debian-security|bookworm-security|Debian\n"
         "http://b.example/debian|bookworm|Debian\n", "http://b.example/debian"),
        ("http://a.example/debian-security|trixie|Debian\n", None),
        # a machine that has never updated knows no origins
        ("http://a.example/debian|bookworm|\n", "http://a.example/debian"),
        ("http://a.example/something|x|\n", None),
        # others' repositories come first by name, and don't count
        ("http://0.example/nodesource|nodistro|Node\nhttp://b.example/debian|sid|Debian\n",
         "http://b.example/debian"),
        ("http://a.example/ubuntu|noble|Ubuntu\n", None),
        ("", None),
        ("garbage\n||\n", None),
    ],
)  # fmt: skip
def test_the_mirror_is_the_machines_own(text: str, mirror: str | None) -> None:
    assert parse_mirror(text) == mirror


def test_a_mirror_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(apt_module.MIRROR_VARIABLE, "http://mine.example/debian/")
    assert find_mirror() == "http://mine.example/debian"


def test_without_apt_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(apt_module.MIRROR_VARIABLE, raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(VmError) as caught:
        find_mirror()
    assert caught.value.code == NO_APT
    assert "--kernel PATH" in (caught.value.help or "")


def test_the_systems_hooks_and_sources_stay_out() -> None:
    for hook in ("APT::Update::Post-Invoke", "DPkg::Post-Invoke", "DPkg::Pre-Install-Pkgs"):
        assert f"#clear {hook};" in CONFIG
    assert 'sourceparts "-"' in CONFIG


@pytest.fixture
def fake_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """An apt that prints what a test says, and ends as it says."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv(apt_module.MIRROR_VARIABLE, "http://mine.example/debian")
    monkeypatch.setattr(apt_module, "KEYRING", tmp_path)

    def make(script: str) -> Apt:
        for name in ("apt-get", "apt-cache"):
            path = folder / name
            path.write_text(f"#!/bin/bash\n{script}\n")
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return Apt(Store(tmp_path / "cache"))

    return make


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("E: Failed to fetch http://x  Could not resolve host", FETCH_FAILED),
        ("E: You don't have enough free space in /var.", DISK),
        ("E: Write error - write (28: No space left on device)", DISK),
        ("W: GPG error: http://x InRelease: NO_PUBKEY 0123", NO_APT),
        ("", FETCH_FAILED),
    ],
)
def test_a_failed_update_is_one_diagnostic(fake_apt, said: str, code: str) -> None:  # type: ignore[no-untyped-def]
    apt = fake_apt(f"echo {said!r}; exit 100")
    with pytest.raises(VmError) as caught:
        apt.update()
    assert caught.value.code == code
    assert caught.value.help
    if said:
        assert said in caught.value.notes
    assert not (apt.root / "updated").exists()


def test_lists_of_today_are_not_asked_for_again(fake_apt) -> None:  # type: ignore[no-untyped-def]
    apt = fake_apt("exit 0")
    apt.update()
    fake_apt("exit 100")
    apt.update()
    with pytest.raises(VmError):
        apt.update(force=True)


def test_progress_comes_from_the_status_pipe(fake_apt) -> None:  # type: ignore[no-untyped-def]
    apt = fake_apt(
        'for a; do case $a in APT::Status-Fd=*) fd=${a#*=};; esac; done\n'
        'printf "dlstatus:1:25.5:Retrieving\\nnoise\\ndlstatus:1:250:x\\n" >&$fd'
    )
    seen: list[float | None] = []
    apt.update(lambda what, fraction: seen.append(fraction))
    assert [f for f in seen if f is not None] == [0.255, 1.0]


def test_a_dropped_version_renews_the_lists_once(fake_apt, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    apt = fake_apt(
        f'echo "$@" >>{tmp_path}/calls\n'
        'case "$*" in *--print-uris*) echo "\'http://x/a.deb\' a.deb 1 SHA256:0";;\n'
        '*--download-only*) echo "E: 404  Not Found"; exit 100;; esac'
    )
    with pytest.raises(VmError):
        apt.unpack(["a"], tmp_path / "into")
    calls = (tmp_path / "calls").read_text().splitlines()
    assert sum("--download-only" in c for c in calls) == 2
    assert sum(" update " in c for c in calls) == 2
