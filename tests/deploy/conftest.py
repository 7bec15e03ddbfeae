"""Fixtures of this folder."""

from tests.deploy.machine import machine, place

__all__ = ["machine", "place"]
