"""All readers of untrusted files, by name."""

from fuzz.parser import Parser

from fuzz import data, folders, tensors

__all__ = ["PARSERS", "Parser"]

PARSERS: dict[str, Parser] = data.PARSERS | tensors.PARSERS | folders.PARSERS
