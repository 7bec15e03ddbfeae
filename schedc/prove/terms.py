"""Expressions of a policy as terms of the solver.

Input: a policy, `Parameters`, expressions. Output: Z3 terms of sorts Int and Bool, and hypotheses
about the names in them. Invariant: for values of the leaves within their ranges, the term has the
value of `ir.semantics.evaluate`; a product or quotient of two variables is a new Int, between
linear bounds that hold for its true value, so that no query is ever non-linear.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import z3

from schedc.ir import nodes as ir
from schedc.ir.facts import FACTS, RANGES
from schedc.ir.interval import Ranges, interval, positive
from schedc.ir.nodes import CHARGE_MIN_NS, Interval, Kind, Op, Type
from schedc.ir.semantics import Interpreter, Leaf, clamp
from schedc.prove.parameters import Parameters

Term = Any
"""A Python int or bool (a constant), or a Z3 term of sort Int or Bool."""


def truth(term: Term) -> z3.BoolRef:
    """A truth value as a Z3 term."""
    return z3.BoolVal(term) if isinstance(term, bool) else term


def number(term: Term) -> z3.ArithRef:
    """An integer as a Z3 term."""
    return z3.IntVal(term) if isinstance(term, int) else term


def every(terms: Iterable[Term]) -> z3.BoolRef:
    """All hold. Of none, Z3's own would be written `and`, which is no SMT-LIB."""
    found = [truth(term) for term in terms]
    return z3.And(*found) if found else z3.BoolVal(True)


def some(terms: Iterable[Term]) -> z3.BoolRef:
    """One of them holds."""
    found = [truth(term) for term in terms]
    return z3.Or(*found) if found else z3.BoolVal(False)


class Terms:
    """The domain of solver terms for `ir.semantics.Interpreter`; constants are folded."""

    def number(self, value: int) -> Term:
        return value

    def truth(self, value: bool) -> Term:
        return bool(value)

    def add(self, a: Term, b: Term) -> Term:
        if _zero(a):
            return b
        return a if _zero(b) else a + b

    def mul(self, a: Term, b: Term) -> Term:
        if _zero(a) or _zero(b):
            return 0
        if isinstance(a, int) and a == 1:
            return b
        return a if isinstance(b, int) and b == 1 else a * b

    def neg(self, a: Term) -> Term:
        return -a

    def div(self, a: Term, b: Term) -> Term:
        if isinstance(b, int) and b == 1:
            return a
        if isinstance(a, int) and isinstance(b, int):
            return a // b
        # SMT's division leaves a remainder >= 0: for divisors >= 1 it is the floor.
        return number(a) / number(b)

    def less(self, a: Term, b: Term) -> Term:
        return a < b

    def equal(self, a: Term, b: Term) -> Term:
        return a == b

    def both(self, a: Term, b: Term) -> Term:
        if isinstance(a, bool):
            return b if a else False
        if isinstance(b, bool):
            return a if b else False
        return z3.And(a, b)

    def negate(self, a: Term) -> Term:
        return (not a) if isinstance(a, bool) else z3.Not(a)

    def choose(self, condition: Term, then: Term, otherwise: Term) -> Term:
        if isinstance(condition, bool):
            return then if condition else otherwise
        if _same(then, otherwise):
            return then
        if isinstance(then, bool) or isinstance(otherwise, bool):
            return z3.If(condition, truth(then), truth(otherwise))
        return z3.If(condition, number(then), number(otherwise))


def _zero(a: Term) -> bool:
    return isinstance(a, int) and a == 0


def _same(a: Term, b: Term) -> bool:
    if isinstance(a, int) or isinstance(b, int):
        return isinstance(a, int) and isinstance(b, int) and a == b
    return bool(a.eq(b))


@dataclass(frozen=True, slots=True)
class Abstraction:
    """What a new Int stands for: `op` is "mul", "div" (floor) or "charge" (ceil(100 left / right))
    or "log2" (right is 0)."""

    value: z3.ArithRef
    op: str
    left: Term
    right: Term


