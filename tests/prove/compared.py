"""What of a policy has a meaning in three places: reference semantics, generated C, solver terms.

Input: a policy and its C. Output: `Compared`: its leaves (what expressions read from outside) with
their ranges, and items: each expression that decides something (classes, keys, slices, conditions),
and each event's handler with all of its assignments, as its C stands in the generated text.
Invariant: a leaf is named by its C, which is replaced by a variable, so that nothing but the leaf
itself is taken out of the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from schedc.emit.expression import Printer
from schedc.emit.needs import of as needs_of
from schedc.ir import nodes as ir
from schedc.ir.facts import FACTS, RANGES
from schedc.ir.interval import Interval
from schedc.ir.semantics import Integers, Interpreter, Leaf, evaluate
from schedc.ir.walk import children, dispatch_expressions, roots, rule_expressions, subexpressions
from schedc.prove.terms import Environment, Term
from tests.emit.generated import functions, policy as policy_of, text as text_of
from tests.emit.native import Item

LEAVES = (
    ir.TuneRef, ir.StateRef, ir.FactRef, ir.QueueFact, ir.MatchComm, ir.MatchPath, ir.IsClass
)  # fmt: skip
_DECLARATION = re.compile(r"^\s*(struct \w+ \*\w+|u32 (llc|node|slot)) = [^;]*;", re.M)


@dataclass(frozen=True)
class Compared:
    """`path`: of the policy."""

    path: Path

    @property
    def policy(self) -> ir.Policy:
        return policy_of(self.path)

    @cached_property
    def _printer(self) -> Printer:
        return Printer(self.policy, needs_of(self.policy).vtime_in_dsq)

    def name(self, leaf: Leaf) -> str:
        """A leaf's C without a cast: the place that it is read from."""
        if isinstance(leaf, ir.StateRef):
            return self._printer.lvalue(leaf)
        return self._printer.text(leaf).removeprefix("(s64)")

    @cached_property
    def expressions(self) -> tuple[ir.Expr, ...]:
        """What decides: conditions of classes and rungs, keys, slices, what lines ask for."""
        policy = self.policy
        guards = [cls.when for cls in policy.classes]
        guards += [rung.when for rungs in policy.places for rung in rungs]
        found = [*filter(None, guards), *rule_expressions(policy), *dispatch_expressions(policy)]
        return tuple(expr for expr in dict.fromkeys(found) if children(expr))

    @cached_property
    def handlers(self) -> tuple[tuple[ir.Assign, ...], ...]:
        return tuple(assigns for assigns in self.policy.events.values() if assigns)

    @cached_property
    def leaves(self) -> dict[str, Leaf]:
        """By name, in order of appearance."""
        read = [one for root in roots(self.policy) for one in subexpressions(root)]
        found = [atom for one in read if isinstance(one, LEAVES) for atom in atoms(one)]
        return {self.name(leaf): leaf for leaf in found}

    def reader(self, row: Mapping[str, int]) -> Callable[[Leaf], int]:
        """What leaves are worth in a row of values of the variables."""
        values = dict(zip(self.leaves, row.values(), strict=True))
        return lambda leaf: max(values[self.name(atom)] for atom in atoms(leaf))

    @cached_property
    def ranges(self) -> dict[str, Interval]:
        return {name: self._range(leaf) for name, leaf in self.leaves.items()}

    def _range(self, leaf: Leaf) -> Interval:
        policy = self.policy
        match leaf:
            case ir.TuneRef(name=name):
                return Interval(policy.tune(name).low, policy.tune(name).high)
            case ir.StateRef(scope=scope, name=name):
                return Interval(policy.state(scope, name).low, policy.state(scope, name).high)
            case ir.FactRef(name="weight"):
                return policy.weight
            case ir.FactRef(name=name):
                return FACTS[name].range
            case ir.QueueFact(type=type_):
                return RANGES[type_.kind]
            case _:
                return Interval(0, 1)

    @cached_property
    def variables(self) -> dict[str, str]:
        """C variables in the leaves' places: name -> type, in the order of `leaves`."""
        made = {}
        for at, leaf in enumerate(self.leaves.values()):
            cast = self._printer.text(leaf).startswith("(s64)")
            boolean = self._range(leaf) == Interval(0, 1)
            made[f"leaf_{at}"] = "u64" if cast else "bool" if boolean else "s64"
        return made

    @cached_property
    def items(self) -> list[Item]:
        """The C of every expression and handler."""
        bodies = functions(text_of(self.path))
        made = [Item("", (self._placed(self._printer.text(e)),)) for e in self.expressions]
        for event, assigns in self.policy.events.items():
            if assigns:
                body = _DECLARATION.sub("", bodies[f"on_{event}"])
                targets = tuple(self._placed(self.name(a.target)) for a in targets_of(assigns))
                made.append(Item(self._placed(body), targets))
        return made

    def _placed(self, c_text: str) -> str:
        """C with variables in the leaves' places; the longest first, as one may hold another."""
        plain = re.sub(r"\s+", " ", c_text)
        places = dict(zip(self.leaves, self.variables, strict=True))
        if "t->ran" in places:
            places["ran"] = places["t->ran"]
        for name in sorted(places, key=len, reverse=True):
            plain = re.sub(rf"(?<![\w>.]){re.escape(name)}(?!\w)", places[name], plain)
        assert "->" not in plain, f"something outside isn't replaced: {plain}"
        return plain

    def meaning(self, read: Callable[[Leaf], int]) -> list[int]:
        """The value of every result of `items` by the reference semantics."""
        stint = self.policy.stint_max_ns
        results = [evaluate(expr, read, stint) for expr in self.expressions]
        for assigns in self.handlers:
            now: dict[str, int] = {}

            def current(leaf: Leaf, now: dict[str, int] = now) -> int:
                found = now.get(self.name(leaf)) if isinstance(leaf, ir.StateRef) else None
                return read(leaf) if found is None else found

            interpreter = Interpreter(Integers(), current, stint)
            for assign in assigns:
                state = self.policy.state(assign.target.scope, assign.target.name)
                now[self.name(assign.target)] = interpreter.assigned(assign, state)
            results += now.values()
        return results

    def terms(self, env: Environment) -> list[Term]:
        """The same as terms over the leaves as `env` reads them."""
        results = [env.evaluate(expr) for expr in self.expressions]
        for assigns in self.handlers:
            targets = targets_of(assigns)
            before = [env.read(one.target) for one in targets]
            env.run(assigns)
            results += [env.read(one.target) for one in targets]
            for one, value in zip(targets, before, strict=True):
                env.assign(one.target.scope, one.target.name, value)
        return results

    def row(self, draw: Callable[[Mapping[str, Interval]], dict[str, int]]) -> dict[str, int]:
        """Values of the variables, drawn from the ranges of the leaves."""
        return draw(dict(zip(self.variables, self.ranges.values(), strict=True)))


def atoms(leaf: Leaf) -> list[Leaf]:
    """A leaf that asks for any of several is as many leaves."""
    match leaf:
        case ir.MatchComm(patterns=patterns):
            return [replace(leaf, patterns=(one,)) for one in patterns]
        case ir.MatchPath(indices=indices):
            return [replace(leaf, indices=(one,)) for one in indices]
        case _:
            return [leaf]


def targets_of(assigns: tuple[ir.Assign, ...]) -> tuple[ir.Assign, ...]:
    """One assignment of each target."""
    return tuple({(a.target.scope, a.target.name): a for a in assigns}.values())
