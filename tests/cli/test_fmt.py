"""`schedc fmt`: in place, only looking, as a diff, and never on a broken file."""

import io
import sys
from pathlib import Path

import pytest

from schedc.cli import run
from schedc.cli.failure import Exit

UGLY = """\
# kept
policy small 1.0.0


queue   all fifo   # also kept
class every
place {   idle anywhere }
enqueue every to all slice 4ms
dispatch { take all }
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SCHEDC_FORMAT", raising=False)
    Path("ugly.sched").write_text(UGLY)


def test_in_place_and_then_nothing_more(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["fmt", "ugly.sched"]) == 0
    pretty = Path("ugly.sched").read_text()
    assert pretty != UGLY and "# kept\n" in pretty and "# also kept" in pretty
    assert capfd.readouterr().err == "reformatted: ugly.sched\n"
    stamp = Path("ugly.sched").stat().st_mtime_ns
    assert run(["fmt", "ugly.sched"]) == 0
    assert Path("ugly.sched").stat().st_mtime_ns == stamp
    assert "already" in capfd.readouterr().err
    assert run(["fmt", "--check", "."]) == 0


def test_check_and_diff_only_look(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["fmt", "--check", "ugly.sched"]) == 1
    assert capfd.readouterr().err == "would be reformatted: ugly.sched\n"
    assert run(["fmt", "--diff", "ugly.sched"]) == 1
    shown = capfd.readouterr().out
    assert shown.startswith("--- ugly.sched\n+++ ugly.sched\n@@ ")
    assert "-queue   all fifo   # also kept\n" in shown
    assert Path("ugly.sched").read_text() == UGLY


def test_the_diff_is_a_patch(capfd: pytest.CaptureFixture[str]) -> None:
    """Applying it by hand gives what fmt writes."""
    run(["fmt", "--diff", "ugly.sched"])
    lines = capfd.readouterr().out.splitlines(keepends=True)[2:]
    body = [line for line in lines if not line.startswith("@@")]
    after = "".join(line[1:] for line in body if line[0] in " +")
    run(["fmt", "ugly.sched"])
    assert after.strip() in Path("ugly.sched").read_text()


def test_stdin_to_stdout(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for text in (UGLY, None):
        given = text or Path("ugly.sched").read_text()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
        assert run(["fmt", "-"]) == 0
        shown = capfd.readouterr().out
        run(["fmt", "ugly.sched"])
        capfd.readouterr()
        assert shown == Path("ugly.sched").read_text()


def test_line_ends_and_byte_order_mark_are_differences() -> None:
    run(["fmt", "ugly.sched"])
    pretty = Path("ugly.sched").read_bytes()
    Path("ugly.sched").write_bytes(b"\xef\xbb\xbf" + pretty.replace(b"\n", b"\r\n"))
    assert run(["fmt", "--check", "ugly.sched"]) == 1
    assert run(["fmt", "ugly.sched"]) == 0
    assert Path("ugly.sched").read_bytes() == pretty


def test_broken_files_are_left_alone(capfd: pytest.CaptureFixture[str]) -> None:
    Path("broken.sched").write_text(UGLY + "take {{{\n")
    before = Path("broken.sched").read_bytes()
    assert run(["fmt", "broken.sched", "ugly.sched"]) == Exit.findings
    assert "error[E01" in capfd.readouterr().err
    assert Path("broken.sched").read_bytes() == before
    assert Path("ugly.sched").read_text() != UGLY, "the other file is still formatted"
