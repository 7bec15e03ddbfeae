"""What the parts of the generator share: the policy, what it needs, where its lines come from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from schedc.emit.expression import Printer, domain_here
from schedc.emit.functions import Locate, bare, from_policy, is_mark
from schedc.emit.names import class_id, nanoseconds, queue_id
from schedc.emit.needs import Needs
from schedc.ir.nodes import Class, Expr, Kind, Policy, Queue, Rule, State
from schedc.records import dataclass
from schedc.source import Span


@dataclass(frozen=True, slots=True)
class Context:
    """One generation. `locate` gives the file and line of a span; `counting` says whether counters
    are part of the text at all."""

    policy: Policy
    needs: Needs
    locate: Locate
    counting: bool

    def print(self, expr: Expr, outer: int = 0, stint: bool = False) -> str:
        """C for an expression; with `stint`, the current stint's length is at hand as `ran`."""
        return Printer(self.policy, self.needs.vtime_in_dsq, stint).text(expr, outer)

    @property
    def printer(self) -> Printer:
        return Printer(self.policy, self.needs.vtime_in_dsq)

    def mark(self, span: Span, lines: Iterable[str]) -> list[str]:
        """Lines that come from the policy's line at `span`."""
        return from_policy(span, self.locate, lines)

    def bound(self, state: State, value: int) -> str:
        """An end of a state's range as C."""
        timed = state.type.kind in (Kind.TIME, Kind.LAG, Kind.MOMENT)
        return nanoseconds(value) if timed else f"{value}LL"

    def edge(self, queue: Queue, side: str, clock: str = "clock") -> str:
        """One end of a keyed queue's window, from its clock."""
        assert queue.window is not None, "only keyed queues have a window"
        offset = queue.window.low if side == "low" else queue.window.high
        if offset == 0:
            return clock
        return f"{clock} {'-' if offset < 0 else '+'} {nanoseconds(abs(offset))}"

    @property
    def one_class(self) -> bool:
        return len(self.policy.classes) == 1

    @property
    def cls(self) -> str:
        """The class of the task at hand: a variable, or the only one."""
        return class_id(self.policy.classes[0].name) if self.one_class else "cls"

    @property
    def task(self) -> str:
        """The context of the task at hand, for the counters: looked up by them if by nobody
        else."""
        return "t" if self.needs.task_ctx else "task_ctx(p)"

    def class_of(self, rule: Rule) -> Class:
        return self.policy.classes[self.policy.class_index(rule.cls)]

    def take(self, queue: Queue, domain: str = "") -> str:
        """Condition that moves a task from the queue in a domain (the cpu's own) to the cpu."""
        return f"take({queue_id(queue.name)}, {domain or domain_here(queue)})"

    def switch(
        self, bodies: Sequence[Sequence[str]], on: str = "cls", indent: str = "\t"
    ) -> list[str]:
        """Lines that do `bodies[i]` for class i; no switch where all do the same."""
        if all(bare(body) == bare(bodies[0]) for body in bodies):
            same = all(body == bodies[0] for body in bodies)
            return _indented(bodies[0] if same else bare(bodies[0]), indent)
        groups: dict[tuple[str, ...], list[Class]] = {}
        for cls, body in zip(self.policy.classes, bodies, strict=True):
            groups.setdefault(tuple(body), []).append(cls)
        lines = [f"{indent}switch ({on}) {{"]
        for body, classes in groups.items():
            if not body:
                continue
            lines += [f"{indent}case {class_id(cls.name)}:" for cls in classes]
            lines += _indented(body, indent + "\t")
            if not bare(body)[-1].startswith("return"):
                lines.append(f"{indent}\tbreak;")
        return [*lines, f"{indent}}}"]


def _indented(lines: Iterable[str], indent: str) -> list[str]:
    return [line if is_mark(line) or not line else indent + line for line in lines]
