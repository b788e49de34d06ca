"""Random generators, one for each purpose.

A purpose keeps its name even if the code around it is renamed: the name is part of the seed, and another name would
change published figures.
"""

import hashlib

import torch


def derive_seed(seed: int, *purpose: str | int) -> int:
    """Derive a 63-bit seed from the run's seed and a purpose.

    Args:
        seed: The run's seed.
        purpose: Names and counters, as in `("federation", "client", 3)`.

    Returns:
        A seed in [0, 2**63) that depends on nothing but the arguments.
    """
    text = "/".join([str(seed), *map(str, purpose)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def make_generator(seed: int, *purpose: str | int) -> torch.Generator:
    """Create a CPU generator for one purpose, so that no module uses the global random state.

    Args:
        seed: The run's seed.
        purpose: As for `derive_seed`.
    """
    return torch.Generator().manual_seed(derive_seed(seed, *purpose))


def fork(generator: torch.Generator) -> int:
    """Draw a seed from a generator, for libraries that accept only seeds.

    Args:
        generator: The generator; it advances by one draw.
    """
    return int(torch.randint(2**62, (), generator=generator))
