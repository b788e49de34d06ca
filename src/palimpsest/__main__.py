"""The command line as `python -m palimpsest`."""

from palimpsest.cli import main

main()
