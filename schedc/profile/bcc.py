"""The collector of Debian's bcc (python3-bpfcc).

Input: a target. Output: the command that runs our program with Debian's own python3, and what to
tell it. Invariant: the program is the text of `backends/profile/profile.bpf.c`, put into bcc's
words, so that both collectors count the same; bcc is found by what it can do, not by its name: the
package `bcc` on PyPI is something else.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

from schedc.data import read_data
from schedc.profile.errors import NO_BCC, ProfileError
from schedc.profile.object import source_text
from schedc.profile.target import Target
from schedc.profile.tracing import request

RUNNER = Path(__file__).resolve().parent.parent / "load" / "collect_bcc.py"
PYTHONS = ("/usr/bin/python3", "/usr/local/bin/python3")
_TIMEOUT_S = 30.0

_PROBE = """
import sys
sys.path.append("/usr/lib/python3/dist-packages")
try:
    import bcc
except ImportError:
    print("none")
else:
    print("yes" if hasattr(bcc, "BPF") else "other")
"""

HELP = "install Debian's python3-bpfcc and the headers of the running kernel"


def find_bcc(
    pythons: tuple[str, ...] | None = None, modules: Path = Path("/lib/modules")
) -> list[str]:
    """The command line of the runner; E1228 that says what is missing."""
    reasons = []
    for python in PYTHONS if pythons is None else pythons:
        if not os.access(python, os.X_OK):
            continue
        match _ask(python):
            case "yes":
                if not (modules / platform.release() / "build").exists():
                    raise ProfileError(NO_BCC, "the headers of the running kernel are missing",
                                       notes=("bcc compiles against them",), help=HELP)
                return [python, "-I", str(RUNNER)]
            case "other":
                reasons.append("the `bcc` that is there is the package of PyPI, which is "
                               "something else")  # fmt: skip
            case _:
                reasons.append(f"{python} has no bcc")
    raise ProfileError(
        NO_BCC, reasons[0] if reasons else "there is no python3 of the system", help=HELP
    )


def _ask(python: str) -> str:
    try:
        done = subprocess.run(
            [python, "-I", "-c", _PROBE], capture_output=True, text=True, check=False,
            timeout=_TIMEOUT_S, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return "none"
    return done.stdout.strip()


def bcc_request(target: Target, seconds: float) -> dict[str, Any]:
    return {"text": bcc_text(cgroups=target.kind == "cgroup"), **request(target, seconds)}


# --- the text -----------------------------------------------------------------------------------

_MAPS = {
    "BPF_MAP_TYPE_HASH": "BPF_HASH({name}, {key}, {value}, {size});",
    "BPF_MAP_TYPE_ARRAY": "BPF_ARRAY({name}, {value}, {size});",
    "BPF_MAP_TYPE_PERCPU_ARRAY": "BPF_PERCPU_ARRAY({name}, {value}, {size});",
    "BPF_MAP_TYPE_PERCPU_HASH": "BPF_TABLE(\"percpu_hash\", {key}, {value}, {name}, {size});",
}
_MAP = re.compile(
    r"struct \{\n\t__uint\(type, (?P<type>\w+)\);\n\t__uint\(max_entries, (?P<size>[^)]+)\);\n"
    r"\t__type\(key, (?P<key>[^)]+)\);\n\t__type\(value, (?P<value>[^)]+)\);\n"
    r"\} (?P<name>\w+) SEC\(\"\.maps\"\);"
)
_PROGRAM = re.compile(r'SEC\("tp_btf/(?P<event>\w+)"\)\nint \w+\(u64 \*ctx\)')
_CALLS = (
    (re.compile(r"bpf_map_lookup_elem\(&(\w+), "), r"\1.lookup("),
    (re.compile(r"bpf_map_update_elem\(&(\w+), ([^;]+?), BPF_NOEXIST\)"), r"\1.insert(\2)"),
    (re.compile(r"bpf_map_delete_elem\(&(\w+), "), r"\1.delete("),
    (re.compile(r"\bctx\[(\d)\]"), r"ARGUMENT(\1)"),
    (re.compile(r"\b(p|prev|next)->(pid|tgid|static_prio)\b"), r"READ(\1, \2)"),
    (re.compile(r"\bp->cgroups->dfl_cgrp\b"), "READ(READ(p, cgroups), dfl_cgrp)"),
    (re.compile(r"\bcgrp->level\b"), "READ(cgrp, level)"),
    (re.compile(r"\nconst volatile [^\n]+"), "\n"),
    (re.compile(r"\nchar _license[^\n]+"), "\n"),
)


_HEAD = """#include <linux/sched.h>
#include <linux/preempt.h>
/* cgroups */
/* here */

/* bcc rewrites what it takes for pointers into the kernel, and takes our own maps' for such: so it
 * isn't shown where pointers come from, and each read of the kernel is written out. */
#define READ(from, member) ({ typeof((from)->member) read_value; \\
\tbpf_probe_read_kernel(&read_value, sizeof(read_value), &(from)->member); read_value; })
#define ARGUMENT(n) ({ u64 argument_value = ctx->args[n]; \\
\tasm volatile("" : "+r"(argument_value)); argument_value; })

/* Where the kernel's own per-cpu word lies: by addresses in /proc/kallsyms, read once. */
BPF_PERCPU_ARRAY(preempt_count_at, u64, 1);

static __always_inline bool serving_interrupt(void)
{
\tu32 zero = 0;
\tu64 *at = preempt_count_at.lookup(&zero);
\tint count = 0;

\tif (!PREEMPT_COUNT_AT || !at)
\t\treturn true;
\tif (!*at) {
\t\tbpf_probe_read_kernel(at, sizeof(*at),
\t\t\t(void *)(PER_CPU_OFFSET_AT + 8 * (u64)bpf_get_smp_processor_id()));
\t\t*at += PREEMPT_COUNT_AT;
\t}
\tbpf_probe_read_kernel(&count, sizeof(count), (void *)*at);
\treturn count & (NMI_MASK | HARDIRQ_MASK | SOFTIRQ_OFFSET);
}
"""


_CGROUPS = {
    True: "#include <linux/cgroup-defs.h>\n#include <linux/kernfs.h>\n",
    False: "#define WITHOUT_CGROUPS\n",
}
_INCLUDE = re.compile(r'#include "(?:include/)?(?P<name>\w+\.h)"\n')


def bcc_text(*, cgroups: bool = False) -> str:
    """Our program in bcc's words. The runner puts the target's numbers where `here` stands: before
    the kernel's headers, `target` would be replaced in them. bcc reads these three times over, and
    those with control groups are as much as all the rest: so only with `cgroups`."""
    text = _whole(source_text(), set())
    text = _MAP.sub(lambda m: _MAPS[m["type"]].format(**m.groupdict()), text)
    text = _PROGRAM.sub(r"RAW_TRACEPOINT_PROBE(\g<event>)", text)
    for pattern, put in _CALLS:
        text = pattern.sub(put, text)
    return _HEAD.replace("/* cgroups */\n", _CGROUPS[cgroups]) + text


def _whole(text: str, seen: set[str]) -> str:
    """With our headers in their places, each once; for kernel.h there are the kernel's own."""

    def header(found: re.Match[str]) -> str:
        name = found["name"]
        if name in seen or name == "kernel.h":
            return ""
        seen.add(name)
        return _whole(read_data(f"backends/profile/include/{name}"), seen)

    return _INCLUDE.sub(header, text)
