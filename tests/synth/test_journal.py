"""Messages come back as they were; a journal survives what kills its process."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from schedc.synth.goal import Constraint, Goal, Objective
from schedc.synth.journal import FILE, Journal, JournalError, step_key
from schedc.synth.messages import (
    Answered,
    Best,
    Candidate,
    Ended,
    Judged,
    Message,
    NotAMessage,
    Observed,
    Ratio,
    Simulated,
    Spent,
    Started,
    Trait,
    Tried,
    decode,
    encode,
)

GOAL = Goal("low p99", (Objective("wakeup_p99", "min"),),
            (Constraint("throughput", ">=", 0.95, True),), ("nginx",))  # fmt: skip
MESSAGES: tuple[Message, ...] = (
    Started(GOAL, "wakeup", ("hogs=2",), ("server", "cpus=8"), "search", "", 1, 10,
            {"rounds": 8.0}, "0.1"),
    Observed("wakeup", "f00", (Trait("worker", "8 wake 900/s", 900.0, "1/s"),), 1.25),
    Answered("abc", "policy x 1.0.0\n\x00\ud800", "grammar", 10, 20, 0.5),
    Candidate(1, 0, "tune", 'policy "\n', {"slice": "5ms"}),
    Judged("proved", "", "aa", {"batch": 12}),
    Simulated("sim", (1, 2), {"wakeup_p99": (1.0, 2.5)}),
    Tried("vm 6.18", "confirmed", (Ratio("wakeup_p99", 1.0, 2.0, 0.5, 0.4, 0.6, "better"),), "x"),
    Best(1, "half the p99"),
    Ended(1, "done", Spent(1.5, 2, 3, 4, 0.0)),
)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda one: type(one).__name__)
def test_a_message_comes_back(message: Message) -> None:
    assert decode(json.loads(json.dumps(encode(message)))) == message


@pytest.mark.parametrize(
    "value",
    [None, [], {"kind": "nothing"}, {"kind": "best"}, {"kind": "best", "number": "1", "reason": ""},
     {"kind": "best", "number": True, "reason": ""},
     {"kind": "best", "number": 1, "reason": "", "more": 2},
     {"kind": "ended", "best": 1, "reason": "", "spent": []}],
)  # fmt: skip
def test_what_is_no_message_is_refused(value: object) -> None:
    with pytest.raises(NotAMessage):
        decode(value)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3)
                    | st.dictionaries(st.sampled_from(["kind", "best", "number", "text"]), inner)))
def test_no_json_breaks_the_reader(value: object) -> None:
    with contextlib.suppress(NotAMessage):
        decode(value)


def test_a_step_is_done_once(tmp_path: Path) -> None:
    calls: list[int] = []

    def make() -> Best:
        calls.append(1)
        return Best(7, "why")

    for _ in range(3):
        with Journal(tmp_path / "run") as journal:
            assert journal.once("k", Best, make) == Best(7, "why")
    assert calls == [1]
    with Journal(tmp_path / "run", frozen=True) as journal:
        assert list(journal) == [Best(7, "why")]
        with pytest.raises(JournalError):
            journal.once("other", Best, make)


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_cut_line_is_dropped(tmp_path: Path, cut: int) -> None:
    with Journal(tmp_path) as journal:
        journal.once("a", Best, lambda: Best(1, "first"))
        journal.once("b", Best, lambda: Best(2, "second"))
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes()[:-cut])
    with Journal(tmp_path) as journal:
        kept = list(journal)
        assert kept == [Best(1, "first")]
        journal.once("b", Best, lambda: Best(3, "again"))
    with Journal(tmp_path) as journal:
        assert list(journal) == [Best(1, "first"), Best(3, "again")]


def test_a_changed_line_is_refused(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.once("a", Best, lambda: Best(1, "first"))
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes().replace(b"first", b"worst"))
    with pytest.raises(JournalError) as caught, Journal(tmp_path):
        pass
    assert caught.value.diagnostic.code == "E1104"
    assert "line 1" in str(caught.value)


def test_two_at_once_on_one_run(tmp_path: Path) -> None:
    with Journal(tmp_path), pytest.raises(JournalError), Journal(tmp_path):
        pass


def test_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(JournalError) as caught, Journal(tmp_path) as journal:
        os.close(journal._handle)
        journal._handle = os.open("/dev/full", os.O_WRONLY)
        journal.once("a", Best, lambda: Best(1, "first"))
    assert "space" in str(caught.value)


WRITER = """
import sys
from pathlib import Path
from schedc.synth.journal import Journal
from schedc.synth.messages import Best
with Journal(Path(sys.argv[1])) as journal:
    for number in range(100000):
        journal.once(str(number), Best, lambda: Best(number, "x" * 200))
        if number == 20:
            print("on", flush=True)
"""


def test_a_killed_writer_loses_only_its_last_line(tmp_path: Path) -> None:
    running = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE
    )
    assert running.stdout is not None
    running.stdout.readline()
    running.send_signal(signal.SIGKILL)
    running.wait(30)
    with Journal(tmp_path) as journal:
        numbers = [one.number for one in journal if isinstance(one, Best)]
    assert len(numbers) > 20
    assert numbers == list(range(len(numbers)))


def test_keys_tell_apart() -> None:
    assert step_key("a", "b") != step_key("ab") != step_key("a b")
