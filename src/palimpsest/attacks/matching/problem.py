"""Matching problem: the objective of images whose gradients should match observed gradients."""

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
"""Tensors by name, one row for each batch of a problem, `[b, ...]`."""
Gradients = Callable[[Tensor, Tensor], Tensor]
"""Maps images and targets of p batches to their gradients, `[p, d]`; see `BatchGradient.at`."""


@dataclass(frozen=True)
class Batch:
    """Samples of b batches.

    Args:
        images: `[b, n, channels, height, width]`.
        targets: Class probabilities, `[b, n, classes]`.
    """

    images: Tensor
    targets: Tensor


@dataclass(frozen=True)
class Term:
    """One observed gradient of each batch, and the samples that contributed to it.

    Args:
        parameters: Model parameters at which the gradient was computed.
        observed: The observed gradients, `[b, d]`.
        samples: Number of unknown samples that contributed; these are the first ones.
        fixed: Known samples that also contributed and are held fixed. If omitted, there are none.
    """

    parameters: Parameters
    observed: Tensor
    samples: int
    fixed: Batch | None = None

    def context(self, gradient: BatchGradient, gradients: Gradients) -> Context:
        """Compute the tensors of each batch that the objective needs.

        Args:
            gradient: Computes the gradient of a batch in the same way as the clients.
            gradients: Computes the gradients of many batches at `parameters`.

        Returns:
            `observed`, and `known` (the fixed samples' share of the gradient) or the fixed `images` and `targets`.
        """
        context = {"observed": self.observed}
        if self.fixed is None:
            return context
        images, targets = self.fixed.images, self.fixed.targets
        if gradient.local_steps > 1:
            return context | {"images": images, "targets": targets}
        # The gradient of one step is a mean over samples, so the share of the fixed samples is computed only once.
        parts = [gradients(images[[row]], targets[[row]]) for row in range(len(images))]
        return context | {"known": torch.cat(parts) * (1 - self.share)}

    def predict(self, gradients: Gradients, images: Tensor, targets: Tensor, context: Context) -> Tensor:
        """Compute the gradients that the clients would send for p batches of candidate samples.

        Args:
            gradients: Computes the gradients of many batches at `parameters`.
            images: The candidate images, `[p, n, channels, height, width]`.
            targets: Their class probabilities, `[p, n, classes]`.
            context: The rows of the context that belong to these batches.

        Returns:
            The gradients, `[p, d]`.
        """
        images, targets = images[:, : self.samples], targets[:, : self.samples]
        if "images" in context:
            images = torch.cat([context["images"], images], dim=1)
            targets = torch.cat([context["targets"], targets], dim=1)
        computed = gradients(images, targets)
        return context["known"] + self.share * computed if "known" in context else computed

    @property
    def share(self) -> float:
        """Share of the unknown samples among all samples that contributed."""
        fixed = 0 if self.fixed is None else self.fixed.images.shape[1]
        return self.samples / (self.samples + fixed)


@dataclass(frozen=True)
class Problem:
    """Matching problem for the images, and optionally the labels, of b batches with several starts each.

    The unknowns of one start form one row: the coordinates of the images, then the logits of the labels if these are
    unknown.

    Args:
        gradient: Computes the gradient of a batch in the same way as the clients.
        terms: Observed gradients to match; their distances are added.
        shape: Shape of one batch's unknown images: samples, channels, height, width.
        classes: Number of classes.
        targets: Class probabilities of the unknown images, `[b, n, classes]`. None means that the labels are unknown.
        coordinates: Coordinates in which the images are searched.
        objective: Distance between gradients.
        smoothness: Weight of the total variation.
        restarts: Number of starts of each batch. Rows `i * restarts` to `(i + 1) * restarts - 1` belong to batch i.
        chunk: Number of starts that are evaluated at once.
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
        """Concatenate coordinates and logits into rows of unknowns.

        Args:
            coordinates: `[p, n, channels, height, width]`.
            logits: Logits of the labels, `[p, n, classes]`. Omit them if the labels are known.

        Returns:
            One row for each start, `[p, k]`.
        """
        rows = coordinates.flatten(1).to(self.terms[0].observed)
        return rows if logits is None else torch.cat([rows, logits.flatten(1).to(rows)], dim=1)

    def images(self, points: Tensor) -> Tensor:
        """Extract the images from rows of unknowns, `[p, n, channels, height, width]`.

        Pixels may lie outside [0, 1] unless the coordinates are bounded.
        """
        return self.coordinates.decode(points[..., : self._pixels].unflatten(-1, self.shape))

    def labels(self, points: Tensor) -> Tensor:
        """Extract the class probabilities from rows of unknowns that hold logits, `[p, n, classes]`."""
        return points[..., self._pixels :].unflatten(-1, (self.shape[0], self.classes)).softmax(dim=-1)

    def box(self) -> Box:
        """Return the bounds of the unknowns. Logits are unbounded."""
        logits = 0 if self.targets is not None else self.shape[0] * self.classes
        low, high = self.coordinates.bounds
        bounds = self.terms[0].observed.new_tensor([[low], [high]]).repeat(1, self._pixels + logits)
        bounds[0, self._pixels :], bounds[1, self._pixels :] = -torch.inf, torch.inf
        return Box(*bounds)

    def objective_and_gradient(self) -> Evaluate:
        """Return a function that evaluates the objective and its gradient for any number of rows at once."""
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
                predicted = term.predict(term_gradients, images, targets, rows)
                total = total + distance(predicted, rows["observed"])
            return total

        def evaluate(points: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
            values, objective_gradients = [], []
            chunks = zip(points.split(self.chunk), (rows // self.restarts).split(self.chunk), strict=True)
            for chunk, batches in chunks:
                leaf = chunk.detach().requires_grad_()
                value = objective(leaf, batches)
                # The rows are independent, so the gradient of the sum contains the gradient of each row.
                objective_gradients += torch.autograd.grad(value.sum(), leaf)
                values.append(value.detach())
            return torch.cat(values), torch.cat(objective_gradients)

        return evaluate

    @property
    def _pixels(self) -> int:
        """Number of unknowns of one start that describe images."""
        return torch.Size(self.shape).numel()
