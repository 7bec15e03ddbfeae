"""The proof of a policy, from its obligations to the verdict.

Input: a typed policy and `Parameters`. Output: a `Proof`. Invariant: pure, and the same in every
run; no obligation is left out: what can't be made a query is an obligation that is not proved.

    narrow -> bounded, placed, work-conserving, starvation-free, served -> solve -> Proof
"""

from __future__ import annotations

from schedc.ir import nodes as ir
from schedc.prove.narrow import narrow
from schedc.prove.obligations.bounded import bounded
from schedc.prove.obligations.placed import placed
from schedc.prove.obligations.served import served
from schedc.prove.obligations.starvation_free import starvation_free
from schedc.prove.obligations.work_conserving import work_conserving
from schedc.prove.parameters import MODEL_VERSION, Parameters
from schedc.prove.result import Proof
from schedc.prove.solve import decide


def prove(policy: ir.Policy, parameters: Parameters) -> Proof:
    """Everything about a policy. Does not look for refuting runs: see `schedc.refute`."""
    policy = narrow(policy, parameters)
    fair, bounds, assumptions = starvation_free(policy, parameters)
    found = decide(
        [
            *bounded(policy, parameters), *placed(policy, parameters),
            *work_conserving(policy, parameters), *fair, *served(policy, parameters),
        ]
    )  # fmt: skip
    return Proof(
        policy.name, policy.version, MODEL_VERSION, parameters.runnable, parameters.as_json(),
        found, assumptions, bounds,
    )  # fmt: skip
