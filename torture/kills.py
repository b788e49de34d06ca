"""Kills."""


def torture_kills(kills: int, *, seed: int) -> int:
    """Kill."""
    return 0
