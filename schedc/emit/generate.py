"""From the typed policy to C text: the last pure stage.

Input: a `Policy` and where its spans lie. Output: the text. The same policy gives the same bytes.
Nothing of the policy reaches the text but numbers, its identifiers (which are C identifiers), and
strings as arrays of bytes.

The parts are made from the last to the first, so that a helper is there only if something after it
calls it; then they are laid out, and the marks of the policy's lines become `#line`.
"""

from __future__ import annotations

import re
from functools import partial

from schedc.emit.context import Context
from schedc.emit.environment import environment
from schedc.emit.functions import Locate, mentions, resolve_lines
from schedc.emit.layout import tidy
from schedc.emit.makings import called, make
from schedc.emit.names import prefix
from schedc.emit.needs import of
from schedc.emit.variables import WATCHDOG_MS, variables
from schedc.ir.nodes import Policy

__all__ = ["WATCHDOG_MS", "generate"]


def generate(policy: Policy, locate: Locate, policy_hash: str, *, counting: bool = True) -> str:
    """C for a policy.

    `locate` gives the file and line of a span, `policy_hash` is the hex sha256 of the source.
    `counting` False leaves all counters out; with it, the loader may still switch them off
    (`counters` in rodata).
    """
    ctx = Context(policy, of(policy), locate, counting)
    made = make(ctx)
    bag = variables(ctx, made, policy_hash)
    callbacks = "\n".join(_render(f"{part}.c.j2", bag) for part in ("task", "cpu", "setup"))
    functions = called(made.functions, callbacks)
    below = functions + callbacks
    queues = _render("queues.c.j2", {**bag, "uses": partial(mentions, below)})
    state = _render("state.c.j2", {**bag, "uses": partial(mentions, queues + below)})
    parts = {"state": state, "queues": queues, "functions": functions, "callbacks": callbacks}
    operations = _operations(callbacks, prefix(policy.name))
    text = _render("policy.bpf.c.j2", {**bag, **parts, "operations": operations})
    return resolve_lines(tidy(text), f"{policy.name}.bpf.c")


def _render(template: str, bag: dict[str, object]) -> str:
    return environment().get_template(template).render(**bag)


def _operations(text: str, name: str) -> str:
    """Initialisers of the operations that the text defines."""
    found = re.findall(rf"BPF_STRUCT_OPS(?:_SLEEPABLE)?\({name}_(\w+)", text)
    return "\n".join(f"\t.{operation} = (void *){name}_{operation}," for operation in found)
