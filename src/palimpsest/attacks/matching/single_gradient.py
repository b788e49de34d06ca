"""Attacks on a single gradient, applied to unlearning: invert both gradients and compare the samples."""

from typing import ClassVar

import torch
from pydantic import NonNegativeFloat, PositiveInt

from palimpsest.attacks.matching.base import MatchingAttack, OptimizerName
from palimpsest.attacks.matching.coordinates import Space
from palimpsest.attacks.matching.distances import ObjectiveName
from palimpsest.attacks.matching.label_inference import LabelMode
from palimpsest.attacks.matching.problem import Term
from palimpsest.attacks.matching.search import Search, SearchResult
from palimpsest.registry import ATTACKS


@ATTACKS.register("dlg")
class DeepLeakage(MatchingAttack):
    """Deep Leakage from Gradients: invert the gradients before and after unlearning independently.

    The paper inverts one gradient. With two, the forgotten samples are those before unlearning that match no sample
    after unlearning. The authors' code takes 300 outer steps of L-BFGS, of up to 20 iterations each, without a line
    search and in float32; here each iteration has a line search, and the search runs in float64.
    """

    source: ClassVar[str] = "Zhu et al. 2019, Algorithm 1"

    labels: LabelMode = "optimized"
    """Source of the labels: known; inferred by counting, by iDLG's sign rule or from the difference of the gradients;
    probed as in GIAMU; or optimized with the images."""
    space: Space = "pixels"
    """Coordinates of the search: free pixels (clamped at the end), pixels in [0, 1], or scaled frequencies."""

    def recover(self, search: Search) -> dict[str, SearchResult]:
        """Run two independent searches; see `MatchingAttack.recover`."""
        setup = search.setup
        samples = setup.retained + setup.forgotten
        whole = Term(setup.before, setup.gradients_before, samples, noise=setup.noise)
        part = Term(setup.after, setup.gradients_after, setup.retained, noise=setup.noise)
        batch, retained = search.find("batch", [whole]), search.find("retained", [part])
        return {"retained": retained, "forgotten": unmatched_samples(batch, retained)}


@ATTACKS.register("idlg")
class ImprovedDeepLeakage(DeepLeakage):
    """Improved DLG: infer the labels from the last layer's gradient, then invert."""

    source: ClassVar[str] = "Zhao et al. 2020, Algorithm 1; for batches, see `label_inference.count_rule`"

    labels: LabelMode = "inferred"
    """Source of the labels: known; inferred by counting, by iDLG's sign rule or from the difference of the gradients;
    probed as in GIAMU; or optimized with the images."""


@ATTACKS.register("inverting-gradients")
class InvertingGradients(DeepLeakage):
    """Inverting Gradients: cosine distance, total variation, and Adam on the gradient's sign.

    The authors' later library, breaching, takes 24,000 steps with a weight of 0.2 for the total variation.
    """

    source: ClassVar[str] = "Geiping et al. 2020, Eq. 4 and section 6"

    labels: LabelMode = "known"
    """Source of the labels: known; inferred by counting, by iDLG's sign rule or from the difference of the gradients;
    probed as in GIAMU; or optimized with the images."""
    objective: ObjectiveName = "cosine"
    """Distance between gradients: squared Euclidean or cosine."""
    optimizer: OptimizerName = "adam-hard-sign"
    """L-BFGS, or Adam with the gradient, its sign, or a smoothed sign."""
    iterations: PositiveInt = 4800
    """Number of steps of each search."""
    total_variation: NonNegativeFloat = 1e-2
    """Weight of the images' total variation."""
    space: Space = "box"
    """Coordinates of the search: free pixels (clamped at the end), pixels in [0, 1], or scaled frequencies."""


def unmatched_samples(batch: SearchResult, retained: SearchResult) -> SearchResult:
    """Select the samples of each batch that are not assigned to a retained sample.

    The assignment minimizes the sum of the squared differences of images and class probabilities.

    Args:
        batch: The n samples of each batch.
        retained: The retained samples of each batch, fewer than n.

    Returns:
        The unassigned samples of `batch`, with the objective of `batch`.
    """
    from scipy.optimize import linear_sum_assignment

    images, targets, starts = [], [], []
    for row in range(len(batch.images)):
        costs = (batch.images[row].flatten(1)[:, None] - retained.images[row].flatten(1)).square().mean(dim=2)
        costs += (batch.targets[row][:, None] - retained.targets[row]).square().sum(dim=2)
        matched, _ = linear_sum_assignment(costs.cpu().numpy())
        unmatched = torch.ones(len(costs), dtype=torch.bool)
        unmatched[torch.from_numpy(matched)] = False
        images.append(batch.images[row][unmatched.to(costs.device)])
        targets.append(batch.targets[row][unmatched.to(costs.device)])
        if batch.start is not None:
            starts.append(batch.start[row][unmatched.to(costs.device)])
    start = torch.stack(starts) if starts else None
    return SearchResult(torch.stack(images), torch.stack(targets), batch.minimum, start)
