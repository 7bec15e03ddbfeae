"""Profiles of a live system: collecting, reading, showing them, and making workloads of them."""
