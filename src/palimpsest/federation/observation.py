"""What a server sees of a batch before and after a part of it is unlearned."""

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
    """The gradients of b batches before and after unlearning; no image and no label is in it.

    Each batch has the same numbers of samples. Where clients take several local steps, a gradient is their update
    divided by minus the sum of the step sizes; see `BatchGradient`.
    """

    before: Parameters
    """The global model before unlearning, as a state dict."""
    after: Parameters
    """The unlearned global model."""
    gradients_before: Tensor
    """At `before`, over the retained and the forgotten samples, `[b, d]` float32 (DRAGD's grad L_*)."""
    gradients_after: Tensor
    """At `after`, over the retained samples, `[b, d]` float32 (DRAGD's grad L_u)."""
    retained: int
    """Samples of a batch that stay."""
    forgotten: int
    """Samples of a batch that are unlearned."""
    local_steps: int = 1
    """Full-batch steps that a client took for each gradient."""
    learning_rate: float = 0.1
    """Their size."""

    @property
    def batch(self) -> int:
        """Samples of a batch before unlearning."""
        return self.retained + self.forgotten

    @property
    def difference(self) -> Tensor:
        """The forgotten samples' mean gradient at `before`, `[b, d]`, where both gradients were taken at one point.

        The whole batch's gradient is the weighted mean of two parts, and one part is seen alone (GIAMU's identity).
        Where unlearning moved the parameters or clients took several steps, it is off by what that changed.
        """
        whole, part = self.batch * self.gradients_before, self.retained * self.gradients_after
        return (whole - part) / self.forgotten

    def gradient(self, model: nn.Module) -> BatchGradient:
        """What the clients computed, as a function of a batch.

        Args:
            model: The architecture.
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
    """Compute, at the clients, what the server will see.

    Args:
        model: The architecture.
        before: The global model before unlearning.
        after: The unlearned global model.
        retained: What stays: the first n_r images belong to the first batch, and so on.
        forgotten: What is unlearned, in the same order of batches.
        batches: How many batches there are; it divides both numbers of images.
        local_steps: Full-batch steps that a client takes.
        learning_rate: Their size; without effect for a single step.

    Raises:
        UnlearningError: The images can't be divided into that many batches, or there are none.
    """
    counts = (len(retained), len(forgotten))
    if batches < 1 or not all(counts) or any(count % batches for count in counts):
        raise UnlearningError(
            f"{counts[0]} retained and {counts[1]} forgotten images can't be dealt to {batches} batches of one "
            "size: give multiples of the number of batches."
        )
    gradient = BatchGradient(model, local_steps=local_steps, learning_rate=learning_rate)
    stay, leave = (
        list(zip(some.images.chunk(batches), _one_hot(some).chunk(batches), strict=True))
        for some in (retained, forgotten)
    )
    pairs = list(zip(stay, leave, strict=True))
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
