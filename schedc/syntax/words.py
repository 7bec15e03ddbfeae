"""The language in words: what is expected at a place, and which word was probably meant.

Input: sets of terminals and words as written. Output: phrases for messages. Invariant: texts are
deterministic, and a suggestion is always a word of the language or of the source.
"""

from __future__ import annotations

from collections.abc import Iterable

ITEM_VERBS = (
    "extends", "goal", "assume", "promise", "tune", "let", "cpus", "queue", "state", "class", "cap",
    "pack", "on", "place", "enqueue", "dispatch",
)  # fmt: skip
BLOCK_VERBS = {
    "place": ("idle",),
    "dispatch": ("take", "share", "lowest", "steal", "keep"),
    "on": (),
}
BLOCK_OF = {verb: block for block, verbs in BLOCK_VERBS.items() for verb in verbs}
EVENTS = ("enable", "wake", "enqueue", "run", "tick", "stop", "sleep")
GOALS = ("latency", "throughput", "fairness", "makespan", "completion", "energy", "isolation")
FUNCTIONS = (
    "min", "max", "abs_diff", "scale", "log2", "clamp", "clock", "length", "head", "charge", "ewma",
    "table",
)  # fmt: skip

_OPERATORS = {"+", "-", "*", "/", "<", "<=", ">", ">=", "==", "!=", "and", "or"}

# The word before a name says what the name is of.
_NAME_AFTER = {
    "queue": "a name for the queue", "class": "a name for the class", "tune": "a name",
    "let": "a name", "cpus": "a name for the set", "policy": "a name for the policy",
    "take": "a queue", "steal": "a queue", "lowest": "a queue", "share": "a queue", "to": "a queue",
    "of": "a queue", "enqueue": "a class", "preempt": "a class", "or": "a class", "is": "a class",
    "cap": "a class", "place": "a class", "wait": "a class", "prefer": "a cpu set",
    "confine": "a cpu set", "clock": "a name for the clock", "(": "a queue",
}  # fmt: skip

_KINDS = {
    "TIME": "a time such as `20ms`",
    "INT": "a whole number",
    "PERCENT": "a share such as `30%`",
    "VERSION": "a version such as `1.0.0`",
    "STRING": 'a string such as `"nginx"`',
    "MODULE": "a module such as `stdlib/fair@1`",
    "REF": "a reference such as `task.used`",
}

_STRING_OF = {"policy": "a description in quotes", "tune": "a reason in quotes"}

# What people write who know another system: word -> the word of the language.
SYNONYMS = {
    "runtime": "ran", "run_time": "ran", "exec_time": "ran", "elapsed": "ran", "cpu_time": "burst",
    "sleep_time": "slept", "sleep": "slept", "wait": "waited", "wait_time": "waited",
    "latency": "waited", "time": "now", "clock_ns": "now", "prio": "nice", "priority": "nice",
    "niceness": "nice", "user": "uid", "kernel": "kthread", "is_kthread": "kthread",
    "nr_running": "runnable", "nr_runnable": "runnable", "running": "runnable",
    "idle_cpus": "cpus_idle", "nr_cpus": "cpus", "ncpus": "cpus", "cores": "cpus",
    "affinity": "allowed_cpus", "nr_cpus_allowed": "allowed_cpus", "load": "busy",
    "utilization": "busy", "freq": "capacity", "wakeups": "wakes", "wakee_freq": "wakes",
    "waker_freq": "wakings", "name": "comm", "avg": "ewma", "average": "ewma", "ema": "ewma",
    "abs": "abs_diff", "diff": "abs_diff", "log": "log2", "len": "length", "size": "length",
    "depth": "length", "peek": "head", "select": "table", "piecewise": "table", "bound": "clamp",
    "limit": "clamp",
}  # fmt: skip


def near(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that `word` is probably a slip of, or None."""
    word = word.lower()[:40]
    best: tuple[int, str] | None = None
    allowed = 1 if len(word) <= 4 else 2 if len(word) <= 8 else 3
    for candidate in sorted(set(candidates)):
        if abs(len(candidate) - len(word)) > allowed:
            continue
        found = _distance(word, candidate, allowed)
        # A word of two letters resembles every other one.
        if found < min(len(word), len(candidate)) - 1 and found <= allowed and (
            best is None or (found, candidate) < best
        ):
            best = (found, candidate)
    return best[1] if best else None


def _distance(left: str, right: str, most: int) -> int:
    """Edits from one word to the other; two letters swapped count once (Damerau, restricted)."""
    before: list[int] = []
    above = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        row = [i]
        for j, b in enumerate(right, 1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
        before, above = above, row
    return above[-1]


def wanted(
    expected: set[str], previous: str, complete: bool, block: str, verb: str = ""
) -> list[str]:
    """The expected terminals as phrases, the most telling first.

    `previous` is the text before the place, `complete` whether the statement could end there,
    `block` the verb of the block around it or "", `verb` that of the statement.
    """
    rest = set(expected) - {"$END"}
    phrases: list[str] = []
    if complete:
        rest -= set(ITEM_VERBS) | {"}", "policy"} | set(BLOCK_OF)
        if block == "on":
            rest.discard("REF")
    if {"burst", "("} <= rest:
        # The beginning of an expression: facts, functions, references and literals in one word.
        return ["a value"]
    if "NAME" in rest:
        rest.discard("NAME")
        phrases.append(_NAME_AFTER.get(previous, "a name"))
    if {"TIME", "INT", "PERCENT"} <= rest and "REF" not in rest:
        rest -= {"TIME", "INT", "PERCENT", "-"}
        phrases.append("a number such as `5ms`, `3` or `20%`")
    if {"TIME", "INT", "PERCENT", "REF"} <= rest:
        rest -= {"TIME", "INT", "PERCENT", "REF", "-", "true", "false"}
        phrases.append("an amount such as `5ms`, `3`, `20%` or `tune.x`")
    if "STRING" in rest and verb in _STRING_OF:
        rest.discard("STRING")
        phrases.append(_STRING_OF[verb])
    phrases += [_KINDS[kind] for kind in _KINDS if kind in rest]
    rest -= set(_KINDS)
    if len(rest & _OPERATORS) > 3:
        rest -= _OPERATORS
        phrases.append("an operator")
    for group in (EVENTS, GOALS):
        if set(group) <= rest:
            rest -= set(group)
            phrases += [f"`{word}`" for word in group]
    ordered = sorted(rest, key=lambda text: (not text[0].isalpha(), text))
    phrases += [f"`{text}`" for text in ordered]
    if complete:
        phrases.append("the end of the line" if not block else "the next line")
    return phrases


def either(phrases: list[str], most: int = 8) -> str:
    """`a`, `b` or `c`."""
    if len(phrases) > most:
        phrases = [*phrases[: most - 1], "…"]
    if len(phrases) < 2:
        return phrases[0] if phrases else "nothing more"
    if phrases[-1] == "…":
        return ", ".join(phrases)
    return ", ".join(phrases[:-1]) + " or " + phrases[-1]


def snake(word: str) -> str:
    """A name of the language that resembles `word`: `maxWait` gives `max_wait`."""
    out = []
    for at, char in enumerate(word):
        if char.isupper() and at and (word[at - 1].islower() or word[at - 1].isdigit()):
            out.append("_")
        out.append(char.lower())
    name = "".join(out).lstrip("_0123456789")
    return name[:32] or "x"
