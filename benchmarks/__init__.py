"""Measurements of what is promised to be fast: `make bench`."""