@dataclass(slots=True)
class Environment:
    """Names of one task's (and its cpu's, cgroup's, …) state and facts, and their hypotheses.

    `prefix` tells two tasks apart in one query. `assign` and `run` change what a state is read as.
    `abstractions`: every product or quotient that was replaced, in order."""

    policy: ir.Policy
    parameters: Parameters
    prefix: str = ""
    abstractions: list[Abstraction] = field(default_factory=list)
    shown: dict[str, Type] = field(default_factory=dict)
    """Types of the names that stand for something in the policy, for decoding a model."""
    ranges: Ranges = field(init=False)
    memo: dict[int, tuple[ir.Expr, Term]] = field(default_factory=dict)
    _leaves: dict[str, Term] = field(default_factory=dict)
    _states: dict[str, Term] = field(default_factory=dict)
    _hypotheses: list[z3.BoolRef] = field(default_factory=list)
    _made: dict[tuple[str, str, str], z3.ArithRef] = field(default_factory=dict)
    _comms: dict[ir.CommPattern, int] = field(default_factory=dict)
    _encoder: Interpreter[Term] = field(init=False)

    def __post_init__(self) -> None:
        self.ranges = ranges_of(self.policy, self.parameters)
        self._encoder = _Encoder(self)

    # --- what is known ---

    def hypotheses(self) -> list[z3.BoolRef]:
        """Ranges of the leaves that were read, and bounds of products and quotients."""
        return list(self._hypotheses)

    def assume(self, term: Term) -> None:
        """One more hypothesis."""
        self._hypotheses.append(truth(term))

    def fresh(self, name: str, low: int | None, high: int | None) -> z3.ArithRef:
        """A new Int in [low, high]; None: unbounded on that side."""
        count = sum(1 for known in self._leaves if known.split("!")[0] == name)
        unique = f"{name}!{count}" if count else name
        term = z3.Int(self.prefix + unique)
        self._leaves[unique] = term
        self._bound(term, low, high)
        return term

    def _bound(self, term: z3.ArithRef, low: int | None, high: int | None) -> None:
        if low is not None:
            self._hypotheses.append(term >= low)
        if high is not None:
            self._hypotheses.append(term <= high)

    # --- leaves ---

    def read(self, leaf: Leaf) -> Term:
        """The value of a leaf."""
        match leaf:
            case ir.TuneRef(name=name, type=type):
                return self._leaf(f"tune.{name}", type, self.ranges.tunes[name])
            case ir.StateRef(scope=scope, name=name, type=type):
                key = f"{scope}.{name}"
                if key in self._states:
                    return self._states[key]
                return self._leaf(key, type, self.ranges.states[(scope, name)])
            case ir.FactRef(name=name, type=type):
                limits = self.ranges.weight if name == "weight" else FACTS[name].range
                return self._leaf(name, type, limits)
            case ir.QueueFact(function=function, queue=queue, type=type):
                if function == "clock" and self.policy.queue(queue).order == "moment":
                    return self._leaf("now", type, FACTS["now"].range)
                clock = self.policy.queue(queue).clock
                # Queues on one shared clock read the same one, whatever their domains.
                shared = function == "clock" and self.policy.queue(queue).shared_clock
                name = f"{function}.{clock if shared else queue}"
                return self._leaf(name, type, RANGES[type.kind])
            case ir.MatchComm(patterns=patterns):
                numbers = [self._comms.setdefault(one, len(self._comms)) for one in patterns]
                return self._either([f"comm.{number}" for number in numbers])
            case ir.MatchPath(kind=kind, indices=indices):
                return self._either([f"{kind}.{index}" for index in indices])
            case ir.IsClass(who=who, cls=cls):
                return self._either([f"is.{who}.{cls}"])

    def _either(self, names: list[str]) -> Term:
        found = [self._leaf(name, Type(Kind.BOOL), Interval(0, 1)) for name in names]
        return found[0] if len(found) == 1 else z3.Or(*found)

    def _leaf(self, name: str, type: Type, limits: Interval) -> Term:
        if name in self._leaves:
            return self._leaves[name]
        full = self.prefix + name
        self.shown[full] = type
        if type.kind is Kind.BOOL:
            term: Term = z3.Bool(full)
        elif limits.low == limits.high:
            term = limits.low
        else:
            term = z3.Int(full)
            self._bound(term, limits.low, limits.high)
        self._leaves[name] = term
        return term

    # --- expressions and events ---

    def evaluate(self, expr: ir.Expr) -> Term:
        """The term of an expression, in the present values of the states."""
        return self._encoder.evaluate(expr)

    def assigned(self, assign: ir.Assign) -> Term:
        """The value of the target after an assignment."""
        state = self.policy.state(assign.target.scope, assign.target.name)
        return self._encoder.assigned(assign, state)

    def assign(self, scope: str, name: str, value: Term) -> None:
        """From now on the state is read as this."""
        self._states[f"{scope}.{name}"] = value
        self.memo.clear()

    def run(self, assigns: Iterable[ir.Assign]) -> None:
        """Do the assignments of an event, in order."""
        for one in assigns:
            self.assign(one.target.scope, one.target.name, self.assigned(one))

    def abstract(
        self, op: str, left: Term, right: Term, low: int, high: int
    ) -> tuple[z3.ArithRef, bool]:
        """The Int that stands for `op` of two terms (the same for the same ones), and whether it is
        a new one."""
        # Terms of one context are shared: equal ones have one text, and most are short.
        key = (op, _key(left), _key(right))
        if key in self._made:
            return self._made[key], False
        term = self.fresh({"mul": "product", "div": "quotient"}.get(op, op), low, high)
        self._made[key] = term
        self.abstractions.append(Abstraction(term, op, left, right))
        return term, True


