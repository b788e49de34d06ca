"""From observed gradients to forgotten samples: which gradient to take apart, and which samples are forgotten."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from palimpsest.attacks.auditor_view import Knowledge
from palimpsest.attacks.disaggregation.first_layer import FirstLayer
from palimpsest.attacks.disaggregation.low_rank import factorize, outside_row_space
from palimpsest.attacks.server_view import BatchReconstruction, ServerView
from palimpsest.storage import Parameters, cast_parameters

Target = Literal["stages", "difference", "batch"]
KNOWLEDGE = frozenset(
    {Knowledge.ARCHITECTURE, Knowledge.PARAMETERS, Knowledge.BATCH_GRADIENTS, Knowledge.PUBLIC}
)
"""White-box knowledge, and public images, which replace samples that are not found."""


@dataclass(frozen=True)
class Samples:
    """Samples that were separated from a gradient.

    Args:
        inputs: Inputs of the first layer, `[k, n]` float64.
        gradients: Gradient of each sample's share of the loss with respect to the layer's output, `[k, m]`.
    """

    inputs: Tensor
    gradients: Tensor

    @classmethod
    def none(cls, gradient: Tensor) -> "Samples":
        """Return no samples of this gradient, `[m, n + 1]`."""
        units, inputs = gradient.shape
        return cls(gradient.new_zeros(0, inputs - 1), gradient.new_zeros(0, units))

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.inputs)

    def select(self, rows: Tensor) -> "Samples":
        """Return the samples with these numbers, `[j]` int64."""
        return Samples(self.inputs[rows], self.gradients[rows])

    def residual(self, gradient: Tensor) -> float:
        """Measure which part of a gradient the samples do not explain.

        Args:
            gradient: Gradient of the weights, with that of the bias as the last column, `[m, n + 1]`.

        Returns:
            Norm of the rest relative to that of the gradient; 0 for an exact recovery, 1 without samples.
        """
        explained = self.gradients.T @ with_constant(self.inputs)
        return float((gradient - explained).norm() / gradient.norm().clamp_min(1e-300))


Separate = Callable[[Tensor, Parameters, int], Samples]
"""Takes the gradient of the first layer `[m, n + 1]`, the model's parameters and the number of samples apart."""


class Batches:
    """The batches that a server observed, at the first layer of the model.

    Args:
        view: The server's view.
        layer: The first layer.
        target: Gradient to take apart; see `Spear.target`.
    """

    def __init__(self, view: ServerView, layer: FirstLayer, target: Target) -> None:
        """Set the view and the target."""
        self._view, self._layer, self._target = view, layer, target
        self._mean = view.public.images.mean(dim=0)
        # Without any evidence, the most frequent public class is the best guess.
        self._class = Counter(view.public.labels.tolist()).most_common(1)[0][0]

    @property
    def gradients(self) -> int:
        """Number of gradients to take apart."""
        return len(self._view.observation.gradients_before) * (2 if self._target == "stages" else 1)

    def reconstruct(self, separate: Separate) -> BatchReconstruction:
        """Take the gradients of all batches apart.

        Args:
            separate: Takes one gradient apart.

        Returns:
            The forgotten samples, and the retained ones except with the target `difference`. The mean public image
            stands for a sample that was not found, and the most frequent public class for its label. An objective is
            the share of the gradient's norm that the found samples do not explain.
        """
        observed = self._view.observation
        parts = [self._split(row, separate) for row in range(len(observed.gradients_before))]
        forgotten = [self._images(part.forgotten, observed.forgotten) for part in parts]
        retained = [
            self._images(part.retained, observed.retained) for part in parts if part.retained is not None
        ]
        labels = [self._labels(part.forgotten, observed.before, observed.forgotten) for part in parts]
        empty = self._mean.new_empty(0, *self._mean.shape)
        found = sum(len(part.forgotten) for part in parts)
        return BatchReconstruction(
            images=torch.cat(forgotten),
            labels=torch.cat(labels),
            retained=torch.cat([empty, *retained]),
            objectives=torch.tensor([part.residual for part in parts], dtype=torch.float64),
            prior=empty,
            history={},
            facts={"samples_found": found / (len(parts) * observed.forgotten)},
        )

    def _split(self, row: int, separate: Separate) -> "_Part":
        """Separate one batch into its forgotten and its retained samples."""
        observed, layer = self._view.observation, self._layer
        before, after = observed.gradients_before[row], layer.gradient(observed.gradients_after[row])
        if self._target == "batch":
            gradient = layer.gradient(before)
            samples = separate(gradient, observed.before, observed.batch)
            # The inputs of the retained samples span the rows of the other gradient, at any parameters.
            outside = outside_row_space(with_constant(samples.inputs), factorize(after, observed.retained))
            order = outside.argsort(descending=True)
            forgotten, retained = order[: observed.forgotten], order[observed.forgotten :]
            return _Part(samples.select(forgotten), samples.select(retained), samples.residual(gradient))
        retained = None
        difference = observed.difference[row].double()
        if self._target == "stages":
            retained = separate(after, observed.after, observed.retained)
            if len(retained) == observed.retained:
                difference = self._without(before, retained)
        gradient = layer.gradient(difference)
        forgotten = separate(gradient, observed.before, observed.forgotten)
        return _Part(forgotten, retained, forgotten.residual(gradient))

    def _without(self, gradient: Tensor, retained: Samples) -> Tensor:
        """Subtract the retained samples' part from a batch's gradient before unlearning."""
        observed = self._view.observation
        images = self._layer.images(retained.inputs)
        labels = self._labels(retained, observed.after, observed.retained)
        targets = F.one_hot(labels, self._view.public.classes).double()
        before = cast_parameters(observed.before, torch.float64)
        known = observed.gradient(self._view.architecture)(before, images, targets)
        return (observed.batch * gradient.double() - observed.retained * known) / observed.forgotten

    def _images(self, samples: Samples, count: int) -> Tensor:
        """Convert samples to `count` float32 images in [0, 1]."""
        found = self._layer.images(samples.inputs).clamp(0, 1).to(self._mean)
        return torch.cat([found, self._mean.expand(count - len(found), *self._mean.shape)])

    def _labels(self, samples: Samples, parameters: Parameters, count: int) -> Tensor:
        """Infer the labels, `[count]`: the class whose gradient has the direction of the sample's."""
        images = self._layer.images(samples.inputs)
        classes = range(self._view.public.classes) if len(samples) else ()
        cosines = [
            F.cosine_similarity(
                self._layer.output_gradients(parameters, images, torch.full((len(samples),), label)),
                samples.gradients,
            )
            for label in classes
        ]
        known = torch.stack(cosines).argmax(dim=0) if cosines else torch.empty(0, dtype=torch.int64)
        return torch.cat([known, torch.full((count - len(known),), self._class)])


@dataclass(frozen=True)
class _Part:
    """Samples of one batch, and the share of the gradient that they do not explain."""

    forgotten: Samples
    retained: Samples | None
    residual: float


def with_constant(inputs: Tensor) -> Tensor:
    """Append the input of the bias, which is 1.

    Args:
        inputs: `[k, n]`.

    Returns:
        `[k, n + 1]`.
    """
    return torch.cat([inputs, torch.ones_like(inputs[:, :1])], dim=1)
