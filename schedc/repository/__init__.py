"""Policies kept: the library that is shipped, and the user's own with their history and results.

    place -> entry -> git (history) / results (SQLite) -> library (all of it together)
"""
