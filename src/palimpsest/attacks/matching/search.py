"""Search for samples whose gradients match the observed ones, and the check of its objective at the truth."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor

from palimpsest.attacks.matching.adam import Adam
from palimpsest.attacks.matching.coordinates import Coordinates, Spectrum
from palimpsest.attacks.matching.distances import ObjectiveName
from palimpsest.attacks.matching.lbfgs import LBFGS
from palimpsest.attacks.matching.noise import NoiseMode
from palimpsest.attacks.matching.optimizer import Evaluate, Minimum
from palimpsest.attacks.matching.priors import PriorName, perturbed_starts, prior_images
from palimpsest.attacks.matching.problem import Batch, Problem, Term
from palimpsest.attacks.matching.setup import ProblemSetup
from palimpsest.errors import DivergenceError
from palimpsest.progress import progress_line

Part = Literal["retained", "forgotten", "batch"]
"""Part of a batch that is searched; in a whole batch the retained samples come first."""


@dataclass(frozen=True)
class SearchResult:
    """Samples that a search found.

    Args:
        images: `[b, n, channels, height, width]` in [0, 1].
        targets: Class probabilities, `[b, n, classes]`.
        minimum: The objective at these samples, and its history.
        start: Images from which the search started, in [0, 1]. None means that it started from noise.
    """

    images: Tensor
    targets: Tensor
    minimum: Minimum
    start: Tensor | None = None

    @property
    def batch(self) -> Batch:
        """The samples without their objective."""
        return Batch(self.images, self.targets)

    @property
    def labels(self) -> Tensor:
        """The most likely class of each sample, `[b * n]` int64."""
        return self.targets.argmax(dim=-1).flatten().cpu()

    def rows(self, start: int, stop: int) -> "SearchResult":
        """Select samples `start` to `stop - 1` of each batch."""
        begun = None if self.start is None else self.start[:, start:stop]
        return SearchResult(self.images[:, start:stop], self.targets[:, start:stop], self.minimum, begun)


@dataclass(frozen=True)
class Search(ABC):
    """Base class of the searches for samples whose gradients match the observed ones.

    Args:
        setup: The problem setup.
        objective: Distance between gradients.
        generator: Source of the attack's randomness.
    """

    setup: ProblemSetup
    objective: ObjectiveName
    generator: Generator

    @abstractmethod
    def find(
        self, part: Part, terms: Sequence[Term], *, start: Tensor | None = None, from_prior: bool = True
    ) -> SearchResult:
        """Find samples whose gradients match the observed ones.

        Args:
            part: Part of the batch to search.
            terms: Observed gradients to match; all samples of the part contributed to the last one.
            start: Images to start from, `[b, n, channels, height, width]`. If omitted, the search starts from its
                prior, or from noise if it has none.
            from_prior: Whether the search uses its prior.

        Returns:
            The samples of each batch with their objective.

        Raises:
            DivergenceError: The objective of a batch is not finite at any start.
        """

    def _samples(self, part: Part) -> slice:
        """Return the positions in a batch of the samples that are searched."""
        first = self.setup.retained if part == "forgotten" else 0
        last = self.setup.retained if part == "retained" else self.setup.retained + self.setup.forgotten
        return slice(first, last)

    def _problem(
        self,
        terms: Sequence[Term],
        samples: slice,
        targets: Tensor | None,
        *,
        coordinates: Coordinates,
        smoothness: float = 0.0,
        restarts: int = 1,
        noise: NoiseMode = "ignored",
    ) -> Problem:
        count = samples.stop - samples.start
        return Problem(
            gradient=self.setup.gradient,
            terms=terms,
            shape=(count, *self.setup.shape),
            classes=self.setup.classes,
            targets=None if targets is None else targets[:, samples],
            coordinates=coordinates,
            objective=self.objective,
            smoothness=smoothness,
            restarts=restarts,
            chunk=self.setup.chunk(count),
            noise=noise,
            image_prior=self._image_prior() if noise == "map" else None,
        )

    def _image_prior(self) -> Spectrum:
        """Return coordinates in which public images are standard normal."""
        return Spectrum(self.setup.public)


@dataclass(frozen=True)
class Descent(Search):
    """Minimization of the objective from several starts of each batch at once, of which the best result is kept.

    Args:
        optimizer: Minimizes the objective.
        coordinates: Coordinates in which the images are searched.
        smoothness: Weight of the total variation.
        restarts: Number of starts of each batch.
        prior: Public images to start from. If omitted, the search starts from noise.
        noise: Treatment of the noise that the setup's mechanism describes.
    """

    optimizer: LBFGS | Adam
    coordinates: Coordinates
    smoothness: float
    restarts: int
    prior: PriorName | None = None
    noise: NoiseMode = "ignored"

    def find(
        self, part: Part, terms: Sequence[Term], *, start: Tensor | None = None, from_prior: bool = True
    ) -> SearchResult:
        """Minimize the objective; see `Search.find`."""
        samples, targets = self._samples(part), self.setup.targets
        if start is None and self.prior is not None and from_prior:
            start = prior_images(self.prior, self.setup, terms[-1], samples, self.generator)
        problem = self._problem(
            terms,
            samples,
            targets,
            coordinates=self.coordinates,
            smoothness=self.smoothness,
            restarts=self.restarts,
            noise=self.noise,
        )
        start_count = len(self.setup.gradients_before) * self.restarts
        if start is None:
            images = self.coordinates.noise((start_count, *problem.shape), self.generator)
        else:
            images = self.coordinates.encode(perturbed_starts(start, self.restarts, self.generator))
        logits = None
        if targets is None:
            logits = torch.randn(start_count, problem.shape[0], problem.classes, generator=self.generator)
        with progress_line(part, self.optimizer.iterations) as line:
            minimum = self.optimizer.minimize(
                _with_finite_start(problem.objective_and_gradient(), self.restarts, part),
                problem.unknowns(images, logits),
                problem.box(),
                line,
                target=problem.target(),
            )
        best = minimum.best(self.restarts)
        return SearchResult(
            images=problem.images(best.points).clamp(0, 1),
            targets=problem.labels(best.points) if targets is None else targets[:, samples],
            minimum=best,
            start=start,
        )


def _with_finite_start(evaluate: Evaluate, restarts: int, part: Part) -> Evaluate:
    """Wrap an objective to raise if all starts of a batch have a value that is not finite.

    No optimizer could make a step from such starts.
    """
    started = False

    def evaluate_and_check(points: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        nonlocal started
        values, gradients = evaluate(points, rows)
        if not started:
            diverged = ~values.view(-1, restarts).isfinite().any(dim=1)
            if bool(diverged.any()):
                raise DivergenceError(
                    f"The objective of the {part} samples of batch {int(diverged.nonzero()[0])} is "
                    f"{float(values.view(-1, restarts)[diverged][0, 0])} at every start. The batch's gradients are "
                    "zero or too large for attack.precision, or the model's gradients are not finite. Check them with "
                    "`palimpsest doctor`."
                )
        started = True
        return values, gradients

    return evaluate_and_check


@dataclass(frozen=True)
class ObjectiveCheck(Search):
    """Evaluation of the objective at the true samples: a check of model, observation and loss, not an attack.

    Args:
        truth: The true samples of each batch, the retained samples first.
        coordinates: Coordinates in which the images are searched.
    """

    truth: Batch
    coordinates: Coordinates

    def find(
        self, part: Part, terms: Sequence[Term], *, start: Tensor | None = None, from_prior: bool = True
    ) -> SearchResult:
        """Return the true samples with their objective; see `Search.find`. The start and the prior are ignored."""
        samples = self._samples(part)
        images = self.truth.images[:, samples].to(self.setup.gradients_before)
        targets = self.truth.targets.to(self.setup.gradients_before)
        problem = self._problem(terms, samples, targets, coordinates=self.coordinates)
        points = problem.unknowns(self.coordinates.encode(images))
        values, _ = problem.objective_and_gradient()(points, torch.arange(len(points), device=points.device))
        return SearchResult(images, targets[:, samples], Minimum(points, values, values[None]))
