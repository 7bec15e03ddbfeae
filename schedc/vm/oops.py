"""What a guest's kernel said when it died.

Input: the text of its console. Output: the lines of the first oops that tell what happened, and
whether it was QEMU's doing. Invariant: pure, and any text is taken: a guest may print anything.
"""

from __future__ import annotations

import re

_STAMP = r"^(?:<\d+>)?\[ *\d+\.\d+\] ?"
_BEGINS = re.compile(
    r"\bOops: |\bBUG: |\bkernel BUG at |^int3: |^general protection fault|^divide error: "
    r"|^invalid opcode: |Kernel panic - "
)
"""The first of these is where it went wrong; what follows is often a consequence."""
_NOISE = re.compile(
    r"^(?:R(?!IP)[A-Z0-9]{1,2}|ORIG_RAX|[CDEFGS]S|CR\d|DR\d|PKRU): |^Code: |^ \? "
    r"|^Modules linked in:|^Hardware name:|^\s*</?(?:IRQ|TASK|NMI|SOFTIRQ)>$|^---\["
)
SHOWN = 14


def beginning(console: str) -> tuple[str, ...]:
    """The first lines of the first oops, or of the panic: what, where, and who called whom.

    Registers and guesses of the stack are left out; empty if the console tells of no such thing.
    """
    lines = [re.sub(_STAMP, "", line).rstrip() for line in console.splitlines()]
    first = next((n for n, line in enumerate(lines) if _BEGINS.search(line)), None)
    if first is None:
        return ()
    told: list[str] = []
    for line in lines[first:]:
        if line.strip() and not _NOISE.search(line):
            told.append(line[:160])
        if "Kernel panic - " in line or line.startswith("---[ end trace"):
            break
    panic = next((line for line in lines if "Kernel panic - " in line), None)
    kept = told[:SHOWN]
    return (*kept, *([panic] if panic and panic not in kept else []))


def emulation_failed(console: str) -> bool:
    """Whether the guest died of a breakpoint that isn't in its memory.

    A kernel changes its own code by way of breakpoints. QEMU with a thread for each cpu can go on
    executing one that has long been written over (see ADR 26). The oops shows the bytes around the
    address: a breakpoint that the kernel really came upon, by a wild jump say, is still there.
    """
    lines = [re.sub(_STAMP, "", line) for line in console.splitlines()]
    first = next((n for n, line in enumerate(lines) if _BEGINS.search(line)), None)
    if first is None or not re.match(r"(?:Oops: )?int3: ", lines[first]):
        return False
    code = next((line for line in lines[first:] if line.startswith("Code: ")), "")
    # The address is the one after the breakpoint's single byte.
    before = re.search(r"([0-9a-f]{2}) <[0-9a-f]{2}>", code)
    return before is not None and before[1] != "cc"
