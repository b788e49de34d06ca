"""`python -m palimpsest` is the command line."""

from palimpsest.cli import main

main()
