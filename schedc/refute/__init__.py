"""Runs that show why a policy starves somebody, found by search and replayed in `schedc.model`."""
