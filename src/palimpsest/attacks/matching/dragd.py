"""DRAGD and DRAGDP: two-stage reconstruction of retained, then forgotten samples (arXiv 2507.09602)."""

from typing import ClassVar

import torch
from torch import Generator, Tensor

from palimpsest.attacks.matching.base import MatchingAttack
from palimpsest.attacks.matching.coordinates import Space
from palimpsest.attacks.matching.priors import PRIORS, PriorName, nearest_images
from palimpsest.attacks.matching.problem import Batch, Term
from palimpsest.attacks.matching.search import Search, SearchResult
from palimpsest.attacks.matching.setup import ProblemSetup
from palimpsest.registry import ATTACKS
from palimpsest.storage import Parameters


@ATTACKS.register("dragd")
class DRAGD(MatchingAttack):
    """Match the gradient after unlearning with the retained samples, then the gradient before it with all samples.

    Stage 2 holds the retained samples of stage 1 fixed and searches only the forgotten ones.
    """

    source: ClassVar[str] = "DRAGD (arXiv 2507.09602), stages 1 and 2"

    residual: bool = True
    """Subtract the residual of stage 1 from the gradient that stage 2 matches; false gives the paper's stage 2."""

    def recover(self, search: Search) -> dict[str, SearchResult]:
        """Run two searches; see `MatchingAttack.recover`."""
        setup, generator = search.setup, search.generator
        first = Term(setup.after, setup.gradients_after, setup.retained)
        retained = search.find("retained", [first], start=self.first_start(setup, generator))
        observed = setup.gradients_before
        if self.residual:
            share = setup.retained / (setup.retained + setup.forgotten)
            observed = observed - share * _residual(setup, retained.batch)
        second = Term(setup.before, observed, setup.forgotten, retained.batch)
        start = self.second_start(setup, observed, retained.batch, generator)
        return {"retained": retained, "forgotten": search.find("forgotten", [second], start=start)}

    def first_start(self, setup: ProblemSetup, generator: Generator) -> Tensor | None:
        """Choose the start of stage 1.

        Args:
            setup: The problem setup.
            generator: Source of the attack's randomness.

        Returns:
            Images `[b, n_r, channels, height, width]`, or None to start from noise.
        """
        return None

    def second_start(
        self, setup: ProblemSetup, observed: Tensor, fixed: Batch, generator: Generator
    ) -> Tensor | None:
        """Choose the start of stage 2.

        Args:
            setup: The problem setup.
            observed: The gradient that stage 2 matches, `[b, d]`.
            fixed: The retained samples that stage 1 reconstructed.
            generator: Source of the attack's randomness.

        Returns:
            Images `[b, n_f, channels, height, width]`, or None to start from noise.
        """
        return None


@ATTACKS.register("dragdp")
class DRAGDP(DRAGD):
    """DRAGD that starts from public images and searches in coordinates in which these images are white noise."""

    source: ClassVar[str] = "DRAGDP (arXiv 2507.09602); the coordinates are this package's"

    space: Space = "spectrum"
    """Coordinates of the search: free pixels (clamped at the end), pixels in [0, 1], or scaled frequencies."""
    prior: PriorName = "mean"
    """Start of a search: the mean public image, the one with the nearest gradient, the class mean or a blurred one."""
    prior_stage_one: bool = True
    """Start stage 1 from public images too; false gives the paper's stage 1, which starts from noise."""

    @property
    def uses_public(self) -> bool:
        """True: the searches start from public images."""
        return True

    def first_start(self, setup: ProblemSetup, generator: Generator) -> Tensor | None:
        """Start from public images; see `DRAGD.first_start`."""
        if not self.prior_stage_one:
            return None
        targets = _class_probabilities(setup)[:, : setup.retained]
        if self.prior == "nearest":
            return nearest_images(setup, setup.after, setup.gradients_after, targets)
        return PRIORS[self.prior](setup, targets, generator)

    def second_start(
        self, setup: ProblemSetup, observed: Tensor, fixed: Batch, generator: Generator
    ) -> Tensor | None:
        """Start from public images; see `DRAGD.second_start`."""
        targets = _class_probabilities(setup)[:, setup.retained :]
        if self.prior == "nearest":
            share = setup.forgotten / (setup.retained + setup.forgotten)
            gradients = (observed - (1 - share) * _gradients(setup, setup.before, fixed)) / share
            return nearest_images(setup, setup.before, gradients, targets)
        return PRIORS[self.prior](setup, targets, generator)


def _gradients(setup: ProblemSetup, parameters: Parameters, batches: Batch) -> Tensor:
    """Compute the gradient of each batch, `[b, d]`."""
    pairs = zip(batches.images, batches.targets, strict=True)
    return torch.stack([setup.gradient(parameters, images, targets) for images, targets in pairs])


def _residual(setup: ProblemSetup, retained: Batch) -> Tensor:
    """Compute the part of the gradient after unlearning that the samples of stage 1 do not produce, `[b, d]`.

    Unlearning changes the parameters only slightly. The gradients of the true and of the reconstructed retained
    samples therefore differ by nearly the same vector before and after unlearning.
    """
    return setup.gradients_after - _gradients(setup, setup.after, retained)


def _class_probabilities(setup: ProblemSetup) -> Tensor:
    """Return the class probabilities of all samples; they are uniform if the search also finds the labels."""
    if setup.targets is not None:
        return setup.targets
    samples = setup.retained + setup.forgotten
    batches = len(setup.gradients_before)
    return setup.gradients_before.new_full((batches, samples, setup.classes), 1 / setup.classes)
