"""The kernel verifier's log, read for what went wrong and where.

Input: the log of one refused program. Output: a `VerifierFailure`.
Invariant: pure, and total: any text gives a failure, at worst with nothing but its last lines.

A log goes instruction by instruction along the path that fails. `; text @ file:line` says which
line of source the next instructions come from (from the object's BTF, which follows `#line`); the
reason stands right before `processed N insns`. Kernels from 7.3 on add a chapter in prose,
`Verification failed: …`, between the two.
"""

from __future__ import annotations

import re

from schedc.records import dataclass
from schedc.vm.linemap import LineMap

TAIL = 14

_PLACE = re.compile(r"^; (?P<text>.*) @ (?P<file>[^@\s]+):(?P<line>\d+)\s*$")
_INSTRUCTION = re.compile(
    r"^\s*(?P<number>\d+): \([0-9a-f]{2}\) (?P<text>.*?)(?:\s{2,};.*|\s+; .*)?$"
)
_NOISE = re.compile(
    r"^(;|from \d+ to|\d+: R\d|\d+: frame|R\d+(_w)?=|func#|processed \d+ insns|verification time"
    r"|stack depth|max_states|mark_precise|-- BEGIN|-- END|Live regs|arg#\d+ reference|\s*$"
    r"|func '.*' arg\d+ has btf_id|propagating|last_idx|first_idx|regs=|parent |Global function)"
)
_PROSE = "Verification failed:"
_PROCESSED = re.compile(r"processed (\d+) insns")

# The verifier's words -> ours. Only what a policy's author can act on, or should report.
_MEANING = (
    (r"combined stack size|stack depth|stack limit", "too many values are alive at once (the stack "
     "has 512 bytes)"),
    (r"verification not finished", "its verifier had not finished when time was up: the policy has "
     "too many cases"),
    (r"too large|too many instructions|Processed \d+ insn", "the policy needs more steps than the "
     "kernel's verifier looks at (1,000,000): it has too many cases"),
    (r"jump sequence of \d+|too complex",
     "the policy has too many cases for the kernel's verifier"),
    (r"infinite loop|back-edge|loop is not bounded",
     "a loop that the verifier can't see the end of"),
    (r"mem access '.*_or_null'|possibly NULL pointer|null pointer",
     "something that may be missing is used without asking"),
    (r"calling kernel function .* is not allowed|kfunc .* not allowed|program must be sleepable",
     "a kernel function is called where the kernel forbids it"),
    (r"unbounded memory access|outside of the allowed|invalid access to map value|min value is neg"
     r"|max value is outside", "an index may lie outside its table"),
    (r"Unreleased reference|must be released|unreleased", "something taken from the kernel isn't "
     "given back on every path"),
    (r"R\d+ !read_ok|invalid read from stack|uninitialized", "a value is used before it is set"),
    (r"invalid bpf_context access|access beyond struct|cannot access ptr member",
     "a field is read that this kernel doesn't let schedulers read"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class VerifierFailure:
    """Why a program was refused.

    callback: the program's name. file, line, text: the line of source of the failing instruction
    as the object's line information says (a policy's, thanks to #line, or a header's).
    policy_line: the last line of the policy itself on the way there, or the first of the callback
    if the log has no way (it is left out where it would be too long). reason: in the verifier's
    words; meaning: in ours, if we know. insns: how many instructions were looked at. tail: the
    log's last lines.
    explanation: the kernel's own, in prose, from 7.3 on.
    """

    callback: str
    reason: str
    meaning: str | None
    policy_line: int | None
    file: str | None
    line: int | None
    text: str | None
    instruction: str | None
    insns: int | None
    tail: tuple[str, ...]
    explanation: str | None = None


def parse_verifier_log(log: str, *, callback: str = "", c_text: str = "") -> VerifierFailure:
    """Read a log. `c_text`: the C that the object was made of; without it only places in files
    called `*.sched` are taken for the policy's."""
    lines_of = LineMap(c_text) if c_text else None
    lines, prose = _split(log)
    place: tuple[str, int, str] | None = None
    policy_line: int | None = None
    instruction: str | None = None
    for line in lines:
        if found := _PLACE.match(line):
            place = (found["file"], int(found["line"]), found["text"].strip())
            mapped = _policy_line(lines_of, place[0], place[1], callback)
            policy_line = policy_line if mapped is None else mapped
        elif found := _INSTRUCTION.match(line):
            instruction = found["text"].strip()
    reason = _reason(lines) or (prose[0] if prose else None) or "the verifier gave no reason"
    processed = _PROCESSED.search(log)
    file, number, text = place or (None, None, None)
    return VerifierFailure(
        callback=callback,
        reason=reason,
        meaning=_meaning(reason),
        policy_line=policy_line or (lines_of.first_line(callback) if lines_of else None),
        file=file,
        line=number,
        text=text,
        instruction=instruction,
        insns=int(processed[1]) if processed else None,
        tail=tuple(line for line in lines if line)[-TAIL:],
        explanation=_explanation(prose),
    )


def _split(log: str) -> tuple[list[str], list[str]]:
    """The log proper, and the chapter of prose without its heading's first words."""
    lines = [line.rstrip() for line in log.splitlines()]
    start = next((i for i, line in enumerate(lines) if line.startswith(_PROSE)), len(lines))
    prose = [line.removeprefix(_PROSE).strip() for line in lines[start:]]
    end = next((i for i, line in enumerate(prose) if _PROCESSED.search(line)), len(prose))
    return lines[:start] + lines[start + end :], prose[:end]


def _explanation(prose: list[str]) -> str | None:
    """The paragraphs `Reason:` and `Suggestion:` as one line."""
    words: list[str] = []
    taking = False
    for line in prose:
        if line.endswith(":") and " " not in line:
            taking = line in ("Reason:", "Suggestion:")
        elif taking and line:
            words.append(line)
    return " ".join(words) or None


def _policy_line(lines: LineMap | None, file: str, line: int, function: str) -> int | None:
    if lines is not None:
        return lines.policy_line(file, line, function)
    return line if file.endswith(".sched") else None


def _reason(lines: list[str]) -> str | None:
    """The last line that is neither an instruction, nor a state, nor statistics."""
    for line in reversed(lines):
        if not _NOISE.match(line) and not _INSTRUCTION.match(line):
            return line.strip()
    return None


def _meaning(reason: str) -> str | None:
    for pattern, meaning in _MEANING:
        if re.search(pattern, reason, re.IGNORECASE):
            return meaning
    return None
