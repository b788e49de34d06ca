"""Matching problem: the objective of images whose gradients should match observed gradients."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import vmap

from palimpsest.attacks.matching.coordinates import Coordinates, Spectrum
from palimpsest.attacks.matching.distances import OBJECTIVES, ObjectiveName
from palimpsest.attacks.matching.noise import GradientNoise, NoiseMode
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
        noise: Clipping and noise of the observed gradients. If omitted, there is none, or the attack ignores it.
    """

    parameters: Parameters
    observed: Tensor
    samples: int
    fixed: Batch | None = None
    noise: GradientNoise | None = None

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
        noise: Treatment of the observed gradients' noise. "map" minimizes the negative log-posterior in nats,
            "discrepancy" the negative log-likelihood, until `target` is reached; "ignored" the terms' distances.
        image_prior: Coordinates in which images are standard normal a priori; needed for "map".
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
    noise: NoiseMode = "ignored"
    image_prior: Spectrum | None = None

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
        sample = torch.linspace(0, 1, self._pixels // self.shape[0]).view(self.shape[1:])
        gradients = [self.gradient.at(term.parameters, sample.to(term.observed)) for term in self.terms]
        contexts = [
            term.context(self.gradient, term_gradients)
            for term, term_gradients in zip(self.terms, gradients, strict=True)
        ]

        def objective(points: Tensor, batches: Tensor) -> Tensor:
            images = self.images(points)
            targets = self.labels(points) if self.targets is None else self.targets[batches]
            total = self._regularization(images, batches)
            for term, term_gradients, context in zip(self.terms, gradients, contexts, strict=True):
                rows = {name: value[batches] for name, value in context.items()}
                predicted = term.predict(term_gradients, images, targets, rows)
                total = total + self._distance(term, predicted, rows["observed"])
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

    def target(self) -> Tensor | None:
        """Return the objective of each start at which it explains the observation up to the noise, `[b * restarts]`.

        The discrepancy principle (Morozov 1966) stops a search there: the squared residual has reached its expected
        value at the truth, sigma^2 d. With total variation the search stops a little later. None without such a stop.
        """
        if self.noise != "discrepancy":
            return None
        coordinates = sum(term.observed.shape[1] for term in self.terms)
        observed = self.terms[0].observed
        return observed.new_full((len(observed) * self.restarts,), coordinates / 2)

    def _distance(self, term: Term, predicted: Tensor, observed: Tensor) -> Tensor:
        """Compute the distance of predicted and observed gradients; with known noise, the negative log-likelihood."""
        if self.noise == "ignored":
            return OBJECTIVES[self.objective](predicted, observed)
        assert term.noise is not None, "an attack that knows the noise gives it to every term"
        return term.noise.misfit(predicted, observed, self.objective) / 2

    def _regularization(self, images: Tensor, batches: Tensor) -> Tensor:
        """Compute the part of the objective that depends on the images alone, `[p]`."""
        total = images.new_zeros(len(images))
        if self.smoothness:
            total = self.smoothness * vmap(total_variation)(images)
            # The weight of the total variation is relative to that of the distance, which is now measured in nats.
            last = self.terms[-1]
            if self.noise != "ignored" and last.noise is not None:
                total = total * last.noise.weight(last.observed)[batches]
        if self.noise == "map":
            assert self.image_prior is not None, "the search passes the prior of the public images"
            total = total + self.image_prior.encode(images).square().flatten(1).sum(1) / 2
        return total

    @property
    def _pixels(self) -> int:
        """Number of unknowns of one start that describe images."""
        return torch.Size(self.shape).numel()
