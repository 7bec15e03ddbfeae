"""The MCP server: schedc for agents.

    client -> transport -> server -> a worker process -> the same pipeline as the command line

A model reads names that anybody may have chosen and writes arguments that anybody may have put into
its mouth. So: nothing is applied on its word, no path is ever made of an argument, what others
wrote comes out as quoted data, and each call runs in a process of its own that has a limit.
"""
