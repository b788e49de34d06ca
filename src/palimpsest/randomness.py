"""Random generators, one for each purpose.

A purpose keeps its first name even if what it is for is renamed: the name is part of the seed, and another one would change
published figures.
"""

import hashlib

import torch


def derive_seed(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed that depends on the run's seed and on nothing but the named purpose.

    Args:
        seed: The run's seed.
        purpose: Names and counters, as in `("federation", "client", 3)`.
    """
    text = "/".join([str(seed), *map(str, purpose)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def make_generator(seed: int, *purpose: str | int) -> torch.Generator:
    """A CPU generator for one purpose, so that no module touches the global random state.

    Args:
        seed: The run's seed.
        purpose: As for `derive_seed`.
    """
    return torch.Generator().manual_seed(derive_seed(seed, *purpose))


def fork(generator: torch.Generator) -> int:
    """Draw a seed from a generator, for libraries that take a seed and not a generator."""
    return int(torch.randint(2**62, (), generator=generator))
