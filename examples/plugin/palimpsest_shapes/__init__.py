"""One palimpsest extension of each kind, one per file, registered by the entry points in pyproject.toml."""
