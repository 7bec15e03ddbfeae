"""Sources made to be slow or deep: 64 KiB of one thing. No exception, and a second at most.

`tests/fuzz` mutates policies; these are the worst cases that were thought of for the parser alone.
Time is that of the process, as the machine may be busy with other tests.
"""

import time

import pytest

from schedc.source import MAX_BYTES, Source
from schedc.syntax.format import format_source
from schedc.syntax.parse import parse

HEAD = "policy x 1.0.0\n"
CLASS = HEAD + "class a when "
REPEATED = [
    *((piece, piece) for piece in (
        "(", ")", "{", "}", '"', "'", "\\", '"\\', "/*", "//", "&&", "!", ";", "?", "é", "\u202e",
        "\x00", "1", "1.", "a", "a.", "a ", "a\n", "5 ", "1ms", "task ", "not ", "- ", "queue\n",
        "policy\n", "x\npolicy y\n", "}\n", '"\n', ", ", "..", "#\n", "\n", "\t",
    )),
    *((f"head {piece!r}", HEAD + piece) for piece in (
        "take a\n", "queu a fifo\n", "class a when foo\n", "class a when (", "queue a-b fifo\n",
        "on stop {\n", "goal latency, ", "preempt ", "tune a-", "\t}\n", "queue q fifo ",
        "class a when min(", "dispatch {\n", "# c\n",
    )),
    *((f"class {piece!r}", CLASS + piece) for piece in (
        "ran + ", "- ", "not ", "(ran + ", "foo ", "- ( ", 'comm "a" | ', "table(ran | 1: ",
        "ran < ", "ewma(", "(",
    )),
]  # fmt: skip


def repeated(text: str) -> str:
    """The last repetition-worthy piece of `text`, as often as 64 KiB hold it."""
    head = CLASS if text.startswith(CLASS) else HEAD if text.startswith(HEAD) else ""
    piece = text[len(head) :]
    room = MAX_BYTES - len(head.encode())
    return head + piece * (room // len(piece.encode()))


@pytest.mark.parametrize("text", [text for _, text in REPEATED], ids=[name for name, _ in REPEATED])
def test_one_thing_for_64_kib(text: str) -> None:
    source = Source.from_text("hostile.sched", repeated(text))
    begin = time.process_time()
    _, problems = parse(source)
    assert time.process_time() - begin < 1
    for found in problems:
        assert found.span is None or 0 <= found.span.start <= found.span.end <= len(source.text)


@pytest.mark.parametrize(
    "text",
    [HEAD + "on stop {" + "task.x = 1\n" * 5800 + "}",
     HEAD + "dispatch {" + "take a\n" * 9000 + "}",
     CLASS + 'comm "a"' + '|"a"' * 16000,
     CLASS + "ran" + "+ran" * 99,
     CLASS + "(" * 31 + "ran" + ")" * 31,
     HEAD + "queue a fifo # c\n" * 3800],
    ids=["assignments", "takes", "strings", "sum", "parentheses", "comments"],
)  # fmt: skip
def test_large_and_good(text: str) -> None:
    """What is taken is formatted too, in time, and the trees are no deeper than Python likes."""
    source = Source.from_text("large.sched", text)
    begin = time.process_time()
    tree, problems = parse(source)
    assert time.process_time() - begin < 1
    assert not problems
    assert repr(tree)
    once, _ = format_source(source)
    assert once is not None and time.process_time() - begin < 5
