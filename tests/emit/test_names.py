"""Strings and names of a policy never become C: strings are bytes in arrays, or dropped."""

import re

import pytest
from hypothesis import given, settings, strategies as st

from schedc.diagnostics.model import Diagnostic
from schedc.emit.names import byte_array
from schedc.pipeline import analyze
from schedc.source import Source
from schedc.toolchain import compile_c, find_compiler
from tests.emit.generated import from_text, joined

POLICY = """policy hostile 1.0.0
"{description}"
tune slice = 8ms in 4ms..20ms "{why}"
queue all fifo
class named when comm "{comm}" or exe "/x{path}" or cgroup "/y{path}"
class others
enqueue named to all slice tune.slice
enqueue others to all slice 4ms
dispatch {{ take all }}
"""

PLAIN = POLICY.format(description="d", why="w", comm="a", path="")

HOSTILE = (
    r"\"; int evil(void) { return 1; } //",
    "*/ int evil(void); /*",
    r"\n#include </etc/passwd>",
    r"a\nb\tc\\",
    "%s%n%d${{7*7}}{% raw %}{{ x }}",
    "??/\\\\",
    r"\x00\xff\x80\xc3",
    "\u202e\u0000é中"[:1] + "é中",
    "@@MEMBERS@@",
    r"\x01\x02policy.sched:1",
    "'\"'\"'$(reboot)`reboot`".replace('"', r"\""),
)
"""As they stand between the quotes of a policy. A `*` that isn't the last of a comm is refused."""


def skeleton(c_text: str) -> str:
    """The C without what may differ: the hash of the policy, and bytes in arrays."""
    text = re.sub(r"sha256 [0-9a-f]{64}|^#line .*\.bpf\.c\"$", "", c_text, flags=re.M)
    return re.sub(r"\{ ?0x[0-9a-f]{2}(, 0x[0-9a-f]{2})* ?\}", "{ BYTES }", joined(text))


def made(description: str = "d", why: str = "w", comm: str = "a", path: str = "") -> str | None:
    """The C, or None where the policy is refused."""
    source = POLICY.format(description=description, why=why, comm=comm, path=path)
    if analyze(Source.from_text("policy.sched", source)).policy is None:
        return None
    return from_text(source)[1]


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("place", ["description", "why", "path"])
def test_texts_leave_no_trace(place: str, hostile: str) -> None:
    """Descriptions and reasons are dropped; paths are the loader's business."""
    found = made(**{place: hostile})
    if found is not None:
        assert skeleton(found) == skeleton(made() or "")


@pytest.mark.parametrize("hostile", HOSTILE)
def test_comm_is_bytes(hostile: str) -> None:
    found = made(comm=hostile)
    if found is not None:
        assert skeleton(found) == skeleton(made() or "")


@pytest.mark.parametrize(
    ("written", "bytes_"),
    [
        (r"a\nb", b"a\nb\0"),
        (r"q\"q", b'q"q\0'),
        ("//x", b"//x\0"),
        (r"\xff\x80", b"\xff\x80\0"),
        ("é", "é\0".encode()),
        ("fifteen bytes!!", b"fifteen bytes!!\0"),
        ("pre*", b"pre"),
        (r"\\", b"\\\0"),
    ],
)
def test_every_byte_arrives(written: str, bytes_: bytes) -> None:
    found = made(comm=written)
    assert found is not None
    assert f"wanted[] = {byte_array(bytes_)};" in joined(found)


def test_a_name_longer_than_the_kernel_keeps_is_refused() -> None:
    assert made(comm="sixteen bytes!!!") is None
    assert made(comm="é" * 8) is None


def test_it_compiles_with_all_of_them_at_once() -> None:
    compiler = find_compiler()
    if isinstance(compiler, Diagnostic):
        pytest.skip("no compiler")
    comm = '" | "'.join((r"\"/*", r"\xff\x80?\n", "//", "%s", r"\\"))
    source = POLICY.format(description=r"\"*/ }", why="??/", comm=comm, path=r"*/\"")
    typed = analyze(Source.from_text("policy.sched", source))
    assert typed.policy is not None, typed.diagnostics
    done = compile_c(from_text(source)[1], compiler)
    assert done.object is not None, done.log


_BYTES = st.binary(min_size=1, max_size=15).filter(lambda data: not set(data) & set(b"\0*"))


@settings(max_examples=60, deadline=None)
@given(_BYTES)
def test_any_bytes_are_only_bytes(data: bytes) -> None:
    written = "".join(f"\\x{byte:02x}" for byte in data)
    found = made(comm=written)
    assert found is not None
    assert skeleton(found) == skeleton(made() or "")
    assert byte_array(data + b"\0") in joined(found)


_TEXT = st.text(max_size=40).map(
    lambda t: t.replace("\\", "\\\\").replace('"', r"\"").replace("\n", " ")
)


@settings(max_examples=40, deadline=None)
@given(_TEXT, _TEXT)
def test_any_description_is_dropped(description: str, why: str) -> None:
    found = made(
        description=description.replace("{", "").replace("}", ""),
        why=why.replace("{", "").replace("}", ""),
    )
    if found is not None:
        assert skeleton(found) == skeleton(made() or "")


WORDS = """int main on_stop cpu bpf scx_init struct exit u64 task_ctx min classify slice_of tasks
license null true_ m l c q s p t slot now ran""".split()


@pytest.mark.parametrize("word", WORDS)
def test_names_that_c_or_the_runtime_use(word: str) -> None:
    """Names of policies, queues, classes, states and tunables may be words of C."""
    source = f"""policy {word} 1.0.0
assume weight in 50..200
tune {word} = 8ms in 4ms..20ms
queue {word} by vtime within -20ms..100ms
state task.{word} : vtime of {word}
state cpu.{word} : count in 0..9
class {word} when comm "x"
class others
on stop {{
  task.{word} += charge(ran)
  cpu.{word} += 1
}}
enqueue {word} to {word} key task.{word} slice tune.{word}
enqueue others to {word} key task.{word} slice tune.{word} when_
dispatch {{ take {word} }}
""".replace(" when_", "")
    analysis = analyze(Source.from_text("policy.sched", source))
    if analysis.policy is None:
        # A word of the language itself: refused with a reason, never a broken object.
        assert analysis.diagnostics
        return
    compiler = find_compiler()
    if isinstance(compiler, Diagnostic):
        pytest.skip("no compiler")
    done = compile_c(from_text(source)[1], compiler)
    assert done.object is not None, done.log
