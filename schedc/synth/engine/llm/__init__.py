"""The model engine: a model writes policies, and nothing but policies.

    prompt -> endpoint (a ladder of dialects) -> reply -> text of a policy -> the compiler
"""
