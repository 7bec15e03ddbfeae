"""Pages of codes, entries of words, near names."""

import json
from pathlib import Path

import pytest

from schedc.cli import run
from schedc.cli.explain import _rows, _sections, _terms
from schedc.cli.failure import Exit

REFERENCE = """# Facts
## `burst` and `ran`
cpu time since it woke
```sched
# not a heading
```
### more
## `take Q`
x

| fact | meaning |
| --- | --- |
| `nice` | the nice value |
| `uid`, `pid` | who |
"""


def test_sections_end_at_the_next_heading_of_their_level() -> None:
    (section,) = _sections(REFERENCE, "ran")
    assert section.startswith("## `burst` and `ran`\n")
    assert section.endswith("# not a heading\n```\n### more\n")
    assert _sections(REFERENCE, "take")
    assert not _sections(REFERENCE, "nothing")


def test_rows_come_with_their_head() -> None:
    assert _rows(REFERENCE, "pid") == [
        "| fact | meaning |", "| --- | --- |", "| `uid`, `pid` | who |"
    ]
    assert _terms("`take Q` and `ewma(a, b)`") == {"take Q", "take", "ewma"}


def test_a_page_by_any_case(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "e0301"]) == 0
    assert capfd.readouterr().out.startswith("# E0301: operands of different dimensions\n")


def test_an_unknown_code_has_near_ones(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "E0391"]) == Exit.usage
    assert "did you mean" in capfd.readouterr().err


def test_doctor(capfd: pytest.CaptureFixture[str]) -> None:
    code = run(["doctor", "--json"])
    checks = {one["name"]: one for one in json.loads(capfd.readouterr().out)["checks"]}
    missing = [one for one in checks.values() if one["state"] == "missing"]
    assert code == (Exit.usage if missing else Exit.fine)
    assert checks["python"]["state"] == "ok"
    assert all(one["help"] or one["state"] != "missing" for one in checks.values())
    assert run(["doctor"]) == code
    lines = capfd.readouterr().out.splitlines()
    assert any(line.startswith("ok       python") for line in lines)


def test_init_never_overwrites(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["init", "mine"]) == 0
    assert capfd.readouterr().out == "mine.sched\n"
    Path("mine.sched").write_text("precious")
    assert run(["init", "mine"]) == Exit.usage
    assert "left as it is" in capfd.readouterr().err
    assert Path("mine.sched").read_text() == "precious"
