"""The classifier's last layer, found inside gradient differences and taken apart.

A linear layer's gradient is an outer product: the loss's gradient at the logits times the layer's input. A difference
of two of them has rank two, and where the inputs went through a ReLU it comes apart exactly: both inputs, both models'
predictions and the label stand in the proof.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

# Sums that are zero in exact arithmetic stay below this share of their terms in float32.
_ROUNDING = 1e-3
_PROBES = 32
_COLUMNS = 64
# Coordinates below this share of a sample's largest say little about a direction.
_FAINT = 1e-2
_LARGEST = 1e6
_TINY = torch.finfo(torch.float64).tiny


@dataclass(frozen=True)
class Head:
    """Where the last linear layer lies in a flattened gradient: a weight `[classes, width]`, then a bias.

    Args:
        classes: Its outputs.
        width: Its inputs.
    """

    classes: int
    width: int

    @property
    def size(self) -> int:
        """Its parameters, the last of the vector."""
        return self.classes * (self.width + 1)

    def split(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """The weight's part `[n, classes, width]` and the bias's `[n, classes]` of vectors `[n, d]`."""
        tail = vectors[:, vectors.shape[1] - self.size :]
        return tail[:, : -self.classes].reshape(-1, self.classes, self.width), tail[:, -self.classes :]


@dataclass(frozen=True)
class Factors:
    """What a difference of two outer products is made of; the models are the original and the unlearned one.

    Args:
        features: The layer's inputs at both, `[n, 2, width]`, none negative.
        residuals: Their loss's gradients at the logits, `[n, 2, classes]`: probabilities minus the label's unit vector.
        labels: The label that the residuals give away, `[n]`.
        purity: How well the residuals look like what they should be, `[n]`, 1 at best: the original's has one negative
            entry, the label's, and so has the unlearned's.
    """

    features: Tensor
    residuals: Tensor
    labels: Tensor
    purity: Tensor


def find_head(vectors: Tensor, classes: int) -> Head | None:
    """Find the last linear layer from the vectors alone, without knowing the model.

    Probabilities and unit vectors both sum to one, so that a cross-entropy loss's gradient sums to zero over the
    classes: in the bias, and in every column of the weight. No other reading of the vector's end has that property, and
    the widest that has it is the layer.

    Args:
        vectors: Gradient differences of any samples, `[n, d]`.
        classes: How many classes there are.

    Returns:
        The layer, or none where the vectors do not end in one.
    """
    probes = vectors[:_PROBES].double()
    dimension = probes.shape[1]
    if classes < 2 or dimension <= 2 * classes or not _sums_to_zero(probes[:, -classes:].unsqueeze(2)):
        return None
    widest = (dimension - classes) // classes
    return next(
        (
            Head(classes, width)
            for width in range(widest, 0, -1)
            if _columns_cancel(probes, Head(classes, width))
        ),
        None,
    )


def factorise(head: Head, vectors: Tensor) -> Factors:
    """Take the last layer's differences apart (non-negative factors of a matrix of rank two).

    In the plane of the two right singular vectors every input coordinate is a non-negative mixture of two directions,
    one for each model. A coordinate where only one of the models is active lies on that model's direction: the two
    extreme rays are the directions themselves. The bias gives their lengths.

    Args:
        head: Where the layer lies.
        vectors: Gradient differences `[n, d]`.

    Returns:
        The factors; for vectors of another making (obfuscated ones) they are finite and mean nothing.
    """
    weights, biases = (part.double() for part in head.split(vectors))
    _, left = torch.linalg.eigh(weights @ weights.mT)
    left = left[..., -2:]
    points = left.mT @ weights
    rays = _extreme_rays(points)
    amplitudes = (_inverse(rays) @ points).clamp_min(0)
    directions = left @ rays
    lengths = (
        (_inverse(directions.mT @ directions) @ directions.mT @ biases.unsqueeze(2)).squeeze(2).clamp_min(0)
    )
    # The original's residual has one negative entry, the negated unlearned one's has one positive entry.
    signed = directions * lengths.unsqueeze(1)
    lonely = _lonely(-signed) - _lonely(signed)
    swap = lonely[:, 0] < lonely[:, 1]
    order = torch.stack([swap.long(), 1 - swap.long()], 1)
    signed = signed.gather(2, order.unsqueeze(1).expand_as(signed))
    lengths = lengths.gather(1, order)
    amplitudes = amplitudes.gather(1, order.unsqueeze(2).expand_as(amplitudes))
    features = amplitudes / lengths.unsqueeze(2)
    residuals = torch.stack([signed[..., 0], -signed[..., 1]], 1)
    return Factors(
        features=_finite(features).float(),
        residuals=_finite(residuals).float(),
        labels=(-residuals).clamp_min(0).sum(1).argmax(1),
        purity=_finite(_lonely(-residuals.mT).mean(1)).float(),
    )


def _columns_cancel(probes: Tensor, head: Head) -> bool:
    # The last columns refuse almost every width, before the whole layer is looked at.
    starts = probes.shape[1] - head.classes - head.width * torch.arange(head.classes, 0, -1)
    last = torch.arange(max(0, head.width - _COLUMNS), head.width)
    columns = probes[:1, (starts.unsqueeze(1) + last).flatten()].view(1, head.classes, -1)
    return _sums_to_zero(columns, empty=True) and _sums_to_zero(head.split(probes)[0])


def _sums_to_zero(columns: Tensor, *, empty: bool = False) -> bool:
    """Whether `[n, classes, columns]` cancels over the classes; columns of nothing but zeros do if they may."""
    size = columns.abs().sum()
    return bool(columns.sum(1).abs().sum() <= _ROUNDING * size and (empty or size > 0))


def _extreme_rays(points: Tensor) -> Tensor:
    """The two unit vectors, as columns `[n, 2, 2]`, between which all points `[n, 2, width]` lie."""
    lengths = points.norm(dim=1)
    centre = points.sum(2, keepdim=True)
    along = (points * centre).sum(1)
    across = centre[:, 0] * points[:, 1] - centre[:, 1] * points[:, 0]
    # Grows with the angle from the centre, from -2 to 2, and costs a tenth of an arc tangent.
    turn = 1 - along / (along.abs() + across.abs()).clamp_min(_TINY)
    angle = torch.where(across < 0, -turn, turn)
    faint = lengths <= _FAINT * lengths.amax(1, keepdim=True)
    low = angle.masked_fill(faint, torch.inf).argmin(1)
    high = angle.masked_fill(faint, -torch.inf).argmax(1)
    both = torch.stack([low, high], 1).unsqueeze(1).expand(-1, 2, -1)
    rays = points.gather(2, both)
    return rays / rays.norm(dim=1, keepdim=True).clamp_min(_TINY)


def _inverse(matrices: Tensor) -> Tensor:
    """Inverses of 2 x 2 matrices; where there is none, the best that a pseudo-inverse offers."""
    return torch.linalg.pinv(matrices, rtol=1e-12)


def _lonely(columns: Tensor) -> Tensor:
    """For each column of `[n, classes, 2]`, the share that its largest positive entry has of all positive ones."""
    positive = columns.clamp_min(0)
    return positive.amax(1) / positive.sum(1).clamp_min(_TINY)


def _finite(values: Tensor) -> Tensor:
    """Numbers of a size that an image's features have; what is none is zero."""
    return values.nan_to_num(0.0, 0.0, 0.0).clamp(-_LARGEST, _LARGEST)
