"""The commands as functions, for notebooks and scripts; `import palimpsest` offers them."""
