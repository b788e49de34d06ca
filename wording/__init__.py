"""Checks of the language of code, messages and documentation, and lists and samples of it to read."""
