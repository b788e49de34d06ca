"""Attacks on a single gradient, applied to unlearning: invert both gradients, and compare the samples."""

from typing import ClassVar

import torch
from pydantic import NonNegativeFloat, PositiveInt
from scipy.optimize import linear_sum_assignment

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

    The paper has one gradient. With two, the forgotten samples are those of the first that match no sample of the
    second.
    """

    source: ClassVar[str] = "Zhu et al. 2019, Algorithm 1"

    labels: LabelMode = "optimized"
    """The samples' classes: known; inferred by counting, by iDLG's signs or by the gradients' difference; probed by
    GIAMU's black box; or optimized."""
    space: Space = "pixels"
    """Search pixels freely (clamped at the end), pixels kept in [0, 1], or frequencies scaled as in public images."""

    def recover(self, search: Search) -> dict[str, SearchResult]:
        """Run two independent searches; see `MatchingAttack.recover`."""
        setup = search.setup
        samples = setup.retained + setup.forgotten
        batch = search.find("batch", [Term(setup.before, setup.gradients_before, samples)])
        retained = search.find("retained", [Term(setup.after, setup.gradients_after, setup.retained)])
        return {"retained": retained, "forgotten": without_partner(batch, retained)}


@ATTACKS.register("idlg")
class ImprovedDeepLeakage(DeepLeakage):
    """Improved DLG: read the labels from the last layer's gradient, then invert."""

    source: ClassVar[str] = "Zhao et al. 2020, Algorithm 1; for batches, see `label_inference.count_rule`"

    labels: LabelMode = "inferred"
    """The samples' classes: known; inferred by counting, by iDLG's signs or by the gradients' difference; probed by
    GIAMU's black box; or optimized."""


@ATTACKS.register("inverting-gradients")
class InvertingGradients(DeepLeakage):
    """Inverting Gradients: cosine distance, total variation, and Adam with the gradient's sign."""

    source: ClassVar[str] = "Geiping et al. 2020, Eq. 4 and section 6"

    labels: LabelMode = "known"
    """The samples' classes: known; inferred by counting, by iDLG's signs or by the gradients' difference; probed by
    GIAMU's black box; or optimized."""
    objective: ObjectiveName = "cosine"
    """The distance of gradients: squared Euclidean or cosine."""
    optimizer: OptimizerName = "adam-hard-sign"
    """L-BFGS, or Adam with the gradient, its sign, or a soft sign."""
    iterations: PositiveInt = 4800
    """Steps of each search."""
    total_variation: NonNegativeFloat = 1e-2
    """Weight of the images' total variation."""
    space: Space = "box"
    """Search pixels freely (clamped at the end), pixels kept in [0, 1], or frequencies scaled as in public images."""


def without_partner(batch: SearchResult, retained: SearchResult) -> SearchResult:
    """Select the samples of each batch that are left after the retained ones are paired with their nearest matches.

    Args:
        batch: The n samples of each batch.
        retained: Its retained samples, fewer than n.

    Returns:
        The samples of `batch` without a partner, with the objective of `batch`.
    """
    images, targets = [], []
    for row in range(len(batch.images)):
        costs = (batch.images[row].flatten(1)[:, None] - retained.images[row].flatten(1)).square().mean(dim=2)
        costs += (batch.targets[row][:, None] - retained.targets[row]).square().sum(dim=2)
        paired, _ = linear_sum_assignment(costs.cpu().numpy())
        alone = torch.ones(len(costs), dtype=torch.bool)
        alone[torch.from_numpy(paired)] = False
        images.append(batch.images[row][alone.to(costs.device)])
        targets.append(batch.targets[row][alone.to(costs.device)])
    return SearchResult(torch.stack(images), torch.stack(targets), batch.minimum)
