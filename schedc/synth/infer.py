"""Words to a goal, by rules: no model is asked.

Input: an English sentence, and the metrics that the workload measures. Output: a `Goal`. Invariant:
the sentence is data: it decides between known metrics, bounds and directions and reaches nothing
else; what is not understood is refused before anything is spent, never guessed at.

The sentence is cut into clauses at words such as "without", "while" and "but keep". The first
clauses that name a metric are objectives, clauses that limit a loss are constraints.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from schedc.records import dataclass
from schedc.synth.goal import (
    Constraint,
    Goal,
    Objective,
    Op,
    bad,
    better_of,
    checked,
    kind_of,
    metric_of,
    parse_constraint,
    parse_objective,
    unit_of,
)

MOST_CHARACTERS = 400

_CUTS = re.compile(
    r"[;.](?:\s|$)|,\s*(?=without|while|but|keep|and keep|as long|with|never)|"
    r"\b(?=without\b|while\b|but\b|as long as\b|and keep\b|and don't\b|and do not\b|never\b)"
)
_NUMBER = r"([0-9]{1,9}(?:\.[0-9]{1,4})?)"
_LOSS = re.compile(
    rf"(?:los(?:e|ing)|giv(?:e|ing) up|sacrific(?:e|ing)|cost(?:ing)?|hurt(?:ing)?|drop(?:ping)?|"
    rf"reduc(?:e|ing)|worse(?:n|ning)?|degrad(?:e|ing)|within)\D{{0,40}}?{_NUMBER}\s*(?:%|percent)"
)
_KEEP = re.compile(rf"(?:at least|no less than|above|over|>=)\s*{_NUMBER}\s*(%|percent|/s)?")
_BELOW = re.compile(
    rf"(?:below|under|at most|less than|no more than|within|<=)\s*{_NUMBER}\s*"
    r"(ns|us|µs|ms|s|%|percent)?\b"
)
_NO_LOSS = re.compile(
    r"(?:\b(?:not?|without|never)\b|n't\b).{0,20}\b(?:los|hurt|worse|drop|degrad|reduc|sacrific|cost)"
)
_WRONG_WAY = re.compile(
    r"\b(?:high|higher|highest|more|worse|increase|raise|maximi[sz]e|longer)\s+(?:the\s+)?"
    r"(?:\w+[ -]){0,2}"
    r"(?:latency|latencies|p50|p99|p999|makespan|delay|jitter|starvation|energy|power)\b|"
    r"\b(?:low|lower|lowest|less|reduce|minimi[sz]e|decrease)\s+(?:the\s+)?(?:throughput|fairness)\b"
)
_ZERO = re.compile(
    r"\b(?:zero|no|0\s*(?:ns|us|ms|s)?)\s+(?:\w+[ -]){0,2}(?:latency|p50|p99|wait|delay)"
)
_INFINITE = re.compile(r"\b(?:infinite|unlimited|endless|perfect)\b")
_ISOLATE = re.compile(
    r"\b(?:isolate|protect|shield|keep)\s+(?:the\s+)?[`\"']?([A-Za-z0-9_.:+-]{2,15})[`\"']?"
    r"(?=\s+(?:from|responsive|safe|apart|unaffected|undisturbed)|\s*$)"
)


@dataclass(frozen=True, slots=True)
class _Words:
    """A pattern, and the metrics that it speaks of: the first that the workload measures counts."""

    pattern: str
    metrics: tuple[str, ...]


_VOCABULARY = (
    _Words(r"mean completion|average completion|turn ?around|short jobs? (?:first|sooner|faster)|"
           r"average (?:job|finish)", ("mean_completion",)),
    _Words(r"last short", ("last_short",)),
    _Words(r"makespan|batch|build|compil|finish\w* (?:all|everything|sooner|earlier|faster)|"
           r"total (?:run ?)?time|(?:run|execution) time", ("makespan",)),
    _Words(r"throughput|requests? (?:per|a) second|ops|transactions|bandwidth|more work|"
           r"(?:serve|handle) more", ("throughput", "switches", "forks", "background")),
    _Words(r"jitter|frames?|audio|glitch|dropouts?|stutter|smooth",
           ("frame_p99", "missed", "wakeup_p999", "wakeup_p99")),
    _Words(r"fair|equal shares?|equitabl|proportional|even(?:ly)? (?:share|split)",
           ("misallocated", "fairness")),
    _Words(r"starv|longest wait|worst wait|worst[- ]case wait", ("longest_wait",)),
    _Words(r"energy|power|battery|fewer wake|idle|deep sleep|cooler", ("idle_wakeups",)),
    _Words(r"fewer (?:context )?switches", ("context_switches",)),
    _Words(r"fewer migrations|cache|locality", ("migrations",)),
)  # fmt: skip

_LATENCY = re.compile(
    r"latenc|p50|p99|p999|99th|99\.9|percentile|tail|median|respons|snappy|interactive|quick|wake-?ups?|delay|"
    r"react|lag\b"
)
_WISH = re.compile(
    r"\b(?:low|lower|lowest|min|minimi[sz]e|reduce|less|cut|shrink|short|shorter|fast|faster|quick|"
    r"quicker|better|improve|optimi[sz]e|max|maximi[sz]e|raise|increase|high|higher|more|best|good|"
    r"great|fair|fairer|fewer|save|finish|sooner|serve|handle|keep|make|smooth|isolate|protect|"
    r"shield|snappy|responsive|give|no|avoid|prevent|down|tail|p50|p99|p999)\b"
)


def infer(text: str, measured: Sequence[str]) -> Goal:
    """The goal that a sentence means on a workload with these metrics; raises `BadGoal`."""
    _readable(text)
    lowered = " ".join(text.lower().split())
    exact = _exact(lowered)
    if exact is not None:
        objectives_, constraints_ = exact
        return checked(Goal(text, objectives_ or _implied(constraints_), constraints_))
    _refuse_impossible(lowered)
    clauses = [part.strip(" ,") for part in _CUTS.split(lowered) if part and part.strip(" ,")]
    objectives: list[Objective] = []
    constraints: list[Constraint] = []
    for clause in clauses:
        limits = list(_limits(clause, measured))
        constraints += limits
        if not limits and _WISH.search(clause):
            objectives += [Objective(name, better_of(name)) for name in _named(clause, measured)]
    isolate = tuple(dict.fromkeys(_ISOLATE.findall(text)))
    if not objectives and isolate:
        objectives = [Objective(name, better_of(name)) for name in _latency("", measured)]
    if not objectives and constraints:
        # "p99 below 5 ms" says what is wanted, too.
        objectives = list(_implied(constraints))
    unique = tuple({one.metric: one for one in objectives}.values())
    return checked(Goal(text, unique, tuple(dict.fromkeys(constraints)), isolate))


def _implied(constraints: Sequence[Constraint]) -> tuple[Objective, ...]:
    return tuple(Objective(one.metric, better_of(one.metric)) for one in constraints[:1])


def _readable(text: str) -> None:
    if len(text) > MOST_CHARACTERS:
        raise bad("E1103", f"a goal of {len(text)} characters",
                  help=f"say it in at most {MOST_CHARACTERS}")
    if any(not char.isprintable() for char in text):
        raise bad("E1103", "a goal with control characters in it", help="write plain words")


def _exact(text: str) -> tuple[tuple[Objective, ...], tuple[Constraint, ...]] | None:
    """`p99_wakeup:min, throughput>=0.95` as a goal: the forms of the options; None if it isn't."""
    words = [word for word in re.split(r"[,\s]+", text) if word]
    if not words or not all(":" in word or ">=" in word or "<=" in word for word in words):
        return None
    constraints = tuple(parse_constraint(word) for word in words if "=" in word)
    return tuple(parse_objective(word) for word in words if "=" not in word), constraints


