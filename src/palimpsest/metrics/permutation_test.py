"""Permutation test of whether reconstructions belong to their samples, over all samples and within each class."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from palimpsest.storage import Record

if TYPE_CHECKING:
    from torch import Generator, Tensor


@dataclass(frozen=True)
class PermutationTest(Record):
    """Mean error of the reconstructions against their own originals, compared with that of shuffled pairs.

    Args:
        matched: Mean squared error against the own original, at least 0; for sequences, the share of wrong tokens, in
            [0, 1]. Lower means closer.
        shuffled: Mean error, in the same unit, over random pairings of reconstructions with originals.
        p_value: Share of random pairings that are as close or closer, from 1 / (permutations + 1) to 1; lower means
            stronger evidence of leakage.
        shuffled_within_class: As `shuffled`, for pairings within each class.
        p_value_within_class: As `p_value`, for pairings within each class; small only if more than the class was
            recovered, 1 if no class has two samples.
        permutations: Number of random pairings.
    """

    matched: float
    shuffled: float
    p_value: float
    shuffled_within_class: float
    p_value_within_class: float
    permutations: int


def permutation_test(
    reconstructions: "Tensor",
    originals: "Tensor",
    labels: "Tensor",
    *,
    permutations: int,
    generator: "Generator",
) -> PermutationTest:
    """Test whether reconstructed images are closer to their own originals than to others; see `shuffle_pairs`.

    Args:
        reconstructions: `[n, c, h, w]`; values outside [0, 1] are clamped.
        originals: The same shape and order, in [0, 1].
        labels: The originals' classes, `[n]`.
        permutations: Number of random pairings.
        generator: Source of the random pairings.

    Returns:
        Mean errors and p-values, over all images and within each class.
    """
    # Imported late because a program that only reads metrics needs no torch.
    import torch

    from palimpsest.metrics.distances import distance_blocks

    with torch.no_grad():
        blocks = distance_blocks(reconstructions.clamp(0, 1), originals)
        errors = torch.cat([block.float() for block in blocks]) / originals[0].numel()
        return shuffle_pairs(errors, labels, permutations=permutations, generator=generator)


def shuffle_pairs(
    errors: "Tensor", labels: "Tensor", *, permutations: int, generator: "Generator"
) -> PermutationTest:
    """Test matching pairs against random pairings (Fisher, The Design of Experiments, 1935).

    Do not use the test on pairs that were chosen by their closeness, such as those of `in_order`: they always beat a
    random pairing.

    Args:
        errors: Error of each reconstruction (row) against each original (column), `[n, n]`; matching pairs are on the
            diagonal.
        labels: The originals' classes, `[n]`.
        permutations: Number of random pairings.
        generator: Source of the random pairings.

    Returns:
        Mean errors and p-values, over all samples and within each class.
    """
    import torch

    rows = torch.arange(len(errors))
    matching = float(errors[rows, rows].double().mean())

    def pairing(groups: "Tensor") -> tuple[float, float]:
        """Return the mean over random pairings within groups, and the p-value of the matching pairs."""
        places = groups.argsort(stable=True)
        means = []
        for _ in range(permutations):
            # A random fraction added to the group's number keeps the groups in order and shuffles each of them.
            order = (groups.double() + 0.999 * torch.rand(len(groups), generator=generator)).argsort()
            columns = torch.empty_like(rows).scatter_(0, places, order)
            means.append(errors[rows, columns].double().mean())
        drawn = torch.stack(means)
        # Distances are float32: means that differ by rounding alone are ties, which count against the attacker.
        as_close = drawn <= matching * (1 + 1e-6) + 1e-12
        return float(drawn.mean()), (1 + int(as_close.sum())) / (1 + permutations)

    shuffled, p_value = pairing(torch.zeros_like(labels))
    within, p_within = pairing(labels)
    return PermutationTest(matching, shuffled, p_value, within, p_within, permutations)
