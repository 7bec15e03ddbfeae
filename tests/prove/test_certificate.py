"""A certificate holds as it is, and not with any byte changed; cvc5 has the last word."""

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from schedc.prove import certificate, recheck
from schedc.prove.result import Proof, Verdict
from schedc.prove.whole import Files, Refused
from tests.prove import samples

pytest.importorskip("cvc5")
ROOT = Path(__file__).parents[2]
C, OBJECT = b"int x;\n", b"\x7fELF object"
BUILD = {
    "compiler": "clang 19.1.0", "flags": ["-O2"], "headers": {},
    "c": hashlib.sha256(C).hexdigest(), "object": hashlib.sha256(OBJECT).hexdigest(),
}  # fmt: skip


def certified(proof: Proof | None = None) -> str:
    return certificate.certify(proof or samples.proof(), samples.SOURCES, BUILD)


def all_files(text: str) -> Files:
    mark = f"proof {json.loads(text)['identity']}"
    bases = {"stdlib/fifo": samples.SOURCES["stdlib/fifo"]}
    return Files(samples.SOURCES[""], bases, C, OBJECT, mark)


def signed(body: dict[str, Any]) -> bytes:
    """A certificate with other contents, its hashes made again as a forger would."""
    body = {name: value for name, value in body.items() if name != "sha256"}
    body["identity"] = certificate.identity(body)
    body["hashes"] = certificate.part_hashes(body)
    body["sha256"] = certificate.digest(body)
    return certificate.text(body).encode()


def refused(data: bytes, files: Files | None = None) -> str:
    with pytest.raises(Refused) as caught:
        recheck.recheck(data, files or Files())
    return caught.value.what


def test_it_holds_and_is_the_same_each_time() -> None:
    text = certified()
    assert text == certified()
    done = recheck.recheck(text.encode(), all_files(text))
    assert (done.policy, done.obligations, done.waived, done.runnable) == ("sample", 5, 1, 64)
    assert done.wait_ns == 24_000_000 * 65
    assert done.compared == ("policy", "stdlib/fifo", "C", "object")
    assert recheck.recheck(text.encode(), Files()).compared == ()


def test_times_of_the_solver_are_not_in_it() -> None:
    good = samples.proof()
    slower = tuple(replace(one, ms=99.0, rlimit=1) for one in good.obligations)
    assert certified(replace(good, obligations=slower)) == certified()


