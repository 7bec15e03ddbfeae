"""The simulator, driven from Python: one machine, the generated C itself, TOML workloads."""
