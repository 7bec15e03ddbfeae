"""Refuted policies for the tests of replay: texts, the runs that refute them, their generated C.

A mutant's run is searched for as the campaign of the prover does it (tests/prove/judged.py).
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any
from unittest import mock

from schedc.ir.nodes import Policy
from schedc.prove.parameters import declared
from schedc.prove.prove import prove
from schedc.prove.result import Verdict
from schedc.refute import search
from schedc.refute.find import in_doubt, settings
from schedc.sim import build
from schedc.sim.replay import Replayed, replay
from tests.emit.generated import from_text
from tests.prove.judged import STEPS
from tests.prove.mutations import Mutant, generated
from tests.prove.shipped import STDLIB
from tests.refute.policies import run_of

SAMPLE = (
    ("bands", "limit of a line", "`at most 48% every 40ms` → `nothing`"),
    ("budgeted", "limit of a line", "`take rest …`: `` → `at most 1`"),
    ("fair", "event handler", "charge(ran)` → `task.used -= charge(ran)`"),
    ("fifo", "slice", "slice unlimited contended 200ms"),
    ("longest_first", "dispatch line", "line `take own` at 1"),
)
"""Policy, kind and a part of the change of mutants that are refuted by a run."""


def sampled(stem: str, kind: str, words: str) -> Mutant:
    base = next(path for path in STDLIB if path.stem == stem)
    return next(one for one in generated(base, [kind]) if words in one.what)


def run_against(policy: Policy) -> dict[str, Any] | None:
    """A run of the scripted adversaries, if the policy isn't proved; through JSON."""
    parameters = declared(policy)
    proof = prove(policy, parameters)
    if proof.verdict is Verdict.proved:
        return None
    wanted = in_doubt(policy, proof)
    narrowed = replace(policy, weight=parameters.weight)
    with mock.patch.object(search, "BUDGET", STEPS):
        for tunes in islice(settings(policy, parameters), 2) if wanted else ():
            run = search.Search(narrowed, parameters, wanted).run(tunes)
            if run is not None:
                return dict(json.loads(json.dumps(run.as_json())))
    return None


@cache
def compiled(text: str) -> tuple[Policy, Path]:
    """The typed policy and its shared object."""
    policy, c_text = from_text(text)
    return policy, build.policy(c_text)


def replayed(run: Mapping[str, Any], text: str) -> Replayed:
    policy, shared = compiled(text)
    return replay(run, policy, build.runtime(), shared)


def fresh_run(text: str) -> dict[str, Any]:
    """The run that refutes an example; a copy that may be changed."""
    found = run_of(text)
    assert found is not None
    return copy.deepcopy(found)


def steps(run: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for block in run["blocks"]:
        yield from block["steps"]