def _refuse_impossible(text: str) -> None:
    if _ZERO.search(text):
        raise bad("E1102", "no scheduler can make a wait zero: a cpu runs one task at a time, and "
                  "to switch takes time", help='ask for "low p99", or for a bound such as '
                  '"p99 below 5 ms"')
    wrong = _WRONG_WAY.search(text)
    if wrong is not None and not _LOSS.search(text):
        raise bad("E1102", f"`{wrong[0][:40]}` would be worse, not better",
                  help='say what is to improve, such as "low p99" or "more throughput"')
    if _INFINITE.search(text):
        raise bad("E1102", "no scheduler can do what has no limit",
                  help='ask for "more throughput" or "low p99"')


def _limits(clause: str, measured: Sequence[str]) -> Iterator[Constraint]:
    """What a clause forbids to lose, or bounds."""
    loss, keep, below = (pattern.search(clause) for pattern in (_LOSS, _KEEP, _BELOW))
    names = _named(clause, measured)
    if loss is not None:
        part = float(loss[1]) / 100
        if part >= 1:
            raise bad("E1102", f"to lose {loss[1]}% is to have nothing left",
                      help='such as "without losing more than 5% throughput"')
        yield from (_relative(name, part) for name in names or _throughput(measured))
    elif keep is not None and keep[2] in ("%", "percent"):
        yield from (Constraint(name, ">=", float(keep[1]) / 100, True) for name in names)
    elif keep is not None and keep[2] == "/s":
        yield from (Constraint(name, ">=", float(keep[1]), False) for name in names)
    elif below is not None and below[2] in ("ns", "us", "µs", "ms", "s"):
        unit = {"ns": 1, "us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9}[below[2]]
        for name in names:
            if unit_of(name) == "ns":
                yield Constraint(name, "<=", float(below[1]) * unit, False)
    elif _NO_LOSS.search(clause):
        yield from (_relative(name, 0.02) for name in names)


def _relative(metric: str, part: float) -> Constraint:
    """At most so much worse than the default scheduler."""
    op: Op = ">=" if better_of(metric) == "max" else "<="
    return Constraint(metric, op, round(1 - part if op == ">=" else 1 + part, 4), True)


def _named(clause: str, measured: Sequence[str]) -> list[str]:
    """The metrics that a clause speaks of, of those that the workload measures where it can be."""
    found: list[str] = []
    for words in _VOCABULARY:
        if re.search(rf"\b(?:{words.pattern})", clause):
            found.append(next((name for name in words.metrics if name in measured),
                              words.metrics[-1]))
    direct = [name for name in re.findall(r"[a-z]+_[a-z0-9_]+", clause) if _is_metric(name)]
    found += [metric_of(name) for name in direct]
    speaks = "energy" if "idle_wakeups" in found else "latency"
    if _LATENCY.search(clause) and not any(kind_of(name) == speaks for name in found):
        found += _latency(clause, measured)
    return list(dict.fromkeys(found))


def _is_metric(name: str) -> bool:
    from schedc.synth.goal import BadGoal

    try:
        metric_of(name)
    except BadGoal:
        return False
    return True


def _latency(clause: str, measured: Sequence[str]) -> list[str]:
    """Which latency: of requests or wake-ups, at which percentile."""
    tail = "p99"
    if re.search(r"p999|99\.9|p99\.9", clause):
        tail = "p999"
    elif re.search(r"p50|median|typical", clause):
        tail = "p50"
    whose = ["request", "wakeup", "frame", "victim_wait", "child_life"]
    if re.search(r"wake-?up|\bwake", clause):
        whose = ["wakeup"]
    elif re.search(r"request|response", clause):
        whose = ["request", "wakeup"]
    else:
        # The workload's own order says what it is about.
        order = [name.rsplit("_p", 1)[0] for name in measured]
        whose.sort(key=lambda one: order.index(one) if one in order else len(order))
    for one in whose:
        if any(name.startswith(f"{one}_p") for name in measured):
            return [f"{one}_{tail}"]
    return [f"{whose[0]}_{tail}"]


def _throughput(measured: Sequence[str]) -> list[str]:
    return [name for name in ("throughput", "switches", "forks") if name in measured][:1]
