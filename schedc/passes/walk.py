"""Walking the tree: which expressions stand where.

Input: nodes of the tree. Output: their expressions, each with the context that it is evaluated in.
Invariant: `expressions` yields every expression of an item; walks are iterative, so that a long
chain of operators can't exhaust Python's stack.
"""

from __future__ import annotations

from collections.abc import Iterator

from schedc.syntax import tree

Context = str
"""An event's name, or `class`, `place`, `rule`, `keep`, `let` (wherever it is used)."""


def expressions(item: tree.Item) -> Iterator[tuple[tree.Expr, Context]]:
    """The expressions of an item, in the order of the source."""
    match item:
        case tree.Let(value=value):
            yield value, "let"
        case tree.Class(when=when):
            if when is not None:
                yield when, "class"
        case tree.Event(name=name, body=body):
            for assign in body:
                yield assign.value, name.text
                if assign.when is not None:
                    yield assign.when, name.text
        case tree.Place(rungs=rungs):
            for rung in rungs:
                if rung.when is not None:
                    yield rung.when, "place"
        case tree.Enqueue(key=key, slice=slice_):
            if key is not None:
                yield key, "rule"
            if isinstance(slice_, tree.Slice):
                yield slice_.value, "rule"
        case tree.Dispatch(lines=lines):
            for line in lines:
                if isinstance(line, tree.Keep):
                    yield line.when, "keep"


def quantities(item: tree.Item) -> Iterator[tree.Number | tree.Ref]:
    """The places of an item that take a number or a tunable: limits, periods, thresholds."""
    found: list[object] = []
    match item:
        case tree.State(initial=initial):
            found = [initial]
        case tree.Enqueue(slice=slice_, preempt=preempt):
            if isinstance(slice_, tree.SliceUnlimited):
                found.append(slice_.contended)
            if preempt is not None:
                found.append(preempt.ran)
        case tree.Dispatch(lines=lines):
            for line in lines:
                match line:
                    case tree.Take():
                        found += [line.after, line.at_most, line.every]
                    case tree.Keep():
                        found.append(line.at_most)
    for one in found:
        if isinstance(one, tree.Number | tree.Ref):
            yield one


def children(expr: tree.Expr) -> tuple[tree.Expr, ...]:
    """The direct operands of an expression."""
    match expr:
        case tree.Negative(operand=operand) | tree.Not(operand=operand):
            return (operand,)
        case tree.Binary(left=left, right=right):
            return (left, right)
        case tree.Call(arguments=arguments):
            return arguments
        case tree.Ewma(average=average, sample=sample):
            return (average, sample)
        case tree.Table(subject=subject, rows=rows, otherwise=otherwise):
            parts = [subject]
            for row in rows:
                parts += [row.limit, row.value]
            return (*parts, otherwise)
    return ()


def subexpressions(expr: tree.Expr) -> Iterator[tree.Expr]:
    """The expression and everything below it, from the left."""
    stack = [expr]
    while stack:
        one = stack.pop()
        yield one
        stack.extend(reversed(children(one)))


def depth(expr: tree.Expr) -> int:
    """How many levels of operators an expression has."""
    deepest, stack = 0, [(expr, 1)]
    while stack:
        one, level = stack.pop()
        deepest = max(deepest, level)
        stack.extend((child, level + 1) for child in children(one))
    return deepest


def queue_names(item: tree.Item) -> Iterator[tree.Name]:
    """The queues that an item names, but for those inside expressions."""
    match item:
        case tree.State(type=tree.TypeName(queue=queue)):
            if queue is not None:
                yield queue
        case tree.Enqueue(queue=queue):
            yield queue
        case tree.Dispatch(lines=lines):
            for line in lines:
                yield from line_queues(line)


def line_queues(line: tree.Line) -> tuple[tree.Name, ...]:
    """The queues that a line of `dispatch` names."""
    match line:
        case tree.Take(queue=queue) | tree.Steal(queue=queue):
            return (queue,)
        case tree.Share(portions=portions):
            return tuple(portion.queue for portion in portions)
        case tree.Lowest(queues=queues):
            return queues
    return ()


def class_names(item: tree.Item) -> Iterator[tree.Name]:
    """The classes that an item names, but for those inside expressions."""
    match item:
        case tree.Enqueue(cls=cls, preempt=preempt):
            yield cls
            if preempt is not None:
                yield from preempt.victims
        case tree.Place(cls=cls) | tree.Promise(cls=cls):
            if cls is not None:
                yield cls
        case tree.Cap(cls=cls):
            yield cls
