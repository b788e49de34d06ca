"""DRAGD and DRAGDP: first what remains, then what was forgotten (arXiv 2507.09602)."""

from typing import ClassVar

import torch
from torch import Generator, Tensor

from palimpsest.attacks.matching.base import MatchingAttack
from palimpsest.attacks.matching.coordinates import Space
from palimpsest.attacks.matching.priors import PRIORS, PriorName, nearest_images
from palimpsest.attacks.matching.problem import Batch, Term
from palimpsest.attacks.matching.search import Found, Search
from palimpsest.attacks.matching.setup import Scene
from palimpsest.registry import ATTACKS
from palimpsest.storage import Parameters


@ATTACKS.register("dragd")
class DRAGD(MatchingAttack):
    """Explain the gradient after unlearning by the remaining samples, then, with these held fixed, the gradient before
    unlearning by the forgotten ones."""

    source: ClassVar[str] = "DRAGD (arXiv 2507.09602), stages 1 and 2"

    residual: bool = True
    """Count what stage 1 leaves unexplained as the remaining samples', in stage 2 too; off is the paper's stage 2."""

    def recover(self, search: Search) -> dict[str, Found]:
        """Two searches; see `MatchingAttack.recover`."""
        scene, generator = search.scene, search.generator
        first = Term(scene.after, scene.stayed, scene.remaining)
        stay = search.find("remaining", [first], start=self.first_start(scene, generator))
        observed = scene.whole
        if self.residual:
            share = scene.remaining / (scene.remaining + scene.forgotten)
            observed = observed - share * _unexplained(scene, stay.batch)
        second = Term(scene.before, observed, scene.forgotten, stay.batch)
        start = self.second_start(scene, observed, stay.batch, generator)
        return {"remaining": stay, "forgotten": search.find("forgotten", [second], start=start)}

    def first_start(self, scene: Scene, generator: Generator) -> Tensor | None:
        """Where stage 1 starts: images `[b, n_r, channels, height, width]`, or none for noise.

        Args:
            scene: What the server holds.
            generator: The attack's randomness.
        """
        return None

    def second_start(
        self, scene: Scene, observed: Tensor, fixed: Batch, generator: Generator
    ) -> Tensor | None:
        """Where stage 2 starts: images `[b, n_f, channels, height, width]`, or none for noise.

        Args:
            scene: What the server holds.
            observed: The gradient that stage 2 explains, `[b, d]`.
            fixed: What stage 1 found.
            generator: The attack's randomness.
        """
        return None


@ATTACKS.register("dragdp")
class DRAGDP(DRAGD):
    """DRAGD that starts from public images, and searches in the coordinates in which these are white noise."""

    source: ClassVar[str] = "DRAGDP (arXiv 2507.09602); the coordinates are this package's"

    space: Space = "spectrum"
    """Search pixels freely (clamped at the end), pixels kept in [0, 1], or frequencies scaled as in public images."""
    prior: PriorName = "mean"
    """Where the search starts: the mean public image, the nearest by gradient, the class's mean, or a blurred one."""
    prior_stage_one: bool = True
    """Start the remaining samples from public images too; off is the paper's stage 1."""

    @property
    def uses_public(self) -> bool:
        """It does."""
        return True

    def first_start(self, scene: Scene, generator: Generator) -> Tensor | None:
        """Public images; see `DRAGD.first_start`."""
        if not self.prior_stage_one:
            return None
        targets = _believed(scene)[:, : scene.remaining]
        if self.prior == "nearest":
            return nearest_images(scene, scene.after, scene.stayed, targets)
        return PRIORS[self.prior](scene, targets, generator)

    def second_start(
        self, scene: Scene, observed: Tensor, fixed: Batch, generator: Generator
    ) -> Tensor | None:
        """Public images; see `DRAGD.second_start`."""
        targets = _believed(scene)[:, scene.remaining :]
        if self.prior == "nearest":
            share = scene.forgotten / (scene.remaining + scene.forgotten)
            wanted = (observed - (1 - share) * _gradients(scene, scene.before, fixed)) / share
            return nearest_images(scene, scene.before, wanted, targets)
        return PRIORS[self.prior](scene, targets, generator)


def _gradients(scene: Scene, parameters: Parameters, batches: Batch) -> Tensor:
    """Each batch's gradient, `[b, d]`."""
    pairs = zip(batches.images, batches.targets, strict=True)
    return torch.stack([scene.gradient(parameters, images, targets) for images, targets in pairs])


def _unexplained(scene: Scene, stay: Batch) -> Tensor:
    """What the samples of stage 1 leave unexplained of the gradient after unlearning, `[b, d]`.

    Unlearning moves the parameters little, so the true remaining samples' gradient before it differs from the
    reconstructed ones' by nearly the same: what is left is a difference of differences.
    """
    return scene.stayed - _gradients(scene, scene.after, stay)


def _believed(scene: Scene) -> Tensor:
    """The probabilities of the samples' classes, or all alike where the labels are to be found."""
    if scene.targets is not None:
        return scene.targets
    samples = scene.remaining + scene.forgotten
    return scene.whole.new_full((len(scene.whole), samples, scene.classes), 1 / scene.classes)
