"""The passes: plain functions from the syntax tree to the typed policy.

`schedc.pipeline` lists them in order. Each takes what the ones before it made and a `Report` to
which it adds diagnostics; a pass never raises for a mistake in a policy. What is mistaken becomes
`None` ("poison"): it was reported once, and nothing is said of what follows from it.
"""
