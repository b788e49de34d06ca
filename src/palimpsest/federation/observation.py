"""Batch gradients that a server observes before and after part of each batch is unlearned."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from palimpsest.datasets import ImageSet
from palimpsest.errors import UnlearningError
from palimpsest.gradients import BatchGradient
from palimpsest.storage import Parameters, Record


@dataclass(frozen=True)
class Observation(Record):
    """Gradients of b batches before and after unlearning, without any image or label.

    All batches have the same numbers of samples. If clients take several local steps, a gradient is their update
    divided by minus the sum of the step sizes; see `BatchGradient`.
    """

    before: Parameters
    """Global model before unlearning, as a state dict."""
    after: Parameters
    """Unlearned global model, as a state dict."""
    gradients_before: Tensor
    """Gradients at `before` on the retained and forgotten samples, `[b, d]` float32 (DRAGD's grad L_*)."""
    gradients_after: Tensor
    """Gradients at `after` on the retained samples, `[b, d]` float32 (DRAGD's grad L_u)."""
    retained: int
    """Number of retained samples in each batch."""
    forgotten: int
    """Number of forgotten samples in each batch."""
    local_steps: int = 1
    """Full-batch steps that a client took for each gradient."""
    learning_rate: float = 0.1
    """Step size of the local steps."""

    @property
    def batch(self) -> int:
        """Number of samples in each batch before unlearning."""
        return self.retained + self.forgotten

    @property
    def difference(self) -> Tensor:
        """Estimated mean gradient of the forgotten samples at `before`, `[b, d]` (GIAMU's identity).

        A batch's gradient is the weighted mean of the gradients of its two parts, and the server observes the batch and
        one part. The estimate is exact if both gradients were taken at the same parameters, in one step. If unlearning
        moved the parameters, or clients took several steps, it is off by the change that this caused.
        """
        whole, part = self.batch * self.gradients_before, self.retained * self.gradients_after
        return (whole - part) / self.forgotten

    def gradient(self, model: nn.Module) -> BatchGradient:
        """Return the function from a batch to the gradient that the clients computed.

        Args:
            model: Instance of the architecture.
        """
        return BatchGradient(model, local_steps=self.local_steps, learning_rate=self.learning_rate)


def observe(
    model: nn.Module,
    before: Parameters,
    after: Parameters,
    retained: ImageSet,
    forgotten: ImageSet,
    *,
    batches: int,
    local_steps: int = 1,
    learning_rate: float = 0.1,
) -> Observation:
    """Compute, at the clients, the gradients that the server will observe.

    Args:
        model: Instance of the architecture.
        before: Global model before unlearning, as a state dict.
        after: Unlearned global model, as a state dict.
        retained: Retained images, in the order of the batches.
        forgotten: Forgotten images, in the order of the batches.
        batches: Number of batches. It must divide both numbers of images.
        local_steps: Full-batch steps that a client takes for each gradient.
        learning_rate: Step size of the local steps; without effect for a single step.

    Returns:
        The server's observation.

    Raises:
        UnlearningError: There are no images, or they can't be split into that number of equal batches.
    """
    counts = (len(retained), len(forgotten))
    if batches < 1 or not all(counts) or any(count % batches for count in counts):
        raise UnlearningError(
            f"{counts[0]} retained and {counts[1]} forgotten images can't be split into {batches} batches of "
            "equal size. Pass multiples of the number of batches."
        )
    gradient = BatchGradient(model, local_steps=local_steps, learning_rate=learning_rate)
    retained_batches, forgotten_batches = (
        list(zip(part.images.chunk(batches), _one_hot(part).chunk(batches), strict=True))
        for part in (retained, forgotten)
    )
    pairs = list(zip(retained_batches, forgotten_batches, strict=True))
    return Observation(
        before=before,
        after=after,
        gradients_before=torch.stack(
            [gradient(before, torch.cat([r[0], f[0]]), torch.cat([r[1], f[1]])) for r, f in pairs]
        ),
        gradients_after=torch.stack([gradient(after, *r) for r, _ in pairs]),
        retained=counts[0] // batches,
        forgotten=counts[1] // batches,
        local_steps=local_steps,
        learning_rate=learning_rate,
    )


def _one_hot(images: ImageSet) -> Tensor:
    return F.one_hot(images.labels, images.classes).to(images.images)
