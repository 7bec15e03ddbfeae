"""Workloads: what they are (`model`, `read`), how a guest runs them (`command`), what their
programs print (`results`). The TOML files in `data/` are the single source of each."""
