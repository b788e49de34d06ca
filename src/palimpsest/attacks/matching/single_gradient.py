"""Attacks on a single gradient, brought to unlearning: invert both, and see who is gone."""

from typing import ClassVar

import torch
from pydantic import NonNegativeFloat, PositiveInt
from scipy.optimize import linear_sum_assignment

from palimpsest.attacks.matching.base import MatchingAttack, OptimizerName
from palimpsest.attacks.matching.coordinates import Space
from palimpsest.attacks.matching.distances import ObjectiveName
from palimpsest.attacks.matching.label_inference import LabelMode
from palimpsest.attacks.matching.problem import Term
from palimpsest.attacks.matching.search import Found, Search
from palimpsest.registry import ATTACKS


@ATTACKS.register("dlg")
class DeepLeakage(MatchingAttack):
    """Deep Leakage from Gradients: invert the gradient before and the one after unlearning, each on its own.

    The paper knows one gradient. Here the samples of the first that have no partner among those of the second are the
    forgotten ones.
    """

    source: ClassVar[str] = "Zhu et al. 2019, Algorithm 1"

    labels: LabelMode = "optimised"
    """The samples' classes: known; inferred by counting, by iDLG's signs or by the gradients' difference; probed by
    GIAMU's black box; or optimised."""
    space: Space = "pixels"
    """Search pixels freely (clamped at the end), pixels kept in [0, 1], or frequencies scaled as in public images."""

    def recover(self, search: Search) -> dict[str, Found]:
        """Two searches that know nothing of each other; see `MatchingAttack.recover`."""
        scene = search.scene
        whole = search.find("batch", [Term(scene.before, scene.whole, scene.remaining + scene.forgotten)])
        stay = search.find("remaining", [Term(scene.after, scene.stayed, scene.remaining)])
        return {"remaining": stay, "forgotten": without_partner(whole, stay)}


@ATTACKS.register("idlg")
class ImprovedDeepLeakage(DeepLeakage):
    """Improved DLG: read the labels from the last layer's gradient, then invert."""

    source: ClassVar[str] = "Zhao et al. 2020, Algorithm 1; for batches, see `labels.count_rule`"

    labels: LabelMode = "inferred"
    """The samples' classes: known; inferred by counting, by iDLG's signs or by the gradients' difference; probed by
    GIAMU's black box; or optimised."""


@ATTACKS.register("inverting-gradients")
class InvertingGradients(DeepLeakage):
    """Inverting Gradients: cosine distance, total variation, and Adam with the gradient's sign."""

    source: ClassVar[str] = "Geiping et al. 2020, Eq. 4 and section 6"

    labels: LabelMode = "known"
    """The samples' classes: known; inferred by counting, by iDLG's signs or by the gradients' difference; probed by
    GIAMU's black box; or optimised."""
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


def without_partner(whole: Found, stay: Found) -> Found:
    """The samples of each whole batch that are left when the remaining ones have been paired with their likes.

    The attack compares its own two answers here; nothing else is known of either.

    Args:
        whole: n samples of each batch.
        stay: Fewer samples of each batch.
    """
    images, targets = [], []
    for batch in range(len(whole.images)):
        apart = (whole.images[batch].flatten(1)[:, None] - stay.images[batch].flatten(1)).square().mean(dim=2)
        apart += (whole.targets[batch][:, None] - stay.targets[batch]).square().sum(dim=2)
        paired, _ = linear_sum_assignment(apart.cpu().numpy())
        alone = torch.ones(len(apart), dtype=torch.bool)
        alone[torch.from_numpy(paired)] = False
        images.append(whole.images[batch][alone.to(apart.device)])
        targets.append(whole.targets[batch][alone.to(apart.device)])
    return Found(torch.stack(images), torch.stack(targets), whole.minimum)
