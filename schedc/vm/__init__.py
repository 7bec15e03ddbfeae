"""Policies on a real kernel, in a virtual machine (see machine.py for how to use one)."""
