"""Reading what the loader and the kernel's verifier said."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from schedc.source import Source
from schedc.vm.check import Settings
from schedc.vm.errors import BAD_RESULT, VmError
from schedc.vm.linemap import LineMap
from schedc.vm.show import diagnostics_of, failure_diagnostic, verdict_json, verdict_text
from schedc.vm.verdict import Outcome, parse_report, parse_stall
from schedc.vm.verifier_log import parse_verifier_log

LOG = """\
0: R1=ctx() R10=fp0
; struct task_struct *p = (void *)ctx[0]; @ fifo.bpf.c:52
0: (79) r6 = *(u64 *)(r1 +0)          ; R1=ctx() R6=trusted_ptr_task_struct()
func 'enqueue' arg0 has btf_id 126 type STRUCT 'task_struct'
;   brief -> first @ quick.sched:12
25: (79) r1 = *(u64 *)(r0 +8)
R0 invalid mem access 'map_value_or_null'
processed 26 insns (limit 1000000) max_states_per_insn 0 total_states 2 peak_states 2 mark_read 0
"""

PROSE = LOG.replace("processed", """\

Verification failed: Register Type Safety: Invalid dereference

Reason:
  R0 may be NULL here (a nullable map value pointer). The program could dereference NULL on this
  path, so the verifier cannot prove this access is safe.

At:
  fifo_enqueue @ other.sched:99:14
  >>> 30 | (79) r1 = *(u64 *)(r0 +8)

Suggestion:
  Add a NULL check before the access.

processed""")


def test_a_log_gives_reason_place_and_instruction() -> None:
    found = parse_verifier_log(LOG, callback="quick_enqueue")
    assert found.reason == "R0 invalid mem access 'map_value_or_null'"
    assert found.meaning and "missing" in found.meaning
    assert (found.policy_line, found.file, found.line) == (12, "quick.sched", 12)
    assert found.text == "brief -> first"
    assert found.instruction == "r1 = *(u64 *)(r0 +8)"
    assert found.insns == 26
    assert found.tail[-1].startswith("processed 26")


def test_a_log_with_prose_gives_the_same_and_the_prose() -> None:
    found = parse_verifier_log(PROSE)
    assert found.reason == "R0 invalid mem access 'map_value_or_null'"
    assert (found.file, found.line, found.insns) == ("quick.sched", 12, 26)
    assert found.explanation is not None
    assert found.explanation.startswith("R0 may be NULL here")
    assert found.explanation.endswith("Add a NULL check before the access.")


def test_a_helpers_line_keeps_the_policys_line_before_it() -> None:
    log = LOG.replace("25: (79)", "; return *x; @ runtime.h:7\n25: (79)")
    found = parse_verifier_log(log)
    assert (found.policy_line, found.file, found.line) == (12, "runtime.h", 7)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("BPF program is too large. Processed 1000001 insn", "1,000,000"),
        ("The sequence of 8193 jumps is too complex.", "too many cases"),
        ("infinite loop detected at insn 7", "loop"),
        ("combined stack size of 2 calls is 544. Too large", "512 bytes"),
        ("calling kernel function scx_bpf_create_dsq is not allowed", "forbids"),
        ("R2 unbounded memory access, make sure to bounds check", "outside its table"),
        ("Unreleased reference id=2 alloc_insn=3", "given back"),
        ("R3 !read_ok", "before it is set"),
        ("something new", None),
    ],
)
def test_the_verifiers_words_are_explained(line: str, words: str | None) -> None:
    log = f"25: (79) r1 = *(u64 *)(r0 +8)\n{line}\nprocessed 1 insns (limit 1000000)\n"
    found = parse_verifier_log(log)
    assert found.reason == line
    assert (found.meaning is None) if words is None else (words in (found.meaning or ""))


@given(st.text(max_size=500))
def test_any_text_is_a_failure_with_a_reason(log: str) -> None:
    assert parse_verifier_log(log).reason
    assert parse_verifier_log(log, c_text=log).reason


# --- lines of C, lines of the policy

C_TEXT = """\
// header
struct x {
	int field;
};

static inline int helper(void)
{
#line 3 "p.sched"
	one();
	two();
#line 12 "p.bpf.c"
	three();
}

