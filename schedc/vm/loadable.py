"""What a machine is given to load.

Input: an object and what is known of it. Output: the record. Invariant: imports little, since
`vm check` starts with it.
"""

from __future__ import annotations

from schedc.records import dataclass
from schedc.source import Source


@dataclass(frozen=True, slots=True)
class Policy:
    """A compiled policy, and the names that its counters go by (index -> name)."""

    name: str
    object: bytes
    settings: str = ""
    classes: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    source: Source | None = None
    c_text: str = ""
    """The generated C, by which the verifier's places are traced to lines of the policy."""
