"""The search for samples that explain what was observed, and its rehearsal with the samples themselves."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor

from palimpsest.attacks.matching.adam import Adam
from palimpsest.attacks.matching.coordinates import Coordinates
from palimpsest.attacks.matching.distances import ObjectiveName
from palimpsest.attacks.matching.lbfgs import LBFGS
from palimpsest.attacks.matching.optimizer import Evaluate, Minimum
from palimpsest.attacks.matching.priors import spread
from palimpsest.attacks.matching.problem import Batch, Problem, Term
from palimpsest.attacks.matching.setup import Scene
from palimpsest.errors import DivergenceError
from palimpsest.progress import progress_line

Part = Literal["remaining", "forgotten", "batch"]
"""Which samples of a batch are sought; in a whole batch the remaining ones come first."""


@dataclass(frozen=True)
class Found:
    """Samples that explain what was observed, and how well.

    Args:
        images: `[b, n, channels, height, width]` in [0, 1].
        targets: Probabilities of their classes, `[b, n, classes]`.
        minimum: The objective there, and on the way.
        start: The images that the search started from, in [0, 1], or none for noise.
    """

    images: Tensor
    targets: Tensor
    minimum: Minimum
    start: Tensor | None = None

    @property
    def batch(self) -> Batch:
        """The samples alone."""
        return Batch(self.images, self.targets)

    @property
    def labels(self) -> Tensor:
        """The likeliest class of each sample, `[b * n]` int64."""
        return self.targets.argmax(dim=-1).flatten().cpu()

    def rows(self, start: int, stop: int) -> "Found":
        """Some of each batch's samples."""
        return Found(self.images[:, start:stop], self.targets[:, start:stop], self.minimum)


@dataclass(frozen=True)
class Search(ABC):
    """Something that answers which samples explain observed gradients.

    Args:
        scene: What the server holds.
        objective: The distance of gradients.
        generator: The attack's randomness.
    """

    scene: Scene
    objective: ObjectiveName
    generator: Generator

    @abstractmethod
    def find(self, part: Part, terms: Sequence[Term], *, start: Tensor | None = None) -> Found:
        """The samples that explain what was observed.

        Args:
            part: Which samples are sought.
            terms: What must be explained.
            start: Images to start from, `[b, n, channels, height, width]`; none starts from noise.

        Raises:
            DivergenceError: The objective of a batch is not finite, wherever it starts.
        """

    def _samples(self, part: Part) -> slice:
        scene = self.scene
        first = scene.remaining if part == "forgotten" else 0
        last = scene.remaining if part == "remaining" else scene.remaining + scene.forgotten
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
    ) -> Problem:
        count = samples.stop - samples.start
        return Problem(
            gradient=self.scene.gradient,
            terms=terms,
            shape=(count, *self.scene.shape),
            classes=self.scene.classes,
            targets=None if targets is None else targets[:, samples],
            coordinates=coordinates,
            objective=self.objective,
            smoothness=smoothness,
            restarts=restarts,
            chunk=self.scene.chunk(count),
        )


@dataclass(frozen=True)
class Descent(Search):
    """The search of an attack: several starts of each batch, all descending at once, and the best is kept.

    Args:
        optimizer: What descends.
        coordinates: In which images are searched.
        smoothness: Weight of the total variation.
        restarts: Starts of each batch.
    """

    optimizer: LBFGS | Adam
    coordinates: Coordinates
    smoothness: float
    restarts: int

    def find(self, part: Part, terms: Sequence[Term], *, start: Tensor | None = None) -> Found:
        """Descend; see `Search.find`."""
        samples, targets = self._samples(part), self.scene.targets
        problem = self._problem(
            terms,
            samples,
            targets,
            coordinates=self.coordinates,
            smoothness=self.smoothness,
            restarts=self.restarts,
        )
        starts = len(self.scene.whole) * self.restarts
        if start is None:
            images = self.coordinates.noise((starts, *problem.shape), self.generator)
        else:
            images = self.coordinates.encode(spread(start, self.restarts, self.generator))
        logits = None
        if targets is None:
            logits = torch.randn(starts, problem.shape[0], problem.classes, generator=self.generator)
        with progress_line(part, self.optimizer.iterations) as line:
            minimum = self.optimizer.minimise(
                _refusing_none(problem.objective_and_gradient(), self.restarts, part),
                problem.unknowns(images, logits),
                problem.box(),
                line,
            )
        best = minimum.best(self.restarts)
        return Found(
            images=problem.images(best.points).clamp(0, 1),
            targets=problem.labels(best.points) if targets is None else targets[:, samples],
            minimum=best,
            start=start,
        )


def _refusing_none(evaluate: Evaluate, restarts: int, part: Part) -> Evaluate:
    """The objective, unless no start of a batch has a finite one: from there no optimiser moves."""
    begun = False

    def first_refusing(points: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        nonlocal begun
        values, gradients = evaluate(points, rows)
        if not begun:
            lost = ~values.view(-1, restarts).isfinite().any(dim=1)
            if bool(lost.any()):
                raise DivergenceError(
                    f"The objective of the {part} samples is {float(values.view(-1, restarts)[lost][0, 0])} wherever "
                    f"batch {int(lost.nonzero()[0])} starts: its gradients are zero or too large for attack.precision, "
                    "or the model has none that are finite there; see what `palimpsest doctor` says of them."
                )
        begun = True
        return values, gradients

    return first_refusing


@dataclass(frozen=True)
class Rehearsal(Search):
    """What a search would give that found the truth: for a check of model, observation and loss, never for an attack.

    Args:
        truth: The samples of each batch, the remaining ones first.
        coordinates: In which images are searched.
    """

    truth: Batch
    coordinates: Coordinates

    def find(self, part: Part, terms: Sequence[Term], *, start: Tensor | None = None) -> Found:
        """The true samples, and what the objective says of them; see `Search.find`."""
        samples = self._samples(part)
        images = self.truth.images[:, samples].to(self.scene.whole)
        targets = self.truth.targets.to(self.scene.whole)
        problem = self._problem(terms, samples, targets, coordinates=self.coordinates)
        points = problem.unknowns(self.coordinates.encode(images))
        values, _ = problem.objective_and_gradient()(points, torch.arange(len(points), device=points.device))
        return Found(images, targets[:, samples], Minimum(points, values, values[None]))