int p_enqueue(void)
{
#line 40 "p.sched"
	four();
#line 20 "p.bpf.c"
	five();
}
"""


def test_physical_lines_and_what_they_are_called() -> None:
    lines = LineMap(C_TEXT)
    assert lines.presumed[8] == ("p.sched", 3)
    assert lines.presumed[9] == ("p.sched", 4)
    assert lines.policy_names == {"p.sched"}


@pytest.mark.parametrize(
    ("file", "line", "answer"),
    [
        ("p.sched", 3, 3), ("p.sched", 999, 999),  # the compiler wrote the right file
        ("p.bpf.c", 40, 40), ("p.bpf.c", 4, 4),  # the function's file, the policy's number
        ("p.bpf.c", 3, 3),  # line 3 of the C is a declaration: it has no instruction
        ("p.bpf.c", 12, None), ("p.bpf.c", 20, None),  # the C's own
        ("p.bpf.c", 0, None), ("p.bpf.c", 777, None),
    ],
)  # fmt: skip
def test_a_place_is_the_policys_or_the_texts_own(file: str, line: int, answer: int | None) -> None:
    assert LineMap(C_TEXT).policy_line(file, line) == answer


def test_where_both_can_be_the_function_decides_or_nobody() -> None:
    text = C_TEXT.replace('#line 40 "p.sched"', '#line 12 "p.sched"')
    assert LineMap(text).policy_line("p.bpf.c", 12, "p_enqueue") == 12
    assert LineMap(text).policy_line("p.bpf.c", 12, "helper") is None
    assert LineMap(text).policy_line("p.bpf.c", 12) is None


def test_the_first_line_of_a_callback() -> None:
    lines = LineMap(C_TEXT)
    assert lines.first_line("p_enqueue") == 40
    assert lines.first_line("helper") == 3
    assert lines.first_line("nothing") is None
    calls = C_TEXT + "\nint p_stopping(void)\n{\n\tp_stopping();\n\thelper();\n}\n"
    calls = calls.replace("static inline int helper", "static int helper")
    assert LineMap(calls).first_line("p_stopping") == 3


@pytest.mark.parametrize("said", [
    "verification not finished after 90 s\nprocessed 0 insns\n",
    "BPF program is too large. Processed 1000001 insn\n"
    "processed 1000001 insns (limit 1000000) max_states_per_insn 4 total_states 9\n",
])  # fmt: skip
def test_a_log_without_a_trace_is_shown_at_the_callbacks_first_line(said: str) -> None:
    failure = parse_verifier_log(said, callback="p_enqueue", c_text=C_TEXT)
    assert failure.policy_line == 40
    assert failure.meaning is not None and "too many cases" in failure.meaning
    assert failure.reason == said.partition("\n")[0]


# --- reports


def report(**changes: Any) -> dict[str, Any]:
    good = {
        "outcome": 0, "error": 0, "loads": 1, "attaches": 1, "stayed": 1, "detached": 1,
        "restarts": 0, "enable_seq": 1, "command_status": 0,
        "load_ns": 5, "attach_ns": 6, "attached_ns": 7_000_000_000, "detach_ns": 8,
        "stage": "detach", "problem": "", "ops": "quick", "libbpf": "", "kmsg": "a\nb\n",
        "unresolved": "cgroup /no\nexe /such",
        "exit": {"kind": 64, "code": 0, "reason": "unregistered", "msg": ""},
        "programs": [{"name": "quick_enqueue", "insns": 28, "run_cnt": 2, "run_time_ns": 9}],
        "events": {"SCX_EV_X": 3},
        "classes": [{"enqueued": 1, "direct": 2, "run": 3, "preempted": 4, "ran_ns": 5,
                     "wait_ns": 6, "wait_max_ns": 7, "wait_hist": [0] * 32}],
        "queues": [{"inserted": 1, "taken": 2, "stolen": 3, "skipped": 4}],
    }  # fmt: skip
    return {**good, **changes}


def parsed(**changes: Any):  # type: ignore[no-untyped-def]
    return parse_report(json.dumps(report(**changes)).encode(), "6.18")


def test_a_good_report() -> None:
    verdict = parsed()
    assert verdict.good and verdict.outcome is Outcome.fine
    assert verdict.programs[0].callback == "enqueue"
    assert verdict.unresolved == ("cgroup /no", "exe /such")
    assert verdict.kernel_messages == ("a", "b")
    assert verdict.classes[0].wait_max_ns == 7 and verdict.queues[0].stolen == 3
    assert verdict.seconds["attached"] == 7.0
    assert diagnostics_of(verdict) == ()
    json.dumps(verdict_json(verdict))
    assert "enqueue 28" in verdict_text(verdict)


STALLED = {"kind": 1026, "code": 0, "reason": "runnable task stall",
           "msg": "victim of[1]s[156] failed to run for 2.488s"}  # fmt: skip


def test_a_stall_says_who() -> None:
    verdict = parsed(outcome=14, stayed=0, exit=STALLED)
    assert verdict.stall is not None
    assert (verdict.stall.task, verdict.stall.pid) == ("victim of[1]s", 156)
    (found,) = diagnostics_of(verdict)
    assert found.code == "E0803" and "2.488 s" in found.message


@pytest.mark.parametrize(
    ("text", "task"),
    [
        ("victim[156] failed to run for 2.488s", "victim"),
        ("sched_ext: victim[156] failed to run for 2.488s", "victim"),
        ("sched_ext: quick: victim[156] failed to run for 2.488s", "victim"),
        ("kworker/0:1-events[9] failed to run for 30.001s, dsq=x", "kworker/0:1-events"),
        ("x\nvictim[1] failed to run for 1.0s\ny", "victim"),
        ("nothing of the kind", None),
        ("", None),
    ],
)
def test_the_kernels_line_of_a_stall(text: str, task: str | None) -> None:
    stall = parse_stall(text)
    assert (stall.task if stall else None) == task


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"outcome": 14, "exit": {"kind": 1024, "code": 0, "reason": "runtime error",
                                  "msg": "non-existent DSQ"}}, "E0804", "non-existent DSQ"),
        ({"outcome": 14, "exit": None}, "E0804", "does not say why"),
        ({"outcome": 17}, "E0804", "ended"),
        ({"outcome": 15, "problem": "not back"}, "E0805", "not back"),
        ({"outcome": 13, "problem": "attached, but"}, "E0802", "attached, but"),
        ({"outcome": 12, "problem": "x", "libbpf": "Malformed kfunc BTF"}, "E0814", "malformed"),
        ({"outcome": 10, "problem": "no ELF"}, "E0802", "no ELF"),
        ({"outcome": 2, "problem": "no constant"}, "E0802", "no constant"),
        ({"outcome": 11, "problem": "refused, no log"}, "E0802", "refused, no log"),
    ],
)  # fmt: skip
def test_every_way_to_fail_is_a_diagnostic(
    changes: dict[str, Any], code: str, words: str
) -> None:
    verdict = parsed(**changes)
    assert not verdict.good
    (found,) = diagnostics_of(verdict)
    assert found.code == code
    assert words in found.message


def test_a_refusal_points_at_the_policy() -> None:
    programs = [{"name": "quick_enqueue", "insns": 0, "run_cnt": 0, "run_time_ns": 0, "log": LOG}]
    verdict = parsed(outcome=11, loads=0, programs=programs)
    text = "\n" * 11 + "  brief -> first   \n"
    (found,) = diagnostics_of(verdict, Source.from_text("quick.sched", text))
    assert found.code == "E0801"
    assert found.span is not None and text[found.span.start : found.span.end] == "brief -> first"
    (shorter,) = diagnostics_of(verdict, Source.from_text("quick.sched", "policy x\n"))
    assert shorter.span is None
    assert any("policy line 12" in note for note in shorter.notes)


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b"null", b"\xff", b'{"outcome": 99}', b"[" * 10_000,
     json.dumps(report(exit=3)).encode(), json.dumps(report(outcome=99)).encode(),
     json.dumps(report(classes=[{}])).encode(), json.dumps(report(queues=[1])).encode(),
     json.dumps(report(programs={"a": 1})).encode(), json.dumps(report(events=[])).encode()],
)  # fmt: skip
def test_a_report_of_another_form_is_an_error(data: bytes) -> None:
    with pytest.raises(VmError) as caught:
        parse_report(data, "6.18")
    assert caught.value.code == BAD_RESULT


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(sorted(report())), inner, max_size=4),
)


@given(JSON)
def test_any_json_is_a_verdict_or_an_error(value: object) -> None:
    base = report()
    if isinstance(value, dict):
        base.update(value)
        value = base
    try:
        parse_report(json.dumps(value).encode(), "6.18")
    except VmError as e:
        assert e.code == BAD_RESULT


def test_failures_of_the_machine_are_diagnostics() -> None:
    found = failure_diagnostic(VmError("E0812", "no network", notes=("n",), help="h"))
    assert (found.code, found.message) == ("E0812", "no network")
    assert (found.notes, found.help) == (("n",), "h")


def test_settings_are_lines() -> None:
    settings = Settings({"tune_b": 2, "tune_a": -1}, ("/a/b",), ("/usr/bin/x",))
    assert settings.text() == "set tune_a -1\nset tune_b 2\ncgroup 0 /a/b\nexe 0 /usr/bin/x\n"
    with pytest.raises(ValueError):
        Settings({}, ("/a\nset x 1",)).text()
