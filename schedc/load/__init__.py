"""Running a policy on this machine: the one part of schedc that needs privileges.

`python3 -I -m schedc.load serve` is a process of its own, which talks to the rest through a socket
(`client.py`). It imports nothing but the standard library, `schedc.records`, the reader of an
object's mark and the check of a certificate's hashes; `pyproject.toml` holds that.
"""
