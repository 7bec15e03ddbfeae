"""Any bytes whatever end in diagnostics: no traceback, at most a second each, exit 0 or 1.

Seeds 0..9,999 run with the suite. The campaign is `make fuzz`: a million sources, in order; set
FUZZ_FROM and FUZZ_COUNT for another stretch. To see one again:

    python -m tests.fuzz.test_hostile SEED
"""

from __future__ import annotations

import os
import signal
import sys
import time
import unicodedata
from pathlib import Path

import pytest

from schedc.cli import run
from schedc.diagnostics.render import Format, render
from schedc.diagnostics.render.located import Sources
from schedc.pipeline import analyze, generate
from schedc.source import Source, Span
from tests.fuzz.mutate import source

SUITE = 10_000
CHUNK = 500
CAMPAIGN = int(os.environ.get("FUZZ_COUNT", "1000000"))
FIRST = int(os.environ.get("FUZZ_FROM", str(SUITE)))
LIMIT_S = 1.0
HANG_S = 10.0
"""Cpu time after which a source is given up: an endless loop fails the test at once."""


def is_inside(span: Span, sources: Sources) -> bool:
    """Whether a span lies within a text that is known."""
    source = sources.of(span)
    return source is not None and 0 <= span.start <= span.end <= len(source.text)


def compile_one(data: bytes) -> bool:
    """Take bytes as far as C text; returns whether they are a policy. Checks what is shown."""
    text, found = Source.from_bytes("fuzz.sched", data)
    diagnostics = list(found)
    analysis = None
    if not found:
        analysis = analyze(text)
        diagnostics += analysis.diagnostics
    errors = [one for one in diagnostics if one.is_error]
    sources = Sources(text, analysis.sources if analysis is not None else {})
    for one in diagnostics:
        for span in (one.span, *(label.span for label in one.secondary)):
            assert span is None or is_inside(span, sources), one
    shown = render(diagnostics, sources, Format.full)
    assert not any(
        unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp") for char in shown if char != "\n"
    )
    if errors:
        return False
    assert analysis is not None and analysis.policy is not None, "no policy and no error"
    generate(analysis.policy, text, sources=analysis.sources)
    return True


def _hangs(*_: object) -> None:
    raise TimeoutError(f"no end after {HANG_S} s")


def check(seeds: range) -> int:
    """How many of the seeds are policies; fails with the seed at the first that misbehaves."""
    good = 0
    signal.signal(signal.SIGVTALRM, _hangs)
    for seed in seeds:
        data = source(seed)
        begin = time.process_time()
        signal.setitimer(signal.ITIMER_VIRTUAL, HANG_S)
        try:
            good += compile_one(data)
        except Exception as bug:
            raise AssertionError(f"seed {seed}: {type(bug).__name__}: {bug}") from bug
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        took = time.process_time() - begin
        assert took <= LIMIT_S, f"seed {seed} took {took:.2f} s"
    return good


@pytest.mark.parametrize("start", range(0, SUITE, CHUNK))
def test_hostile_sources(start: int) -> None:
    good = check(range(start, start + CHUNK))
    # If no mutant were a policy any more, nothing behind the parser would be tried.
    assert good < CHUNK


@pytest.mark.slow
@pytest.mark.parametrize("start", range(FIRST, FIRST + CAMPAIGN, 10_000))
def test_campaign(start: int) -> None:
    check(range(start, min(start + 10_000, FIRST + CAMPAIGN)))


@pytest.mark.parametrize("seed", range(200))
def test_exit_codes(seed: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The same through the command line: findings or fine, and never an internal error."""
    path = tmp_path / "fuzz.sched"
    path.write_bytes(source(seed))
    assert run(["--no-config", "check", "--no-proof", str(path)]) in (0, 1)
    assert "Traceback" not in capfd.readouterr().err


def test_sources_are_reproducible() -> None:
    assert source(7) == source(7)
    assert len({source(seed) for seed in range(100)}) > 90


def test_some_mutants_are_policies() -> None:
    """So that the passes behind the parser, and the code generator, are tried as well."""
    assert check(range(300)) >= 5


if __name__ == "__main__":
    data = source(int(sys.argv[1]))
    sys.stdout.buffer.write(data)
    compile_one(data)
