"""Units for systemd: what stands in them, that systemd takes them, that they expose little."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import schedc.cli
from schedc.deploy.units import PLACES, units, word
from schedc.load.privileges import NEEDED

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd-analyze"
)


def run(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = schedc.cli.run(arguments)
    out, err = capfd.readouterr()
    return code, out, err


@pytest.fixture
def root(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Path:
    """A tree with the units installed."""
    code, out, err = run(capfd, "service", "install", "--root", str(tmp_path))
    assert code == 0, err
    assert out.count("wrote ") == 4 and "systemctl enable --now schedc-loader" in out
    return tmp_path


def test_what_is_installed(root: Path) -> None:
    found = sorted(str(one.relative_to(root)) for one in root.rglob("*") if one.is_file())
    assert found == sorted(PLACES.values())
    for place in found:
        text = (root / place).read_text()
        assert not re.search(r"@[A-Z_]+@", text), "a part that was not filled in"
    loader = (root / PLACES["schedc-loader.service"]).read_text()
    assert f"ExecStart={sys.executable} -I -m schedc.load serve\n" in loader
    wanted = " ".join(sorted(one.label for one in NEEDED))
    assert f"\nCapabilityBoundingSet={wanted}\n" in loader
    assert f"\nAmbientCapabilities={wanted}\n" in loader
    policy = (root / PLACES["schedc.service"]).read_text()
    assert "\nCapabilityBoundingSet=\n" in policy
    # Without a name, DynamicUser takes the unit's: that is the loader's user, so not dynamic.
    assert "\nUser=schedc\n" in loader and "\nUser=schedc-policy\n" in policy


def test_what_a_person_edited_stays(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    mine = root / PLACES["schedc.default"]
    mine.write_text("SCHEDC_POLICY=/mine.o\n")
    (root / PLACES["schedc.service"]).write_text("old")
    code, out, _ = run(capfd, "service", "install", "--root", str(root))
    assert code == 0 and f"kept  {mine}" in out
    assert mine.read_text() == "SCHEDC_POLICY=/mine.o\n"
    assert (root / PLACES["schedc.service"]).read_text() != "old"


def test_printed(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capfd, "service", "print")
    assert code == 0
    assert [line for line in out.splitlines() if line.startswith("# /")] == [
        f"# /{place}" for place in PLACES.values()
    ]
    code, out, _ = run(capfd, "service", "print", "schedc.default")
    assert out == next(one.text for one in units() if one.name == "schedc.default")


def test_not_allowed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "etc").write_text("a file, where a folder is needed")
    code, _, err = run(capfd, "service", "install", "--root", str(tmp_path))
    assert code == 2 and "error[E0920]: can't write" in err
    assert "nothing was written" in err and "sudo schedc service install" in err


@pytest.mark.parametrize(
    ("path", "spelt"),
    [
        ("/usr/bin/python3", "/usr/bin/python3"),
        ("/opt/my tools/python", '"/opt/my tools/python"'),
        ("/opt/100%/$x/python", "/opt/100%%/$$x/python"),
        ('/opt/"a\\b"/python', '"/opt/\\"a\\\\b\\"/python"'),
    ],
)
def test_a_path_is_one_word(path: str, spelt: str) -> None:
    assert word(path) == spelt


def test_a_path_can_add_no_line() -> None:
    with pytest.raises(ValueError):
        word("/opt/x\nExecStartPre=/bin/evil")


@needs_systemd
def test_systemd_takes_them(root: Path) -> None:
    for name in ("schedc-loader.service", "schedc.service"):
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", root / PLACES["schedc-loader.service"],
             root / PLACES[name]],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        said = [line for line in done.stderr.splitlines() if "schedc" in line]
        assert done.returncode == 0 and said == [], done.stderr


@needs_systemd
def test_a_mistake_in_a_unit_would_be_seen(root: Path) -> None:
    unit = root / PLACES["schedc-loader.service"]
    unit.write_text(unit.read_text().replace("[Service]", "[Service]\nProtectEverything=yes"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False
    )
    assert "ProtectEverything" in done.stderr


@needs_systemd
@pytest.mark.parametrize(("name", "most"), [("schedc-loader.service", 15), ("schedc.service", 12)])
def test_they_expose_little(root: Path, name: str, most: int) -> None:
    """systemd's own measure, in tenths: 0 exposes nothing, 100 everything."""
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", f"--threshold={most}",
         root / PLACES[name]],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze can't judge a file")
    assert done.returncode == 0, done.stdout[-400:]


def test_the_policy_s_service_and_scx_exclude_each_other(root: Path) -> None:
    text = (root / PLACES["schedc.service"]).read_text()
    assert "Conflicts=scx.service scx_loader.service" in text
    assert "EnvironmentFile=/etc/default/schedc" in text
    default = (root / PLACES["schedc.default"]).read_text()
    assert "\nSCHEDC_POLICY=" in default and "\nSCHEDC_FLAGS=\n" in default
