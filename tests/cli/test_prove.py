"""`prove`, the proof inside `check` and `compile`, certificates and `recheck`: what is shown."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from schedc.cli import run
from schedc.cli.failure import Exit
from schedc.diagnostics.model import Diagnostic
from schedc.toolchain import find_compiler, read_mark

ROOT = Path(__file__).parents[2]
FIFO = """\
policy small 1.0.0
assume runnable <= 64 per cpu
assume weight in 50..200
tune length = 10ms in 5ms..20ms
queue all fifo
class every
place { idle anywhere }
enqueue every to all slice tune.length
dispatch { take all }
"""
# A line without a bound above another one: the class below starves.
STRICT = """\
policy strict 1.0.0
queue first fifo
queue rest fifo
class picked when kthread
class other
place { idle anywhere }
enqueue picked to first slice 4ms
enqueue other to rest slice 8ms
dispatch {
  take first
  take rest
}
"""
# A bound that is too long, though nobody waits so long in any run that is found.
UNKNOWN = """\
policy unknown 1.0.0
assume runnable <= 96 per cpu
assume weight in 50..200
queue q by vtime within -40ms..100ms
state task.used : vtime of q
class all
on stop { task.used += charge(ran) }
place { idle anywhere }
enqueue all to q key task.used slice 20ms
dispatch { take q }
"""

needs_compiler = pytest.mark.skipif(
    isinstance(find_compiler(), Diagnostic), reason="no C compiler for BPF here"
)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("SCHEDC_FORMAT", "SCHEDC_CC"):
        monkeypatch.delenv(name, raising=False)
    Path("small.sched").write_text(FIFO)
    Path("strict.sched").write_text(STRICT)
    Path("unknown.sched").write_text(UNKNOWN)
    return tmp_path


def shown(capfd: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[str, str]:
    assert run(["--no-config", *arguments]) == code
    captured = capfd.readouterr()
    return captured.out, captured.err


def test_a_proof_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    out, err = shown(capfd, "prove", "small.sched")
    assert out.startswith("small 1.0.0 is proved: no task that could run is left waiting")
    for part in ("longest wait", "N = 64", "Slack: ", "E1 ", "bounded.", "starvation-free.every"):
        assert part in out
    assert err == ""


def test_more_contenders_wait_longer(capfd: pytest.CaptureFixture[str]) -> None:
    def wait(*options: str, code: int = 0) -> int:
        out, _ = shown(capfd, "prove", "small.sched", "--format", "json", *options, code=code)
        (proof,) = json.loads(out)["proofs"]
        return int(proof["bounds"][0]["wait_ns"])

    usual = wait()
    assert wait("--runnable", "128") > usual > wait("--runnable", "32")
    assert wait("--set", "length=5ms") < wait("--set", "length=5ms..8ms") < usual
    assert wait("--tick", "8ms") > usual > wait("--tick", "1ms")
    assert wait("--higher", "50ms,10%") > usual
    assert wait("--changes", "2") > usual
    assert wait("--weights", "100..100") <= usual


def test_a_narrower_proof_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    out, _ = shown(
        capfd, "prove", "small.sched", "--weights", "60..70", "--set", "tune.length=5ms..8ms",
        "--runnable", "9",
    )  # fmt: skip
    assert (
        "Only for 9 contenders of the declared 64, weights of 60..70 of 50..200, `length` of "
        "5ms..8ms of 5ms..20ms: nothing in the object enforces that."
    ) in " ".join(out.split())
    assert "Only for" not in shown(capfd, "prove", "small.sched", "--runnable", "65")[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--runnable", "0"], "0 is not in the range"),
        (["--weights", "50"], "write LO..HI"),
        (["--weights", "200..50"], "write LO..HI"),
        (["--weights", "1..100"], "the policy assumes weights of 50..200"),
        (["--tick", "4"], "write a time with its unit"),
        (["--higher", "5%"], "write a burst and a share"),
        (["--higher", "1ms,100%"], "write a burst and a share"),
        (["--set", "lenght=5ms"], "did you mean `length`?"),
        (["--set", "length=4ms"], "outside the range"),
        (["--set", "length=9ms..6ms"], "the wrong way round"),
    ],
)
def test_usage_errors(
    options: list[str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    _, err = shown(capfd, "prove", "small.sched", *options, code=Exit.usage)
    assert message in err and err.count("\n") == 2


def test_a_refutation_is_told_and_replays(capfd: pytest.CaptureFixture[str]) -> None:
    out, err = shown(capfd, "prove", "strict.sched", "--run", "run.json", code=Exit.findings)
    assert "strict 1.0.0 is refuted" in out
    assert err.startswith("error[E0501]: a task of class `other` may wait for ever")
    assert "--> strict.sched:" in err
    told, _ = shown(capfd, "prove", "strict.sched", "--replay", "run.json", code=Exit.findings)
    assert "Replayed" in told
    told, _ = shown(capfd, "prove", "small.sched", "--replay", "run.json", code=Exit.refused)
    assert "was changed" in told
    for other in ("{}", "[]", "7", '{"blocks": 3}'):
        Path("run.json").write_text(other)
        shown(capfd, "prove", "strict.sched", "--replay", "run.json", code=Exit.refused)
    Path("run.json").write_text("{")
    _, err = shown(capfd, "prove", "strict.sched", "--replay", "run.json", code=Exit.usage)
    assert "is not JSON" in err


def test_who_applies_the_fix_has_a_proof(capfd: pytest.CaptureFixture[str]) -> None:
    out, _ = shown(capfd, "check", "strict.sched", "--format", "json", code=Exit.findings)
    found = next(one for one in json.loads(out)["diagnostics"] if one["code"] == "E0501")
    text = STRICT
    for edit in found["fix"]:
        start, end = (edit["span"][which]["offset"] for which in ("start", "end"))
        text = text[:start] + edit["replacement"] + text[end:]
    Path("mended.sched").write_text(text)
    _, err = shown(capfd, "check", "--deny-warnings", "mended.sched")
    assert "no findings; proved: " in err
    assert found["help"].startswith(f"write `{found['fix'][0]['replacement']}`: then it proves")


def test_unproven_has_its_own_exit_code(capfd: pytest.CaptureFixture[str]) -> None:
    out, err = shown(capfd, "prove", "unknown.sched", code=Exit.unproven)
    assert "unknown 1.0.0 is unproven" in out and "error[E059" in err
    shown(capfd, "check", "unknown.sched", code=Exit.unproven)
    shown(capfd, "check", ".", code=Exit.findings)


def test_documents_carry_the_whole_proof(capfd: pytest.CaptureFixture[str]) -> None:
    out, _ = shown(capfd, "prove", "strict.sched", "--format", "json", code=Exit.findings)
    document = json.loads(out)
    (proof,) = document["proofs"]
    assert proof["verdict"] == "refuted" and proof["run"]["victim_class"] == "other"
    assert document["diagnostics"][0]["code"] == "E0501"
    out, _ = shown(capfd, "check", "small.sched", "strict.sched", "--format", "json", code=1)
    proofs = json.loads(out)["proofs"]
    assert [(one["file"], one["verdict"]) for one in proofs] == [
        ("small.sched", "proved"), ("strict.sched", "refuted"),
    ]  # fmt: skip
    assert proofs[0]["obligations"][0]["smt2"].startswith("(set-logic")
    out, _ = shown(capfd, "prove", "strict.sched", "--format", "sarif", code=Exit.findings)
    assert json.loads(out)["runs"][0]["results"][0]["ruleId"] == "E0501"
    out, _ = shown(capfd, "prove", "small.sched", "--format", "concise")
    assert out.startswith("small.sched: proved: waits of at most") and out.count("\n") == 1


def test_check_is_short(capfd: pytest.CaptureFixture[str]) -> None:
    _, err = shown(capfd, "check", "small.sched")
    assert err.startswith("checked 1 policy: no findings; proved: waits of at most ")
    assert err.count("\n") == 1
    _, err = shown(capfd, "check", "--no-proof", "small.sched", "strict.sched")
    assert "proved" not in err and "E0501" not in err


def test_check_of_an_unchanged_file_loads_no_solver(tmp_path: Path) -> None:
    program = (
        "import sys; from schedc.cli import run; code = run(sys.argv[1:]);"
        "print('\\n'.join(['MODULES', *sys.modules])); sys.exit(code)"
    )

    def modules(*options: str) -> set[str]:
        done = subprocess.run(
            [sys.executable, "-c", program, "--no-config", "check", "small.sched", *options],
            capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(tmp_path / "cache")},
        )
        assert "; proved: " in done.stderr
        return set(done.stdout.partition("MODULES\n")[2].split())

    heavy = {"z3", "schedc.prove.prove", "schedc.prove.solve", "schedc.refute", "schedc.model"}
    assert heavy & modules() == {"z3", "schedc.prove.prove", "schedc.prove.solve"}
    assert not heavy & modules()
    assert "z3" in modules("--no-cache")
    with open("small.sched", "a") as file:
        file.write("\n")
    assert "z3" in modules(), "another text is another policy"


@needs_compiler
def test_compile_says_what_is_proved(capfd: pytest.CaptureFixture[str]) -> None:
    out, err = shown(capfd, "compile", "small.sched")
    assert out.startswith("small 1.0.0 is proved: no task that could run is left waiting")
    for part in ("longest wait", "Slack: ", "E1 ", "Obligations: "):
        assert part in out
    assert "bounded." not in out and err == "wrote small.o\n"
    mark = read_mark(Path("small.o").read_bytes())
    assert mark is not None and mark.startswith("proof ") and len(mark) == 70
    out, _ = shown(capfd, "compile", "small.sched", "-v")
    assert "bounded." in out
    out, _ = shown(capfd, "compile", "small.sched", "--format", "json")
    assert json.loads(out)["wrote"] == {"obj": "small.o"}


@needs_compiler
@pytest.mark.parametrize(("name", "code"), [("strict", 1), ("unknown", 3)])
def test_no_object_without_a_proof(
    name: str, code: int, capfd: pytest.CaptureFixture[str], here: Path
) -> None:
    before = sorted(os.listdir(here))
    for kinds in ("obj", "cert", "obj,c,smt2"):
        _, err = shown(capfd, "compile", f"{name}.sched", "--emit", kinds, code=code)
        assert "error[E0594]: no object is written" in err and "--allow-unproven" in err
    assert sorted(os.listdir(here)) == before
    _, err = shown(capfd, "compile", f"{name}.sched", "--allow-unproven", "--emit", "obj,cert")
    assert "note[N0598]" in err and "error" not in err
    assert read_mark(Path(f"{name}.o").read_bytes()) == "unproven"
    _, err = shown(capfd, "recheck", f"{name}.cert", code=Exit.refused)
    assert "claims no proof" in err
    # What only shows the policy needs no proof.
    out, err = shown(capfd, "compile", f"{name}.sched", "--emit", "c")
    assert "struct_ops" in out and "error" not in err


def test_queries_as_text_or_files(capfd: pytest.CaptureFixture[str]) -> None:
    out, _ = shown(capfd, "compile", "small.sched", "--emit", "smt2")
    assert out.count("(check-sat)") == out.count("(reset)") >= 8
    shown(capfd, "compile", "small.sched", "--emit", "smt2", "-o", "to/")
    files = os.listdir("to/small.smt2")
    assert len(files) == out.count("(check-sat)")
    assert all(f"; {name}\n" in out for name in files)


@needs_compiler
def test_recheck(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("cvc5")
    shown(capfd, "compile", "small.sched", "--emit", "obj,c,cert")
    files = (
        ("--policy", "small.sched", "the policy"), ("--c", "small.c", "the C"),
        ("--object", "small.o", "the object"),
    )  # fmt: skip
    options = [word for option, name, _ in files for word in (option, name)]
    out, _ = shown(capfd, "recheck", "small.cert", *options)
    assert out.startswith("small 1.0.0: cvc5 confirms ") and "the same policy, C, object" in out
    out, _ = shown(capfd, "recheck", "small.cert", "--format", "json")
    assert json.loads(out)["verdict"] == "proved"
    for option, name, what in files:
        whole = Path(name).read_bytes()
        Path(name).write_bytes(whole[:50] + bytes([whole[50] ^ 1]) + whole[51:])
        _, err = shown(capfd, "recheck", "small.cert", option, name, code=Exit.refused)
        assert f"error[E0595]: `small.cert`: {what} is not the one that was proved" in err
        Path(name).write_bytes(whole)
    certificate = Path("small.cert").read_text()
    Path("small.cert").write_text(certificate.replace('"tick_ns": 4000000', '"tick_ns": 4000001'))
    _, err = shown(capfd, "recheck", "small.cert", code=Exit.refused)
    assert "changed in the certificate: parameters" in err
    assert shown(capfd, "recheck", "none.cert", code=Exit.usage)[1].startswith("error[E0111]")


@needs_compiler
def test_certificates_are_the_same_each_time(capfd: pytest.CaptureFixture[str]) -> None:
    shown(capfd, "compile", "small.sched", "--emit", "cert", "--no-cache", "-o", "one.cert")
    shown(capfd, "compile", "small.sched", "--emit", "cert", "-o", "two.cert")
    assert Path("one.cert").read_bytes() == Path("two.cert").read_bytes()


@needs_compiler
def test_a_base_is_part_of_what_is_certified(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("cvc5")
    Path("mine.sched").write_text("policy mine 1.0.0\nextends stdlib/fifo@1\n")
    shown(capfd, "compile", "mine.sched", "--emit", "cert")
    out, _ = shown(capfd, "recheck", "mine.cert", "--policy", "mine.sched")
    assert "stdlib/fifo" in out
    monkeypatch.setattr("schedc.cli.recheck.read_data", lambda _: "policy fifo 1.0.0\n")
    _, err = shown(
        capfd, "recheck", "mine.cert", "--policy", "mine.sched", code=Exit.refused
    )
    assert "the policy `stdlib/fifo` that it extends is not the one that was proved" in err


@needs_compiler
def test_recheck_without_cvc5_names_the_command(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown(capfd, "compile", "small.sched", "--emit", "cert")
    monkeypatch.setitem(sys.modules, "cvc5", None)
    _, err = shown(capfd, "recheck", "small.cert", code=Exit.usage)
    assert "error[E0596]: cvc5 is not installed" in err
    assert "-m pip install 'schedc[recheck]'" in err


@needs_compiler
def test_the_readme_shows_what_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    readme = (ROOT / "README.md").read_text()
    block = readme[readme.index("    $ schedc compile stdlib") :].split("\n\nBelow that", 1)[0]
    lines = [line.removeprefix("    ") for line in block.splitlines()]
    command, *wanted = lines
    policy = ROOT / command.removeprefix("$ schedc compile ")
    out, _ = shown(capfd, "compile", str(policy))
    assert out.startswith("\n".join(wanted))
