"""The proof: bounded, placed, work-conserving and starvation-free, with a number.

Input: the typed policy and `Parameters`. Output: a `Proof`. See `docs/prover.md` for the model, its
assumptions and the argument; `prove.prove` reads in the order of the stages.
"""
