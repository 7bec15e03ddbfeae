"""The one exception of the simulator's Python, and its codes.

Input: whatever went wrong outside a policy's decisions (no compiler, a full disk, a machine file
with a mistake) or in a run that gave no result. Output: a `SimError`, which carries everything
that a diagnostic shows. Invariant: every failure that a user can meet is raised as a SimError
that says a way out; any other exception that leaves `schedc.sim` is a bug.
"""

from __future__ import annotations

from schedc.shown import ShownError

NO_COMPILER = "E0901"
BUILD_FAILED = "E0902"
REFUSED_C = "E0903"
STALLED = "E0904"
THROWN_OUT = "E0905"
CRASHED = "E0906"
ENDLESS = "E0907"
BAD_MACHINE = "E0908"
NO_RESULT = "E0909"


class SimError(ShownError):
    """A failure that is ready to be shown as a diagnostic."""
