"""Random generators, one for each purpose.

A purpose's name is part of the seed. If a purpose is renamed, its seeds still follow from its first name, because
another one would change published figures.
"""

import hashlib

import torch

_FIRST_NAMES = {
    "defense": "defence",
    "imitated defense": "imitated defence",
    "linkage": "confirmation",  # wording: allow
    "permutation test": "belonging",  # wording: allow
    "random vectors, challenges recognized": "random vectors, challenges recognised",
}


def derive_seed(seed: int, *purpose: str | int) -> int:
    """Derive a 63-bit seed from the run's seed and a purpose.

    Args:
        seed: The run's seed.
        purpose: Names and counters, as in `("federation", "client", 3)`.

    Returns:
        A seed in [0, 2**63) that depends on nothing but the arguments.
    """
    text = "/".join([str(seed), *(_FIRST_NAMES.get(str(part), str(part)) for part in purpose)])
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
