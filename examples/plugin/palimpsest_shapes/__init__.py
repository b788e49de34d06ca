"""One extension of each kind for palimpsest: a file each, found through the entry points in pyproject.toml."""
