"""Do the reconstructions belong to their samples at all? A permutation test, of all images and within each class."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from palimpsest.metrics.distances import distance_blocks
from palimpsest.storage import Record


@dataclass(frozen=True)
class PermutationTest(Record):
    """How the reconstructions' mean distance to their own originals compares with that of shuffled pairs.

    Args:
        own: Mean squared error of each reconstruction to its own original; of sequences the share of wrong tokens.
        shuffled: The same to another original, drawn from all: the mean over the permutations.
        p_value: How often a random pairing is as close or closer, at least 1 / (permutations + 1).
        shuffled_within_class: As `shuffled`, but drawn from the originals of the same class.
        p_value_within_class: As `p_value`, for such pairings: small only if more than the class was recovered. One
            where no class has two images.
        permutations: How many pairings were drawn.
    """

    own: float
    shuffled: float
    p_value: float
    shuffled_within_class: float
    p_value_within_class: float
    permutations: int


@torch.no_grad()
def permutation_test(
    reconstructions: Tensor, originals: Tensor, labels: Tensor, *, permutations: int, generator: Generator
) -> PermutationTest:
    """Shuffle which original each reconstruction is compared with; see `shuffle_pairs`.

    Args:
        reconstructions: `[n, c, h, w]` in [0, 1].
        originals: The same shape and order.
        labels: The originals' classes, `[n]`.
        permutations: How many pairings are drawn.
        generator: Where they come from.
    """
    blocks = distance_blocks(reconstructions.clamp(0, 1), originals)
    errors = torch.cat([block.float() for block in blocks]) / originals[0].numel()
    return shuffle_pairs(errors, labels, permutations=permutations, generator=generator)


def shuffle_pairs(
    errors: Tensor, labels: Tensor, *, permutations: int, generator: Generator
) -> PermutationTest:
    """Shuffle which original each reconstruction is compared with (Fisher, The Design of Experiments, 1935).

    Not for pairs that were chosen by their closeness, such as those of `in_order`: they beat a random pairing always.

    Args:
        errors: How far each reconstruction is from each original, `[n, n]`, its own on the diagonal.
        labels: The originals' classes, `[n]`.
        permutations: How many pairings are drawn.
        generator: Where they come from.
    """
    rows = torch.arange(len(errors))
    own = float(errors[rows, rows].double().mean())

    def pairing(groups: Tensor) -> tuple[float, float]:
        """Mean over the random pairings, and how often one is as close as the right one."""
        places = groups.argsort(stable=True)
        means = []
        for _ in range(permutations):
            # Numbers between groups' own order them by group, and at random in each.
            order = (groups.double() + 0.999 * torch.rand(len(groups), generator=generator)).argsort()
            columns = torch.empty_like(rows).scatter_(0, places, order)
            means.append(errors[rows, columns].double().mean())
        drawn = torch.stack(means)
        # Float32 distances: what differs by rounding alone is a tie, and a tie goes against the attacker.
        ties = drawn <= own * (1 + 1e-6) + 1e-12
        return float(drawn.mean()), (1 + int(ties.sum())) / (1 + permutations)

    shuffled, p_value = pairing(torch.zeros_like(labels))
    within, p_within = pairing(labels)
    return PermutationTest(own, shuffled, p_value, within, p_within, permutations)
