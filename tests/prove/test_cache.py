"""The cache answers only with what this prover made of these bytes, and is never an error."""

import errno
import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from schedc.ir.nodes import Interval
from schedc.prove import cache
from schedc.prove.encoding import decode, encode
from schedc.prove.parameters import Parameters
from tests.prove import samples

PARAMETERS = Parameters(64, Interval(1, 10_000), (("slice", Interval(1, 5)),))
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_what_is_kept_comes_back() -> None:
    run = {"victim_class": "all", "steps": [1, 2]}
    for proof in (samples.proof(), replace(samples.proof(), run=run)):
        cache.save("name", proof)
        assert cache.load("name") == proof
    assert cache.load("other") is None


def test_plain_values_and_back() -> None:
    values = json.loads(json.dumps(encode(samples.proof())))
    assert decode(values) == samples.proof()
    assert values["bounds"][1]["wait_ns"] == 21_333_334, "rounded up"


@pytest.mark.parametrize("part", ["obligations", "bounds", "assumptions", "parameters"])
def test_other_values_are_no_proof(part: str) -> None:
    values = encode(samples.proof())
    for wrong in (None, 7, "x", [1], [{}], [None]):
        with pytest.raises(ValueError):
            decode({**values, part: wrong})
    del values[part]
    with pytest.raises(ValueError, match="not a proof"):
        decode(values)


def test_no_document_at_all_is_no_proof() -> None:
    for wrong in (None, 7, "x", [], {}):
        with pytest.raises(ValueError, match="not a proof"):
            decode(wrong)


def test_the_key_depends_on_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {
        cache.key(samples.SOURCES, PARAMETERS),
        cache.key({"": b"policy sample 1.0.1\n"}, PARAMETERS),
        cache.key({**samples.SOURCES, "stdlib/fifo": b"x"}, PARAMETERS),
        cache.key(samples.SOURCES, replace(PARAMETERS, runnable=65)),
        cache.key(samples.SOURCES, replace(PARAMETERS, weight=Interval(1, 100))),
        cache.key(samples.SOURCES, replace(PARAMETERS, tunes=())),
        cache.key(samples.SOURCES, replace(PARAMETERS, tick_ns=1)),
        cache.key(samples.SOURCES, replace(PARAMETERS, changes=1)),
        cache.key(samples.SOURCES, replace(PARAMETERS, higher_percent=1)),
    }
    monkeypatch.setattr(cache, "prover_version", lambda: "another prover")
    keys.add(cache.key(samples.SOURCES, PARAMETERS))
    assert len(keys) == 10


def test_the_version_is_that_of_the_whole_prover(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "schedc"
    for part in cache._PARTS:
        (package / part / "sub").mkdir(parents=True)
        (package / part / "sub" / "a.py").write_text("x = 1\n")
    for name in cache._FILES:
        (package / name).write_text("")
    monkeypatch.setattr(cache, "_PACKAGE", package)
    versions = {cache.prover_version.__wrapped__()}
    for part in cache._PARTS:
        (package / part / "sub" / "a.py").write_text("x = 2\n")
        versions.add(cache.prover_version.__wrapped__())
    for name in cache._FILES:
        (package / name).write_text("\n")
        versions.add(cache.prover_version.__wrapped__())
    monkeypatch.setattr(cache, "_solver_version", lambda: "another solver")
    versions.add(cache.prover_version.__wrapped__())
    assert len(versions) == len(cache._PARTS) + len(cache._FILES) + 2


def test_the_solver_s_version_is_known_without_it() -> None:
    program = (
        "import sys; from schedc.prove.cache import _solver_version as v; print(v());"
        "assert 'z3' not in sys.modules and 'importlib.metadata' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.startswith("z3_solver-")


def test_any_broken_byte_is_no_answer_and_is_made_good() -> None:
    cache.save("name", samples.proof())
    path = cache.folder() / "name.json"
    whole = path.read_bytes()
    for at in range(0, len(whole), 101):
        broken = bytearray(whole)
        broken[at] ^= 1
        path.write_bytes(bytes(broken))
        assert cache.load("name") is None
    for size in (0, 10, 64, 65, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert cache.load("name") is None
    # A whole entry under another name is not what was asked for.
    (cache.folder() / "other.json").write_bytes(whole)
    assert cache.load("other") is None
    cache.save("name", samples.proof())
    assert cache.load("name") == samples.proof()


def test_a_full_disk_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    cache.save("name", samples.proof())

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        cache.save("name", replace(samples.proof(), version="2.0.0"))
    assert cache.load("name") == samples.proof(), "what was there is unchanged"
    assert [path.name for path in cache.folder().iterdir()] == ["name.json"]


def test_no_place_to_write_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    cache.save("name", samples.proof())
    assert cache.load("name") is None
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/no")
    cache.save("name", samples.proof())
    assert cache.load("name") is None


def test_relative_folders_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache.folder() == Path.home() / ".cache" / "schedc" / "proofs"


def test_many_at_once_see_whole_entries_only() -> None:
    proofs = [replace(samples.proof(), version=f"1.0.{n}") for n in range(8)]
    seen: list[object] = []

    def write(n: int) -> None:
        for _ in range(20):
            cache.save("name", proofs[n])
            seen.append(cache.load("name"))

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(seen) == 160 and all(one in proofs for one in seen)
    assert [path.name for path in cache.folder().iterdir()] == ["name.json"]


def test_the_oldest_entries_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "KEEP", 3)
    for n in range(5):
        cache.save(f"n{n}", samples.proof())
        os.utime(cache.folder() / f"n{n}.json", (n, n))
    cache.save("last", samples.proof())
    assert sorted(path.name for path in cache.folder().iterdir()) == [
        "last.json", "n3.json", "n4.json",
    ]  # fmt: skip
