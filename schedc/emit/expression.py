"""Expressions of the typed policy as C.

Input: an IR expression. Output: C text that evaluates it over s64, in terms of a few local names:
`p` the task, `t` its context, `cpu` the cpu it is on (or is being placed on), `now`, `ran`, `c`
that cpu's context, `llc`, `node`, `slot` (of its cgroup) and `m` (of its comm).
`schedc.emit.functions` declares those that a text mentions. Invariant: the same value as
`ir.semantics` gives, for every input in the ranges that were checked.
"""

from __future__ import annotations

from typing import assert_never

from schedc.emit.names import class_id, field, integer, nanoseconds, queue_id
from schedc.ir.nodes import (
    CHARGE_MIN_NS,
    Apply,
    Charge,
    CommPattern,
    Const,
    Ewma,
    Expr,
    FactRef,
    IsClass,
    Kind,
    MatchComm,
    MatchPath,
    Op,
    Policy,
    Queue,
    QueueFact,
    StateRef,
    TuneRef,
)
from schedc.ir.walk import everywhere
from schedc.records import dataclass

# C's precedence, tightest highest; a call or a name never needs parentheses.
_ATOM, _UNARY, _PRODUCT, _SUM, _COMPARE, _EQUAL, _AND, _OR, _CHOICE = 9, 8, 7, 6, 5, 4, 3, 2, 1

_INFIX = {
    Op.ADD: ("+", _SUM),
    Op.SUB: ("-", _SUM),
    Op.MUL: ("*", _PRODUCT),
    Op.LT: ("<", _COMPARE),
    Op.LE: ("<=", _COMPARE),
    Op.GT: (">", _COMPARE),
    Op.GE: (">=", _COMPARE),
    Op.EQ: ("==", _EQUAL),
    Op.NE: ("!=", _EQUAL),
    Op.AND: ("&&", _AND),
    Op.OR: ("||", _OR),
}

_CALLS = {
    Op.SUB_SAT: "sub_sat",
    Op.DIV: "div",
    Op.SDIV: "sdiv",
    Op.MIN: "min",
    Op.MAX: "max",
    Op.ABS_DIFF: "abs_diff",
    Op.LOG2: "log2",
}

_FACTS = {
    "now": "(s64)now",
    "burst": "burst(p, t)",
    "slept": "t->slept",
    "waited": "t->waited",
    "wakes": "t->wakes",
    "wakings": "t->wakings",
    "weight": "weight_of(p)",
    "nice": "(p->static_prio - 120)",
    "uid": "(s64)p->cred->euid.val",
    "pid": "p->pid",
    "tgid": "p->tgid",
    "sync": "t->sync",
    "runnable": "nr_runnable",
    "kthread": "is_kthread(p)",
    "pinned": "is_pinned(p)",
    "allowed_cpus": "p->nr_cpus_allowed",
    "cgroup_weight": "cgroup_weight(p)",
    "cgroup_runnable": "cgroup_runnable[slot]",
    "cpus": "nr_online",
    "cpus_idle": "count_idle_cpus()",
    "busy": "busy_percent()",
    "capacity": "(s64)scx_bpf_cpuperf_cap(cpu)",
}

_SCOPE_OBJECT = {
    "task": "t->{}",
    "cpu": "c->{}",
    "llc": "llc_state[llc].{}",
    "node": "node_state[node].{}",
    "class": "class_state[t->cls & (MAX_CLASSES - 1)].{}",
    "cgroup": "cgroup_state[slot].{}",
    "comm": "m->{}",
    "global": "global_state.{}",
}


