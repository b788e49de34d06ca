"""Mutation testing: make small changes to the code, one at a time, and check that a test fails."""
