"""Every reader of files that others wrote, with valid files to damage: by name, in `PARSERS`."""

from fuzz.parser import Parser

from fuzz import data, folders, tensors

__all__ = ["PARSERS", "Parser"]

PARSERS: dict[str, Parser] = data.PARSERS | tensors.PARSERS | folders.PARSERS
