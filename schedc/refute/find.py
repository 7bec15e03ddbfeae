"""Somebody starves: a run that shows it, if one is found.

Input: a typed policy, the parameters of its proof, and the proof (which says whose bound fails).
Output: a `Run`, or None, which means nothing: the search is not complete. Invariant: a run is given
only if the reference model repeats it step by step and it shows what it claims.

Stages: scripted adversaries, breadth-first search over what an environment may do, the smallest
form of what was found, replay, whom to blame, what to edit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from schedc.ir import nodes as ir
from schedc.model.replay import replay
from schedc.prove.parameters import Parameters
from schedc.prove.result import Proof, Verdict
from schedc.refute.blame import blame
from schedc.refute.retell import retell
from schedc.refute.run import Run
from schedc.refute.search import Search
from schedc.refute.suggest import suggest

_FINE = (Verdict.proved, Verdict.waived)


def refute(policy: ir.Policy, parameters: Parameters, proof: Proof | None = None) -> Run | None:
    """The shortest run found that starves a task of a class whose bound is not proved."""
    wanted = in_doubt(policy, proof)
    if not wanted:
        return None
    narrowed = replace(policy, weight=parameters.weight)
    search = Search(narrowed, parameters, wanted)
    for tunes in settings(policy, parameters):
        run = search.run(tunes)
        if run is not None and replay(run.as_json(), policy):
            return _explained(run, policy, parameters, proof)
    return None


def _explained(run: Run, policy: ir.Policy, parameters: Parameters, proof: Proof | None) -> Run:
    """The run, with whom to blame and what to edit."""
    as_json = run.as_json()
    told = retell(as_json, policy)
    return replace(
        run,
        nearer_ns=max((scene.nearer_ns for scene in told.scenes if scene.waiting), default=0),
        blame=tuple(blame(as_json, policy, told)),
        help=tuple(suggest(as_json, policy, parameters, proof, told)),
    )


def in_doubt(policy: ir.Policy, proof: Proof | None) -> tuple[str, ...]:
    """Classes whose `starvation-free` is not proved; all of them without a proof."""
    classes = [cls.name for cls in policy.classes]
    if proof is None:
        return tuple(classes)
    queue_of = {rule.cls: rule.queue for rule in policy.rules}
    found: set[str] = set()
    for one in proof.obligations:
        if one.property != "starvation-free" or one.verdict in _FINE:
            continue
        parts = one.name.split(".")
        if parts[1] in classes:
            found.add(parts[1])
        elif parts[1] == "queue" and len(parts) > 2:
            found |= {cls for cls in classes if queue_of[cls] == parts[2]}
        else:
            found |= set(classes)
    return tuple(name for name in classes if name in found)


def settings(policy: ir.Policy, parameters: Parameters) -> Iterator[Mapping[str, int]]:
    """Values of the tunables: the defaults, then all at their lower, all at their upper ends."""
    ranges = dict(parameters.tunes)
    defaults = {
        tune.name: min(max(tune.value, ranges[tune.name].low), ranges[tune.name].high)
        for tune in policy.tunes
    }
    seen = []
    for values in (
        defaults,
        {name: ranges[name].low for name in defaults},
        {name: ranges[name].high for name in defaults},
    ):
        if values not in seen:
            seen.append(values)
            yield values
