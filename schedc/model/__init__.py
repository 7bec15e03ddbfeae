"""Reference semantics of a machine that runs a policy: the kernel's pick order, over integers.

Written from the kernel's behaviour, not from the prover: refutations are replayed here, and bounds
are attacked here. `Machine` is the state; its methods are what the environment may do.
"""

from schedc.model.machine import Illegal as Illegal, Machine as Machine
from schedc.model.program import Program as Program
from schedc.model.state import Event as Event, Waiting as Waiting
from schedc.model.world import Profile as Profile, Topology as Topology