@dataclass(frozen=True, slots=True)
class Printer:
    """Prints expressions of one policy.

    `in_dsq_vtime` is the name of the task variable that lives in `p->scx.dsq_vtime`, if one does;
    `stint` says that the current stint's length is at hand as `ran` (else the last one's is, in the
    task's context).
    """

    policy: Policy
    in_dsq_vtime: str | None = None
    stint: bool = False

    def text(self, expr: Expr, outer: int = 0) -> str:
        """C for `expr`, in parentheses if it binds looser than `outer`."""
        text, precedence = self._print(expr)
        return f"({text})" if precedence < outer else text

    def lvalue(self, ref: StateRef) -> str:
        """C that a state variable can be read from and assigned to."""
        if ref.scope == "task" and ref.name == self.in_dsq_vtime:
            return "p->scx.dsq_vtime"
        return _SCOPE_OBJECT[ref.scope].format(field(ref.name, ref.scope))

    def _print(self, expr: Expr) -> tuple[str, int]:
        match expr:
            case Const(value=value, type=type_):
                if type_.kind in (Kind.TIME, Kind.LAG, Kind.MOMENT) and value:
                    text = nanoseconds(value)
                    loose = _UNARY if value < 0 else _ATOM
                    return text, _PRODUCT if "*" in text else loose
                return integer(value), _UNARY if value < 0 else _ATOM
            case TuneRef(name=name):
                return f"tune_{name}", _ATOM
            case StateRef():
                text = self.lvalue(expr)
                return (f"(s64){text}", _UNARY) if text.startswith("p->") else (text, _ATOM)
            case FactRef(name="ran"):
                return ("ran" if self.stint else "t->ran"), _ATOM
            case FactRef(name=name):
                text = _FACTS[name]
                return text, _UNARY if text.startswith("(s64)") else _ATOM
            case QueueFact():
                return self._queue_fact(expr), _ATOM
            case Apply():
                return self._apply(expr)
            case Charge():
                return self._charge(expr), _ATOM
            case Ewma():
                return self._ewma(expr), _ATOM
            case MatchComm(patterns=patterns):
                return self._comm(expr), _ATOM if len(patterns) == 1 else _OR
            case MatchPath(kind=kind, indices=indices):
                tests = [f"{kind}_matches(p, {i})" for i in indices]
                return " || ".join(tests), _ATOM if len(tests) == 1 else _OR
            case IsClass(who=who, cls=cls):
                field_ = "t->waker" if who == "waker" else "t->cls"
                return f"{field_} == {class_id(cls)}", _EQUAL
            case _:
                assert_never(expr)

    def _queue_fact(self, expr: QueueFact) -> str:
        queue = self.policy.queue(expr.queue)
        match expr.function:
            case "clock":
                return clock_here(queue)
            case "length":
                return f"(s64)scx_bpf_dsq_nr_queued({dsq_here(queue)})"
            case "head":
                return head_here(queue)

    def _apply(self, expr: Apply) -> tuple[str, int]:
        args = expr.args
        if expr.op in _INFIX:
            sign, precedence = _INFIX[expr.op]
            # The right operand of - needs parentheses at equal precedence; && inside || gets
            # them too, as compilers advise.
            left = self.text(args[0], _COMPARE if precedence == _OR else precedence)
            right = self.text(args[1], _COMPARE if precedence == _OR else precedence + 1)
            return f"{left} {sign} {right}", precedence
        if expr.op in _CALLS:
            return f"{_CALLS[expr.op]}({', '.join(self.text(arg) for arg in args)})", _ATOM
        match expr.op:
            case Op.NOT:
                return f"!{self.text(args[0], _UNARY)}", _UNARY
            case Op.NEG:
                return f"-{self.text(args[0], _ATOM)}", _UNARY
            case Op.SELECT:
                parts = [self.text(arg, _OR) for arg in args[:2]]
                return f"{parts[0]} ? {parts[1]} : {self.text(args[2], _CHOICE)}", _CHOICE
            case _:
                raise AssertionError(expr.op)

    def _charge(self, expr: Charge) -> str:
        value = self.text(expr.value)
        if expr.stint:
            low, high = nanoseconds(CHARGE_MIN_NS), nanoseconds(self.policy.stint_max_ns)
            value = f"clamp({value}, {low}, {high})"
        else:
            value = f"max({value}, 0)"
        return f"charge({value}, {self.text(expr.weight)})"

    def _ewma(self, expr: Ewma) -> str:
        keep, take = expr.denominator - expr.numerator, expr.numerator
        old = self.text(expr.average, _PRODUCT)
        new = self.text(expr.sample, _PRODUCT)
        old = f"{old} * {keep}" if keep != 1 else old
        new = f"{new} * {take}" if take != 1 else new
        divide = "sdiv" if expr.type.kind is Kind.LAG else "div"
        return f"{divide}({old} + {new}, {expr.denominator})"

    def _comm(self, expr: MatchComm) -> str:
        every = comm_patterns(self.policy)
        return " || ".join(f"comm_matches_{every.index(pattern)}(p)" for pattern in expr.patterns)


def clock_id(queue: Queue) -> str:
    """The variable that holds a queue's clock, or the clock that it shares with others."""
    return f"shared_clock_{queue.clock}" if queue.shared_clock else f"clock_{queue.name}"


def clock_here(queue: Queue) -> str:
    """The clock of a keyed queue where the task is; that of a `moment` queue is the time."""
    if queue.order == "moment":
        return "(s64)now"
    return read_clock(queue, domain_here(queue))


def read_clock(queue: Queue, domain: str) -> str:
    """Call that reads a queue's clock in a domain: the argument is left out where there is but one
    clock, and the time given where the clock drifts."""
    arguments = [] if queue.domain == "machine" or queue.shared_clock else [domain]
    if queue.drift_shift is not None:
        arguments.append("now")
    return f"read_{clock_id(queue)}({', '.join(arguments)})"


_DOMAIN_HERE = {
    "machine": "0",
    "cpu": "cpu_index(cpu)",
    "llc": "llc_of(cpu)",
    "node": "node_of(cpu)",
    "cgroup": "slot",
}


def domain_here(queue: Queue) -> str:
    """Number of the queue's domain where the task is."""
    return _DOMAIN_HERE[queue.domain]


def dsq_here(queue: Queue) -> str:
    """The kernel's id of the queue where the task is."""
    return f"dsq({queue_id(queue.name)}, {domain_here(queue)})"


def domain_argument(queue: Queue, *more: str) -> str:
    """What tells a function of the queue's where it is asked: a cpu, a control group, nothing."""
    place = {"machine": [], "cgroup": ["slot"]}.get(queue.domain, ["cpu"])
    return ", ".join([*place, *more])


def domain_parameters(queue: Queue, *more: str) -> str:
    """Parameters for the arguments of `domain_argument`."""
    types = {"cpu": "s32 cpu", "slot": "u32 slot", "now": "u64 now"}
    names = domain_argument(queue, *more)
    return ", ".join(types[name] for name in names.split(", ")) if names else "void"


def head_here(queue: Queue) -> str:
    """The key of the queue's first task. Only a clock that drifts asks what time it is, which is a
    call into the kernel."""
    return f"head_{queue.name}({domain_argument(queue, *_head_asks(queue))})"


def head_parameters(queue: Queue) -> str:
    """Parameters for `head_here`."""
    return domain_parameters(queue, *_head_asks(queue))


def _head_asks(queue: Queue) -> tuple[str, ...]:
    return ("now",) if queue.order == "moment" or queue.drift_shift is not None else ()


def comm_patterns(policy: Policy) -> list[CommPattern]:
    """Distinct comm patterns in the order in which they first appear."""
    found = [p for e in everywhere(policy) if isinstance(e, MatchComm) for p in e.patterns]
    return list(dict.fromkeys(found))
