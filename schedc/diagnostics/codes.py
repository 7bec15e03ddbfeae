"""The registry of codes: a number is given once and never used again for something else.

01xx syntax, 02xx names, 03xx types and units, 04xx structure, 05xx proof (059x unproven), 06xx
back end, 07xx clang, 08xx kernel verifier, load and virtual machine, 09xx run time and rollback,
10xx repository, 11xx synthesis, 12xx profile and workload. `E` is an error, `W` a warning (a
lint), `N` a note.

To add one: a line here, a page `docs/errors/CODE.md` with a bad and a good example, and a case in
`tests/ui`; `tests/diagnostics/test_registry.py` wants all three.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CodeInfo:
    """What is known of a code without running anything."""

    code: str
    title: str

    @property
    def severity(self) -> str:
        return {"E": "error", "W": "warning", "N": "note"}[self.code[0]]

    @property
    def needs_policy(self) -> bool:
        """Whether a policy text alone provokes it, so that its page can show a bad example."""
        return self.code[1:3] in ("01", "02", "03", "04", "05", "06") and (
            self.code not in _NOT_FROM_TEXT
        )


_TITLES = {
    # -- 01xx syntax ---------------------------------------------------------------------------
    "E0101": "the source is not valid UTF-8",
    "E0102": "a control character in the source",
    "E0103": "the source is too large",
    "E0104": "a line that no statement begins with",
    "E0105": "unexpected text in a statement",
    "E0106": "nested too deeply",
    "E0107": "a block or string that is never closed",
    "E0108": "a number out of range or without its unit",
    "E0109": "a name that is not allowed",
    "E0110": "a character that no policy contains",
    "E0111": "a file that can't be read",
    "E0112": "a configuration that can't be used",
    "E0113": "a word or sign of another language",
    "E0114": "a word that is no fact",
    "E0115": "a statement that ends too soon",
    "E0116": "a string that is not written as strings are",
    "E0117": "a header that is missing or stands twice",
    # -- 02xx names ----------------------------------------------------------------------------
    "E0201": "an undeclared name",
    "E0202": "a name declared twice",
    "E0203": "an undeclared queue",
    "E0204": "an undeclared class",
    "E0205": "a fact used where it has no value",
    "W0206": "a declaration that is never used",
    "E0207": "a policy to extend that can't be found",
    "E0208": "policies that extend each other",
    "E0209": "another major version than the base's",
    "E0211": "a named expression that refers to itself",
    "E0212": "an assignment to something that can't change",
    # -- 03xx types and units ------------------------------------------------------------------
    "E0301": "operands of different dimensions",
    "E0302": "a value of the wrong type",
    "E0303": "a range that is empty or the wrong way round",
    "E0304": "a default outside its range",
    "W0305": "an average that starts at 0",
    "E0306": "a value that may overflow 64 bits",
    "E0307": "a division by what may be 0 or negative",
    "E0308": "a slice that may be too short or too long",
    "W0309": "a slice shorter than a tick",
    "E0310": "a vtime away from its own clock",
    "E0311": "a key that is missing, or that the queue doesn't take",
    "E0312": "an expression that is too large",
    "E0313": "a number outside what the language allows",
    "E0314": "a string that can't match or be read",
    "E0315": "a time that may be negative",
    "E0316": "a queue that is ordered in another way",
    "W0317": "a difference of times that stops at 0",
    # -- 04xx structure ------------------------------------------------------------------------
    "E0401": "a required part is missing",
    "E0402": "a queue that nothing takes from",
    "E0403": "a part that may stand only once",
    "E0404": "a class that no task can reach",
    "E0405": "tasks that match no class",
    "E0406": "too many of one thing",
    "E0407": "shares that leave nothing for the rest",
    "W0408": "a line below which everything may starve",
    "W0409": "a queue per cpu, llc or node that is never stolen from",
    "W0410": "a count above a queue ordered by vtime",
    "E0411": "a line of `dispatch` in the wrong place",
    "E0412": "`after` without what makes it safe",
    "E0413": "a queue that can't be stolen from",
    "E0414": "a class that preempts itself",
    "E0415": "queues without a common clock",
    "E0416": "a confined class whose queue or position doesn't fit",
    "E0417": "a capped class that shares its queue",
    "E0418": "a vtime state that doesn't fit",
    "W0419": "a line that can have no effect",
    "W0420": "a queue that no class uses",
    "W0421": "a state that never changes",
    # -- 05xx proof ----------------------------------------------------------------------------
    "E0501": "a task that may wait for ever",
    "E0502": "a value that leaves its range",
    "E0503": "a task that is not placed",
    "E0504": "a cpu that idles while a task waits",
    "E0505": "a task that may wait longer than is promised",
    "E0591": "a queue of no known class",
    "E0592": "a proof that the solver did not find",
    "E0593": "lines of `dispatch` that together have no known bound",
    "E0594": "an object without a proof",
    "E0595": "a certificate that does not hold",
    "E0596": "cvc5 is not installed",
    "E0597": "a bound that is longer than is promised",
    "N0598": "an object that was asked for without a proof",
    # -- 06xx back end -------------------------------------------------------------------------
    "E0601": "a part of the language that this back end can't lower soundly",
    "E0602": "an output that can't be written",
    # -- 07xx clang ----------------------------------------------------------------------------
    "E0701": "no C compiler for BPF found",
    "E0702": "the C compiler refused the generated C",
    # -- 08xx kernel verifier, load, virtual machine -------------------------------------------
    "E0801": "the kernel's verifier refused the program",
    "E0802": "the kernel can't load the scheduler",
    "E0803": "a task starved and the kernel ejected the scheduler",
    "E0804": "the kernel ejected the scheduler",
    "E0805": "the default scheduler did not come back",
    "E0810": "no QEMU that can run the virtual machine",
    "E0811": "no such kernel",
    "E0812": "a package could not be fetched",
    "E0813": "the cache can't be written",
    "E0814": "the kernel has no sched_ext",
    "E0815": "no apt to fetch packages with",
    "E0816": "no C compiler for programs of the guest",
    "E0820": "the virtual machine did not boot",
    "E0821": "the virtual machine took too long",
    "E0822": "a result that can't be trusted",
    "E0823": "the virtual machine died",
    "E0824": "the emulation failed twice in a row",
    "E0830": "no loader is running",
    "E0831": "the running kernel can't take a scheduler",
    "E0832": "no rights to load a scheduler",
    "E0833": "another scheduler is loaded",
    "E0834": "no libbpf that can load a scheduler",
    "E0835": "a plan that can't be read, or was changed",
    "E0836": "a certificate that doesn't hold for its object",
    "E0837": "an object without a proof isn't loaded",
    "E0838": "a plan that has expired",
    "E0839": "a plan of another kernel or boot",
    "E0840": "a plan that is stale",
    "E0841": "a policy that is quarantined",
    "E0842": "a setting that isn't proved",
    "E0843": "a scheduler that was attached but not enabled",
    "E0844": "a request that the loader doesn't take",
    "E0845": "a loader that is not for this user",
    "E0846": "a second loader",
    "E0847": "the loader's folders can't be used",
    "E0848": "nothing to confirm, roll back or clear now",
    "E0849": "the loader failed",
    # -- 09xx run time, simulator ---------------------------------------------------------------
    "N0900": "a policy that is simulated without a proof",
    "E0901": "no C compiler for the simulator found",
    "E0902": "the simulator could not be built",
    "E0903": "the C of a scheduler that can't be built for the simulator",
    "E0904": "a task starved in the simulator",
    "E0905": "the simulated kernel threw the scheduler out",
    "E0906": "a scheduler that crashed in the simulator",
    "E0907": "a simulation that does not end",
    "E0908": "a machine that can't be simulated",
    "E0909": "a simulation without a result",
    "E0910": "a guard that is not understood",
    "E0911": "a guard that can't be measured",
    "E0912": "a canary that a guard ended",
    "E0913": "a guard's command that failed",
    "E0914": "a canary whose policy did not stay",
    "E0915": "a loader that went away during a canary",
    "E0916": "a canary that was ended by hand",
    "E0917": "nobody to ask",
    "E0918": "metrics that can't be given",
    "E0919": "an object that can't be planned",
    "E0920": "units that can't be installed",
    # -- 10xx repository ------------------------------------------------------------------------
    "E1001": "a repository that can't be used",
    "E1002": "no such policy",
    "E1003": "a damaged policy",
    "E1004": "a policy that is there already",
    "E1005": "a name or version that is taken",
    "E1006": "a policy that is not proved",
    "E1007": "a policy that is not shown to be better",
    # -- 11xx synthesis ------------------------------------------------------------------------
    "E1101": "a goal that is not understood",
    "E1102": "a goal that no scheduler can reach",
    "E1103": "a goal of the wrong form",
    "E1104": "a run of synthesis that can't be kept or read",
    "E1105": "a model's endpoint that can't be used",
    "E1106": "a cluster that can't be used",
    "E1107": "a profile that says too little for synthesis",
    # -- 12xx profile and workload -------------------------------------------------------------
    "E1201": "a workload file that is not TOML",
    "E1202": "an unknown key in a workload",
    "E1203": "a part of a workload that is missing",
    "E1204": "a value of the wrong form in a workload",
    "E1205": "a value of a workload outside its range",
    "E1206": "a name in a workload that stands for nothing",
    "E1207": "a name listed twice in a workload",
    "E1208": "no such workload",
    "E1209": "a result of a workload that can't be read",
    "E1210": "a workload that would wait for ever",
    "E1211": "a workload's program failed in the guest",
    "E1212": "a metric that nothing measures",
    "E1213": "an rt-app file that can't be taken over",
    "E1220": "no such process or control group to profile",
    "E1222": "no rights to trace",
    "E1223": "a kernel that can't be traced",
    "E1224": "a damaged profile",
    "E1225": "a collector that failed",
    "E1226": "a command that can't be run",
    "E1227": "a profile in which nothing ran",
    "E1228": "no bcc to profile with",
    "E1240": "an MCP server that can't be started",
    "E1241": "arguments that a tool can't take",
    "E1242": "a call of a tool that was ended",
    "E1243": "a server that is busy",
    "E1244": "no such profile",
    "E1245": "a plan that the server doesn't apply",
}

# Seen only through bytes, files or options: their pages have no `sched` block.
_NOT_FROM_TEXT = frozenset(
    "E0101 E0102 E0103 E0208 E0111 E0112 E0502 E0503 E0592 E0594 E0595 E0596 N0598 E0602".split()
)

CODES: dict[str, CodeInfo] = {code: CodeInfo(code, title) for code, title in _TITLES.items()}
"""Every code that a diagnostic may carry, in the order of the pages."""
