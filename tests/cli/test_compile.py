"""`check`, `compile` and the settings of tunables, as a user calls them."""

import io
import json
import os
import sys
from pathlib import Path

import pytest

from schedc.cli import run
from schedc.cli.failure import Exit
from schedc.cli.init import STARTER
from schedc.diagnostics.model import Diagnostic
from schedc.toolchain import find_compiler

POLICY = """\
policy small 1.0.0
tune short = 2ms in 1ms..4ms
tune part = 30% in 10%..50%
queue soon fifo
queue all fifo
class quick when burst < tune.short
class every
place { idle anywhere }
enqueue quick to soon slice 4ms
enqueue every to all slice 4ms
dispatch {
  take soon at most tune.part every 40ms
  take all
}
"""

needs_compiler = pytest.mark.skipif(
    isinstance(find_compiler(), Diagnostic), reason="no C compiler for BPF here"
)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SCHEDC_FORMAT", raising=False)
    monkeypatch.delenv("SCHEDC_CC", raising=False)
    Path("small.sched").write_text(POLICY)
    Path("bad.sched").write_text(POLICY.replace("burst", "brust"))
    return tmp_path


def out(capfd: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert run(arguments) == code
    return capfd.readouterr().out


def err(capfd: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert run(arguments) == code
    return capfd.readouterr().err


def stdin(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def test_check(capfd: pytest.CaptureFixture[str]) -> None:
    assert err(capfd, "check", "--no-proof", "small.sched") == "checked 1 policy: no findings\n"
    shown = err(capfd, "check", "small.sched", "bad.sched", code=1)
    assert "--> bad.sched:6:" in shown and "burst" in shown
    assert "checked 2 policies: 1 error; 1 proved" in shown
    assert "checked 2 policies" in err(capfd, "check", ".", code=1)


def test_check_documents_are_the_result(capfd: pytest.CaptureFixture[str]) -> None:
    document = json.loads(out(capfd, "check", "--format", "json", "small.sched"))
    assert document["diagnostics"] == []
    document = json.loads(out(capfd, "check", "--format", "sarif", ".", code=1))
    assert [row["ruleId"][0] for row in document["runs"][0]["results"]] == ["E"]
    concise = err(capfd, "check", "--format", "concise", "bad.sched", code=1)
    assert concise.startswith("bad.sched:6:18: E0") and concise.count("\n") == 1


def test_stdin_has_a_name(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin(monkeypatch, POLICY.replace("burst", "brust"))
    shown = err(capfd, "check", "-", "--stdin-filename", "open.sched", code=1)
    assert "--> open.sched:6:" in shown
    stdin(monkeypatch, POLICY)
    assert "small" in out(capfd, "compile", "--emit", "c", "-")


def test_the_starter_policy_is_clean_and_formatted(capfd: pytest.CaptureFixture[str]) -> None:
    Path("starter.sched").write_text(STARTER.format(name="starter"))
    said = err(capfd, "check", "--deny-warnings", "starter.sched")
    assert "no findings; proved: " in said
    assert run(["fmt", "--diff", "starter.sched"]) == 0


def test_text_goes_to_stdout(capfd: pytest.CaptureFixture[str]) -> None:
    text = out(capfd, "compile", "--emit", "c", "small.sched")
    assert 'SEC("license") = "GPL"' in text and '#line 6 "small.sched"' in text
    assert "small" in out(capfd, "compile", "--emit", "ir", "small.sched")
    assert out(capfd, "compile", "--emit", "tree", "small.sched")


def test_errors_write_nothing(capfd: pytest.CaptureFixture[str], here: Path) -> None:
    shown = err(capfd, "compile", "bad.sched", code=1)
    assert "did you mean `burst`" in shown
    assert sorted(path.name for path in here.iterdir()) == ["bad.sched", "small.sched"]


@needs_compiler
def test_objects_and_several_outputs(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["compile", "small.sched"]) == 0
    assert Path("small.o").read_bytes().startswith(b"\x7fELF")
    assert run(["compile", "small.sched", "--emit", "obj,c", "--emit", "ir", "-o", "to/"]) == 0
    assert sorted(os.listdir("to")) == ["small.c", "small.ir", "small.o"]
    assert run(["compile", "small.sched", "--emit", "c,obj", "-o", "other"]) == 0
    assert Path("other.o").read_bytes() == Path("small.o").read_bytes()
    assert run(["compile", "small.sched", "-o", "named.bpf.o"]) == 0
    assert Path("named.bpf.o").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--emit", "asm"], "asm can't be emitted; there is tree, ir, smt2, c, obj, cert"),
        (["--emit", "c,obj", "-o", "-"], "only one kind can go to stdout"),
        (["--emit", "c", "--set", "shrot=2ms"], "did you mean `short`?"),
        (["--emit", "c", "--set", "short"], "write NAME=VALUE"),
        (["--emit", "c", "--set", "short=2"], "`2` is no time; write a value in 1ms..4ms"),
        (["--emit", "c", "--set", "short=1.5ms"], "is no time"),
        (["--emit", "c", "--set", "tune.short=5ms"], "is outside the range 1ms..4ms"),
        (["--emit", "c", "--set", "part=5%"], "is outside the range 10%..50%"),
        (["--emit", "c", "-o", "no/such/folder.c"], "can't write `no/such/folder.c`"),
        (["--cc", "/no/such/cc"], "`/no/such/cc` can't compile BPF"),
    ],
)
def test_usage_errors(
    arguments: list[str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert message in err(capfd, "compile", "small.sched", *arguments, code=Exit.usage)


def test_settings_change_defaults(capfd: pytest.CaptureFixture[str]) -> None:
    base = out(capfd, "compile", "--emit", "c", "small.sched")
    changed = out(
        capfd, "compile", "--emit", "c", "--set", "short=3ms", "--set", "part=50%", "small.sched"
    )
    assert "tune_short = 2 * NSEC_PER_MSEC" in base
    assert "tune_short = 3 * NSEC_PER_MSEC" in changed
    assert "tune_part = 50" in changed


def test_counters_can_be_left_out(capfd: pytest.CaptureFixture[str]) -> None:
    counted = out(capfd, "compile", "--emit", "c", "small.sched")
    plain = out(capfd, "compile", "--emit", "c", "--no-counters", "small.sched")
    include = '#include "counters.h"'
    assert include in counted and include not in plain


def test_no_compiler_names_the_command(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("schedc.toolchain.find._candidates", lambda *_: iter(()))
    shown = err(capfd, "compile", "small.sched", code=Exit.usage)
    assert "error[E0701]" in shown and "pip install ziglang" in shown
    assert not Path("small.o").exists()


def test_messages_of_the_compiler_name_the_policy(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = find_compiler()
    if isinstance(compiler, Diagnostic):
        pytest.skip(compiler.message)
    import schedc.pipeline

    generate = schedc.pipeline.generate

    def broken(*arguments: object, **named: object) -> str:
        text = generate(*arguments, **named)  # type: ignore[arg-type]
        place = '#line 6 "small.sched"\n'
        assert place in text
        return text.replace(place, place + "no_such_function(); ", 1)

    monkeypatch.setattr(schedc.pipeline, "generate", broken)
    shown = err(capfd, "compile", "small.sched", code=1)
    assert "error[E0702]" in shown and "small.sched:6:1" in shown
    assert "class quick when burst < tune.short" in shown
    assert not Path("small.o").exists()


def test_the_policy_of_the_readme_is_clean(capfd: pytest.CaptureFixture[str]) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    block = readme[readme.index("    policy ") :].split("\n\n## ", 1)[0]
    text = "\n".join(line.removeprefix("    ") for line in block.splitlines()) + "\n"
    Path("readme.sched").write_text(text)
    said = err(capfd, "check", "--deny-warnings", "readme.sched")
    assert "no findings; proved: " in said
