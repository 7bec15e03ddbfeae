"""schedc: a compiler for Linux CPU-scheduling policies that run on sched_ext."""

__version__ = "0.1.0"
