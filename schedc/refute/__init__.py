"""Runs that show why a policy starves somebody, found by search and replayed in `schedc.model`."""

from schedc.refute.find import refute as refute
from schedc.refute.run import Run as Run
