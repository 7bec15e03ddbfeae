"""Every line of the card goes through the whole prover: it ends, says why, and cvc5 agrees."""

from pathlib import Path

import pytest

from schedc.pipeline import analyze, policy_bytes, prove
from schedc.prove.certificate import certify
from schedc.prove.diagnose import diagnose
from schedc.prove.recheck import Files, recheck
from schedc.prove.result import Verdict
from schedc.source import Source

POLICIES = sorted((Path(__file__).parents[1] / "language" / "policies").glob("*.sched"))
QUICK = POLICIES[::30]


def _all_of_it(path: Path) -> None:
    source = Source.from_text(path.name, path.read_text(encoding="utf-8"))
    analysis = analyze(source)
    proof = prove(analysis, source, cached=False)
    found = diagnose(proof)
    assert (found == ()) is (proof.verdict is Verdict.proved)
    codes = {one.code for one in found}
    unproven = all(code.startswith("E059") for code in codes)
    assert unproven is (proof.verdict is not Verdict.refuted)
    assert (proof.run is not None) is bool(codes & {"E0501", "E0505"})
    if proof.verdict is Verdict.proved:
        pytest.importorskip("cvc5")
        certificate = certify(proof, policy_bytes(source, analysis.sources), {})
        assert recheck(certificate.encode(), Files()).obligations == len(proof.obligations)


@pytest.mark.parametrize("path", QUICK, ids=lambda path: path.stem)
def test_some_of_them(path: Path) -> None:
    _all_of_it(path)


@pytest.mark.slow
@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_all_of_them(path: Path) -> None:
    _all_of_it(path)