def test_any_changed_byte_is_refused() -> None:
    data = certified().encode()
    for at in range(0, len(data), 7):
        for change in (1, 0x20):
            broken = bytearray(data)
            broken[at] ^= change
            refused(bytes(broken))
    for size in (0, 1, len(data) // 2, len(data) - 1):
        refused(data[:size])
    refused(data + b"\n")
    refused(data.replace(b'\n "', b'\n  "', 1))


@pytest.mark.parametrize(
    ("part", "other", "named"),
    [
        ("at most N tasks", "at most M tasks", "assumptions"),
        ('"runnable": 64', '"runnable": 65', "runnable"),
        ("RES + N r", "RES + N s", "bounds"),
        ("clang 19.1.0", "clang 19.1.1", "build"),
        ('"version": "1.0.0"', '"version": "1.0.1"', "policy"),
        ("(<= slice 20)", "(<= slice 10)", "obligation bounded.slice"),
        ('"model": "1"', '"model": "2"', "model"),
    ],
)
def test_what_was_changed_is_named(part: str, other: str, named: str) -> None:
    text = certified()
    assert part in text
    said = refused(text.replace(part, other).encode())
    assert said.startswith("changed in the certificate: ") and named in said


def test_other_files_are_refused_and_named() -> None:
    text = certified()
    good = all_files(text)
    for name, what in (("policy", "the policy"), ("c", "the C"), ("object", "the object")):
        data = getattr(good, name)
        other = data[:-1] + bytes([data[-1] ^ 1])
        said = refused(text.encode(), replace(good, **{name: other}))
        assert said == f"{what} is not the one that was proved"
    said = refused(text.encode(), replace(good, bases={"stdlib/fifo": b"x"}))
    assert said == "the policy `stdlib/fifo` that it extends is not the one that was proved"
    for mark in (None, "unproven", f"proof {'0' * 64}"):
        said = refused(text.encode(), replace(good, mark=mark))
        assert said == "the object doesn't carry this proof's mark"


def body(**changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(certified())
    return {**found, **changes}


def with_obligation(**changes: Any) -> bytes:
    first, *rest = body()["obligations"]
    return signed(body(obligations=[{**first, **changes}, *rest]))


def with_bound(**changes: Any) -> bytes:
    first, *rest = body()["bounds"]
    return signed(body(bounds=[{**first, **changes}, *rest]))


def test_a_forger_s_hashes_don_t_help() -> None:
    assert recheck.recheck(signed(body()), Files()).obligations == 5, "the control"
    assert "doesn't confirm" in refused(with_obligation(smt2=samples.FAILS))
    assert "has no query" in refused(with_obligation(smt2=""))
    assert "is `unproven`" in refused(with_obligation(verdict="unproven"))
    assert "have one name" in refused(with_obligation(name="placed.all"))
    assert "claims no proof" in refused(signed(body(verdict="refuted")))
    assert "has no obligation of: placed" in refused(
        signed(body(obligations=[o for o in body()["obligations"] if o["property"] != "placed"]))
    )
    assert "differ in classes: few" in refused(signed(body(bounds=body()["bounds"][:1])))
    assert "differ in classes: few" in refused(
        signed(body(obligations=[o for o in body()["obligations"] if o["name"][-3:] != "few"]))
    )
    assert "contenders differ" in refused(signed(body(runnable=65)))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"a_ns": "1"}, "the bound of `all` is"),
        ({"wait_ns": 1}, "the bound of `all` is 1560000000 ns at 64 tasks, not the 1 ns"),
        ({"promise_ns": 1_559_999_999}, "passes its promise"),
        ({"most_runnable": 1250}, "the most tasks"),
        ({"most_runnable": 1248}, "the most tasks"),
        ({"b_ns": "-1"}, "is negative"),
    ],
)
def test_the_arithmetic_is_made_again(changes: dict[str, Any], said: str) -> None:
    assert said in refused(with_bound(**changes))


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ('(echo "unsat")', "`echo` has no place"),
        ("(set-logic QF_LIA)\n(push 1)\n(assert false)\n(check-sat)", "`push` has no place"),
        ("(set-logic QF_LIA)\n(assert false)\n(check-sat)\n(check-sat)", "it goes on"),
        ("(set-logic QF_LIA)\n(assert false)", "it asks nothing"),
        ("(set-logic QF_LIA)\n(assert (> x 1))\n(check-sat)", "it can't be read"),
        ("(set-logic QF_LIA)\n(assert false", "it can't be read"),
        ("(set-logic QF_LIA)\n(check-sat)", "sat"),
        ("(set-option :produce-models true)\n(assert false)\n(check-sat)", "`set-option`"),
        ("(set-info :status unsat)\n(set-logic QF_LIA)\n(check-sat)", "sat"),
    ],
)
def test_a_query_can_t_answer_itself(query: str, said: str) -> None:
    assert said in refused(with_obligation(smt2=query))


def test_hard_queries_end_at_a_limit_of_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recheck, "RLIMIT", "20000")
    hard = "(set-logic QF_BV)\n" + "".join(f"(declare-const {n} (_ BitVec 40))\n" for n in "ab")
    hard += "(assert (= (bvmul a b) #x123456789b))(assert (bvugt a #x0000000001))"
    hard += "(assert (bvult a b))(assert (bvult b #x0000100000))\n(check-sat)\n"
    assert "unknown" in refused(with_obligation(smt2=hard))


def test_a_certificate_of_no_proof_is_refused() -> None:
    text = certified(samples.failed(Verdict.unproven))
    assert refused(text.encode()) == "the certificate claims no proof: its verdict is `unproven`"


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b"null", b"\xff", b'{"schedc": 1}', b"[" * 100_000]
)
def test_anything_else_is_no_certificate(data: bytes) -> None:
    assert refused(data) == "the file is not a certificate of schedc"


def test_it_needs_neither_the_solver_nor_the_generator(tmp_path: Path) -> None:
    path = tmp_path / "sample.cert"
    path.write_text(certified())
    program = (
        "import sys; from schedc.cli import run; code = run(sys.argv[1:]);"
        "print('\\n'.join(['MODULES', *sys.modules])); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "recheck", str(path)], cwd=ROOT, capture_output=True,
        text=True, check=True,
    )
    imported = set(done.stdout.partition("MODULES\n")[2].split())
    assert "cvc5" in imported and "sample 1.0.0: cvc5 confirms 4 obligations" in done.stdout
    prefixes = (
        "z3", "lark", "jinja2", "schedc.emit", "schedc.passes", "schedc.pipeline", "schedc.syntax",
        "schedc.ir", "schedc.prove.prove", "schedc.prove.solve", "schedc.prove.terms",
        "schedc.prove.obligations", "schedc.model", "schedc.refute",
    )  # fmt: skip
    wrong = {one for one in imported if one.startswith(prefixes)}
    assert not wrong


def test_queries_as_files() -> None:
    files = certificate.smt2_files(samples.proof())
    assert list(files) == [
        "bounded.slice.smt2", "placed.all.smt2", "starvation-free.all.smt2",
        "starvation-free.few.smt2",
    ]  # fmt: skip
    assert set(files.values()) == {samples.HOLDS}
