"""Matching problem: the objective of images that should explain observed gradients."""

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
"""Tensors by name that differ between the batches of a problem, `[b, ...]`."""
Gradients = Callable[[Tensor, Tensor], Tensor]
"""From images and targets of p batches to their gradients, `[p, d]`; see `BatchGradient.at`."""


@dataclass(frozen=True)
class Batch:
    """Samples of b batches.

    Args:
        images: `[b, n, channels, height, width]`.
        targets: Probabilities of their classes, `[b, n, classes]`.
    """

    images: Tensor
    targets: Tensor


@dataclass(frozen=True)
class Term:
    """One observed gradient of each batch, and the samples that contributed to it.

    Args:
        parameters: Where the gradient was taken.
        observed: `[b, d]`.
        samples: How many of the unknown samples contributed, the first ones.
        fixed: Known samples that also contributed; they are held fixed.
    """

    parameters: Parameters
    observed: Tensor
    samples: int
    fixed: Batch | None = None

    def context(self, gradient: BatchGradient, gradients: Gradients) -> Context:
        """Compute the tensors that the objective needs of each batch.

        Args:
            gradient: Computes a batch's gradient as the clients do.
            gradients: The same for many batches, at `parameters`.
        """
        context = {"observed": self.observed}
        if self.fixed is None:
            return context
        images, targets = self.fixed.images, self.fixed.targets
        if gradient.local_steps > 1:
            return context | {"images": images, "targets": targets}
        # The gradient of one step is a mean over samples: the part of the fixed samples is computed only once.
        parts = [gradients(images[[row]], targets[[row]]) for row in range(len(images))]
        return context | {"known": torch.cat(parts) * (1 - self._share)}

    def explained(self, gradients: Gradients, images: Tensor, targets: Tensor, context: Context) -> Tensor:
        """Compute the gradients that p batches of unknown samples would have.

        Args:
            gradients: The clients' gradients at `parameters`.
            images: The unknown images, `[p, n, channels, height, width]`.
            targets: Probabilities of their classes, `[p, n, classes]`.
            context: The rows of `context` for these batches.

        Returns:
            `[p, d]`.
        """
        images, targets = images[:, : self.samples], targets[:, : self.samples]
        if "images" in context:
            images = torch.cat([context["images"], images], dim=1)
            targets = torch.cat([context["targets"], targets], dim=1)
        computed = gradients(images, targets)
        return context["known"] + self._share * computed if "known" in context else computed

    @property
    def _share(self) -> float:
        fixed = 0 if self.fixed is None else self.fixed.images.shape[1]
        return self.samples / (self.samples + fixed)


@dataclass(frozen=True)
class Problem:
    """The unknown images, and possibly labels, of b batches with several starts each.

    The unknowns of one start are one row: the coordinates of the images, then the logits of unknown labels.

    Args:
        gradient: Computes a batch's gradient as the clients do.
        terms: The gradients to explain; their distances are added.
        shape: Shape of one batch's unknown images: samples, channels, height, width.
        classes: Number of classes.
        targets: Probabilities of the unknown samples' classes, `[b, n, classes]`; None if the labels are unknown.
        coordinates: Coordinates of the images.
        objective: The distance of gradients.
        smoothness: Weight of the total variation.
        restarts: Starts of each batch; rows `i * restarts` to `(i + 1) * restarts - 1` belong to batch i.
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
        """Join coordinates, and logits of unknown labels, to rows of unknowns.

        Args:
            coordinates: `[p, n, channels, height, width]`.
            logits: `[p, n, classes]`; None if the labels are known.
        """
        rows = coordinates.flatten(1).to(self.terms[0].observed)
        return rows if logits is None else torch.cat([rows, logits.flatten(1).to(rows)], dim=1)

    def images(self, points: Tensor) -> Tensor:
        """Read the images from rows of unknowns, `[p, n, channels, height, width]`; free pixels may leave [0, 1]."""
        return self.coordinates.decode(points[..., : self._pixels].unflatten(-1, self.shape))

    def labels(self, points: Tensor) -> Tensor:
        """Read the class probabilities from rows of unknowns that hold logits, `[p, n, classes]`."""
        return points[..., self._pixels :].unflatten(-1, (self.shape[0], self.classes)).softmax(dim=-1)

    def box(self) -> Box:
        """Make the bounds of the unknowns; logits are unbounded."""
        logits = 0 if self.targets is not None else self.shape[0] * self.classes
        low, high = self.coordinates.bounds
        bounds = self.terms[0].observed.new_tensor([[low], [high]]).repeat(1, self._pixels + logits)
        bounds[0, self._pixels :], bounds[1, self._pixels :] = -torch.inf, torch.inf
        return Box(*bounds)

    def objective_and_gradient(self) -> Evaluate:
        """Make the function that evaluates the objective and its gradient for any rows at once."""
        distance = OBJECTIVES[self.objective]
        sample = torch.linspace(0, 1, self._pixels // self.shape[0]).view(self.shape[1:])
        gradients = [self.gradient.at(term.parameters, sample.to(term.observed)) for term in self.terms]
        contexts = [
            term.context(self.gradient, term_gradients)
            for term, term_gradients in zip(self.terms, gradients, strict=True)
        ]

        def objective(points: Tensor, batches: Tensor) -> Tensor:
            images = self.images(points)
            targets = self.labels(points) if self.targets is None else self.targets[batches]
            total = points.new_zeros(len(points))
            if self.smoothness:
                total = self.smoothness * vmap(total_variation)(images)
            for term, term_gradients, context in zip(self.terms, gradients, contexts, strict=True):
                rows = {name: value[batches] for name, value in context.items()}
                explained = term.explained(term_gradients, images, targets, rows)
                total = total + distance(explained, rows["observed"])
            return total

        def evaluate(points: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
            values, slopes = [], []
            chunks = zip(points.split(self.chunk), (rows // self.restarts).split(self.chunk), strict=True)
            for chunk, batches in chunks:
                leaf = chunk.detach().requires_grad_()
                value = objective(leaf, batches)
                # The rows are independent: the gradient of the sum holds the gradient of each row.
                slopes += torch.autograd.grad(value.sum(), leaf)
                values.append(value.detach())
            return torch.cat(values), torch.cat(slopes)

        return evaluate

    @property
    def _pixels(self) -> int:
        return torch.Size(self.shape).numel()
