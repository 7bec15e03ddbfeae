"""Onto a machine: plans, canaries with their guards, what is shown of what runs, units, metrics.

Nothing here holds a privilege: what loads a policy is `schedc.load`, which is asked over a socket
and believes none of what is checked here.
"""