def _key(term: Term) -> str:
    return str(term) if isinstance(term, int) else f"#{term.get_id()}"


def ranges_of(policy: ir.Policy, parameters: Parameters) -> Ranges:
    """The intervals of everything that expressions can name, under the parameters."""
    states = {
        (str(state.scope), state.name): Interval(state.low, state.high) for state in policy.states
    }
    return Ranges(dict(parameters.tunes), states, parameters.weight, policy.stint_max_ns)


class _Encoder(Interpreter[Term]):
    """The interpreter, but for what would be non-linear."""

    def __init__(self, env: Environment) -> None:
        super().__init__(Terms(), env.read, env.policy.stint_max_ns)
        self.env = env

    def evaluate(self, expr: ir.Expr) -> Term:
        # `let`s are shared nodes: each is made once, as long as the states stay what they are.
        found = self.env.memo.get(id(expr))
        if found is not None:
            return found[1]
        term = self._term(expr)
        self.env.memo[id(expr)] = (expr, term)
        return term

    def _term(self, expr: ir.Expr) -> Term:
        match expr:
            case ir.Apply(op=Op.MUL, args=(left, right)):
                return self._product(expr, left, right)
            case ir.Apply(op=Op.DIV | Op.SDIV, args=(left, right)):
                divisor = self.evaluate(right)
                if not isinstance(divisor, int):
                    return self._quotient(expr, left, right)
            case ir.Apply(op=Op.LOG2, args=(operand,)):
                return self._log2(expr, operand)
        return super().evaluate(expr)

    def _product(self, expr: ir.Expr, left: ir.Expr, right: ir.Expr) -> Term:
        a, b = self.evaluate(left), self.evaluate(right)
        if isinstance(a, int) or isinstance(b, int):
            return self.domain.mul(a, b)
        found = interval(expr, self.env.ranges)
        p, new = self.env.abstract("mul", a, b, found.low, found.high)
        if new:
            x, y = interval(left, self.env.ranges), interval(right, self.env.ranges)
            # (a - low)(b - low) >= 0 and so on: the tightest planes around the product.
            for s, t in ((x.low, y.low), (x.high, y.high)):
                self.env.assume(p >= t * a + s * b - s * t)
            for s, t in ((x.low, y.high), (x.high, y.low)):
                self.env.assume(p <= t * a + s * b - s * t)
        return p

    def _quotient(self, expr: ir.Apply, left: ir.Expr, right: ir.Expr) -> Term:
        a, b = self.evaluate(left), self.evaluate(right)
        found = interval(expr, self.env.ranges)
        dividend = interval(left, self.env.ranges)
        divisor = positive(interval(right, self.env.ranges))
        op = "div" if expr.op is Op.DIV else "sdiv"
        q, new = self.env.abstract(op, a, b, found.low, found.high)
        if new and dividend.low >= 0:
            self.env.assume(q * divisor.low <= a)
            self.env.assume(q * divisor.high > a - divisor.high)
        return q

    def _log2(self, expr: ir.Apply, operand: ir.Expr) -> Term:
        a = self.evaluate(operand)
        if isinstance(a, int):
            return super().evaluate(expr)
        found = interval(expr, self.env.ranges)
        return self.env.abstract("log2", a, 0, found.low, found.high)[0]

    def _charge(self, expr: ir.Charge) -> Term:
        weight = self.evaluate(expr.weight)
        if isinstance(weight, int):
            return super()._charge(expr)
        value = self.evaluate(expr.value)
        if expr.stint:
            value = clamp(self.domain, value, CHARGE_MIN_NS, self.stint_max_ns)
        found = interval(expr, self.env.ranges)
        q, new = self.env.abstract("charge", value, weight, found.low, found.high)
        if new:
            # q w >= 100 v and (q - 1) w < 100 v, at the ends of the weight's range.
            limits = positive(interval(expr.weight, self.env.ranges))
            amount = interval(expr.value, self.env.ranges)
            if expr.stint or amount.low >= 0:
                self.env.assume(q * limits.high >= 100 * value)
                self.env.assume((q - 1) * limits.low <= 100 * value)
        return q
