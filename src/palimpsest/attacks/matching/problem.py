"""A matching problem: which images explain the observed gradients?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import vmap

from palimpsest.attacks.matching.coordinates import Coordinates
from palimpsest.attacks.matching.distances import OBJECTIVES, ObjectiveName
from palimpsest.attacks.matching.optimizer import Box, Evaluate
from palimpsest.attacks.matching.total_variation import total_variation
from palimpsest.gradients import BatchGradient
from palimpsest.storage import Parameters

Context = dict[str, Tensor]
"""What differs between the batches of a problem, `[b, ...]` by name."""
Gradients = Callable[[Tensor, Tensor], Tensor]
"""From images and targets of p batches their gradients `[p, d]`; see `BatchGradient.at`."""


@dataclass(frozen=True)
class Batch:
    """Images `[b, n, channels, height, width]` of b batches, and probabilities of their classes `[b, n, classes]`."""

    images: Tensor
    targets: Tensor


@dataclass(frozen=True)
class Term:
    """One observed gradient of each batch, and what went into it.

    Args:
        parameters: Where the gradient was taken.
        observed: `[b, d]`.
        samples: So many of the unknown samples went into it, the first ones.
        fixed: Samples that also went into it and are held fixed.
    """

    parameters: Parameters
    observed: Tensor
    samples: int
    fixed: Batch | None = None

    def context(self, gradient: BatchGradient, gradients: Gradients) -> Context:
        """What the objective needs to know of each batch.

        Args:
            gradient: What clients compute.
            gradients: The same, of many batches at `parameters`.
        """
        context = {"observed": self.observed}
        if self.fixed is None:
            return context
        images, targets = self.fixed.images, self.fixed.targets
        if gradient.local_steps > 1:
            return context | {"images": images, "targets": targets}
        # One step's gradient is a mean over samples, so that the fixed ones' part need be computed only once.
        parts = [gradients(images[[row]], targets[[row]]) for row in range(len(images))]
        return context | {"known": torch.cat(parts) * (1 - self._share)}

    def explained(self, gradients: Gradients, images: Tensor, targets: Tensor, context: Context) -> Tensor:
        """The gradients that p batches would have, `[p, d]`.

        Args:
            gradients: What clients compute at `parameters`.
            images: The unknown images, `[p, n, channels, height, width]`.
            targets: Their classes' probabilities, `[p, n, classes]`.
            context: These batches' part of `context`.
        """
        images, targets = images[:, : self.samples], targets[:, : self.samples]
        if "images" in context:
            images = torch.cat([context["images"], images], dim=1)
            targets = torch.cat([context["targets"], targets], dim=1)
        own = gradients(images, targets)
        return context["known"] + self._share * own if "known" in context else own

    @property
    def _share(self) -> float:
        fixed = 0 if self.fixed is None else self.fixed.images.shape[1]
        return self.samples / (self.samples + fixed)


@dataclass(frozen=True)
class Problem:
    """The images, and perhaps the labels, of b batches, each started several times: all in one graph.

    The unknowns of one start are one row: the images' coordinates, then the labels' logits where they are not given.

    Args:
        gradient: What clients compute.
        terms: What must be explained; their distances are added.
        shape: Of one batch's unknown images: samples, channels, height, width.
        classes: How many there are.
        targets: Probabilities of the unknown samples' classes, `[b, n, classes]`, or none to find them too.
        coordinates: In which images are searched.
        objective: The distance of gradients.
        smoothness: Weight of the total variation.
        restarts: Starts of each batch; rows `i * restarts ... (i + 1) * restarts - 1` are batch i's.
        chunk: How many starts are evaluated at once.
    """

    gradient: BatchGradient
    terms: Sequence[Term]
    shape: tuple[int, int, int, int]
    classes: int
    targets: Tensor | None
    coordinates: Coordinates
    objective: ObjectiveName
    smoothness: float
    restarts: int
    chunk: int

    def unknowns(self, coordinates: Tensor, logits: Tensor | None = None) -> Tensor:
        """The images' coordinates, and logits where labels are unknown, as rows of unknowns.

        Args:
            coordinates: `[p, n, channels, height, width]`.
            logits: `[p, n, classes]`.
        """
        rows = coordinates.flatten(1).to(self.terms[0].observed)
        return rows if logits is None else torch.cat([rows, logits.flatten(1).to(rows)], dim=1)

    def images(self, points: Tensor) -> Tensor:
        """The images of rows of unknowns, `[p, n, channels, height, width]`; free pixels may leave [0, 1]."""
        return self.coordinates.decode(points[..., : self._pixels].unflatten(-1, self.shape))

    def labels(self, points: Tensor) -> Tensor:
        """The probabilities of rows of unknowns that hold logits, `[p, n, classes]`."""
        return points[..., self._pixels :].unflatten(-1, (self.shape[0], self.classes)).softmax(dim=-1)

    def box(self) -> Box:
        """Bounds of the unknowns; logits have none."""
        logits = 0 if self.targets is not None else self.shape[0] * self.classes
        low, high = self.coordinates.bounds
        bounds = self.terms[0].observed.new_tensor([[low], [high]]).repeat(1, self._pixels + logits)
        bounds[0, self._pixels :], bounds[1, self._pixels :] = -torch.inf, torch.inf
        return Box(*bounds)

    def objective_and_gradient(self) -> Evaluate:
        """The objective and its gradient, for any rows at once."""
        distance = OBJECTIVES[self.objective]
        sample = torch.linspace(0, 1, self._pixels // self.shape[0]).view(self.shape[1:])
        gradients = [self.gradient.at(term.parameters, sample.to(term.observed)) for term in self.terms]
        contexts = [term.context(self.gradient, own) for term, own in zip(self.terms, gradients, strict=True)]

        def objective(points: Tensor, batches: Tensor) -> Tensor:
            images = self.images(points)
            targets = self.labels(points) if self.targets is None else self.targets[batches]
            total = points.new_zeros(len(points))
            if self.smoothness:
                total = self.smoothness * vmap(total_variation)(images)
            for term, own, context in zip(self.terms, gradients, contexts, strict=True):
                here = {name: value[batches] for name, value in context.items()}
                total = total + distance(term.explained(own, images, targets, here), here["observed"])
            return total

        def evaluate(points: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
            values, slopes = [], []
            for some, batches in zip(
                points.split(self.chunk), (rows // self.restarts).split(self.chunk), strict=True
            ):
                here = some.detach().requires_grad_()
                value = objective(here, batches)
                # The rows are independent: the sum's gradient holds each one's.
                slopes += torch.autograd.grad(value.sum(), here)
                values.append(value.detach())
            return torch.cat(values), torch.cat(slopes)

        return evaluate

    @property
    def _pixels(self) -> int:
        return torch.Size(self.shape).numel()
