"""The command line: each command is one file, which parses, calls and prints."""

from palimpsest.cli.main import app, main

__all__ = ["app", "main"]
