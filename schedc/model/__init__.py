"""Reference semantics of a machine that runs a policy: the kernel's pick order, over integers.

Written from the kernel's behaviour, not from the prover: refutations are replayed here, and bounds
are attacked here.
"""
