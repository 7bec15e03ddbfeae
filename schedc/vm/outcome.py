"""What one run left behind, judged: a result that counts, or a void with its reason.

Input: the files of a run (`load.json` of the loader if a policy ran, `status`, `measured`,
`stderr`). Output: an `Outcome`. Invariant: what the guest wrote is checked before it is used; a
file that is missing or damaged makes the run void and never raises.
"""

from __future__ import annotations

from collections.abc import Mapping

from schedc.vm.errors import CANNOT_LOAD, EJECTED, NOT_RESTORED, STALLED, VmError
from schedc.vm.measure import Outcome, Void
from schedc.vm.show import REFUSED
from schedc.vm.verdict import Outcome as Load, Verdict, parse_report
from schedc.workload.command import RESULT
from schedc.workload.results import BadOutput, Result, parse_result

UNREADABLE = "E1209"
WORKLOAD_FAILED = "E1211"


def read_outcome(
    out: Mapping[str, bytes], parser: str, kernel: str, *, c_text: str | None, timed_out: bool,
    seconds: float,
) -> Outcome:
    """Judge one run, in the order of what makes it void: scheduler, program, its result.

    `c_text` is that of the policy's object ("" if unknown); None: no policy ran.
    """
    verdict: Verdict | None = None
    void: Void | None = None
    if c_text is not None:
        try:
            verdict = parse_report(out.get("load.json", b""), kernel, c_text)
            void = _judge(verdict)
        except VmError:
            late = " (it was killed at the time limit)" if timed_out else ""
            void = Void(CANNOT_LOAD, f"the loader left no report{late}")
    elif (before := out.get("before", b"disabled").strip()) != b"disabled":
        state = before.decode(errors="replace")[:20]
        void = Void(NOT_RESTORED, f"a sched_ext scheduler was still there (state {state})")
    if void is None and timed_out:
        code = EJECTED if c_text is not None else WORKLOAD_FAILED
        void = Void(code, "the workload did not end in time")
    result, wrong = _result(out, parser)
    if void is None and (status := _status(out, verdict)) != "0":
        void = Void(WORKLOAD_FAILED, _program_failed(out, status))
    if void is None and wrong:
        void = Void(UNREADABLE, wrong)
    return Outcome(result, void, verdict, seconds)


def _judge(verdict: Verdict) -> Void | None:
    """Whether the policy was the kernel's scheduler all the time."""
    if verdict.good:
        return None
    problem = next(iter(verdict.problem.splitlines()), "no reason given")[:200]
    match verdict.outcome:
        case Load.refused:
            return Void(REFUSED, problem)
        case Load.ejected | Load.left:
            message = verdict.exit.msg[:200] if verdict.exit else ""
            said = f" ({message})" if message and verdict.stall is None else ""
            code = STALLED if verdict.stall else EJECTED
            return Void(code, f"{problem}{said}", verdict.stall)
        case Load.not_restored:
            return Void(NOT_RESTORED, problem)
        case _:
            return Void(CANNOT_LOAD, problem)


def _status(out: Mapping[str, bytes], verdict: Verdict | None) -> str:
    """The exit status of the workload's script; `?` if it never ended."""
    if verdict is not None:
        return str(verdict.command_status)
    return out.get("status", b"?").decode(errors="replace").strip()


def _program_failed(out: Mapping[str, bytes], status: str) -> str:
    lines = out.get("stderr", b"").decode(errors="replace").strip().splitlines()
    said = f": {lines[-1][:200]}" if lines else ""
    return f"the workload's program ended with status {status[:20]}{said}"


def _result(out: Mapping[str, bytes], parser: str) -> tuple[Result | None, str]:
    data = out.get(RESULT)
    if data is None:
        return None, "the workload left no result"
    try:
        return parse_result(parser, data.decode(errors="replace")), ""
    except BadOutput as failure:
        return None, f"the workload's result can't be read: {failure}"
