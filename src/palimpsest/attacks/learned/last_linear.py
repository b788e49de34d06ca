"""The classifier's last linear layer: its position in gradient differences, and their rank-two factorization.

The gradient of a linear layer is an outer product: the loss's gradient at the logits times the layer's input. A
difference of two such gradients has rank two. If the inputs went through a ReLU, its factors are determined: the proof
contains both models' inputs and predictions, and the label.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

# In float32, sums that are zero in exact arithmetic stay below this share of their terms.
_ROUNDING = 1e-3
_PROBES = 32
_COLUMNS = 64
# Coordinates below this share of a sample's largest determine a direction poorly.
_FAINT = 1e-2
_LARGEST = 1e6
_TINY = torch.finfo(torch.float64).tiny


@dataclass(frozen=True)
class LastLinear:
    """Position of the last linear layer in a flattened gradient: a weight `[classes, width]`, then a bias, at the end.

    Args:
        classes: Outputs of the layer.
        width: Inputs of the layer.
    """

    classes: int
    width: int

    @property
    def size(self) -> int:
        """Number of the layer's parameters, which are the last of the vector."""
        return self.classes * (self.width + 1)

    def split(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Cut the weight's part `[n, classes, width]` and the bias's part `[n, classes]` out of vectors `[n, d]`."""
        tail = vectors[:, vectors.shape[1] - self.size :]
        return tail[:, : -self.classes].reshape(-1, self.classes, self.width), tail[:, -self.classes :]


@dataclass(frozen=True)
class RankTwoFactors:
    """Factors of a difference of two outer products, of the original and of the unlearned model, in this order.

    Args:
        features: The layer's inputs, `[n, 2, width]`, none negative.
        residuals: The loss's gradients at the logits, `[n, 2, classes]`: probabilities minus the label's unit vector.
        labels: The label, read from the residuals, `[n]` int64.
        purity: How close the residuals are to having a single negative entry, the label's, `[n]`, in [0, 1]; 1 for
            exact factors.
    """

    features: Tensor
    residuals: Tensor
    labels: Tensor
    purity: Tensor


def find_last_linear(vectors: Tensor, classes: int) -> LastLinear | None:
    """Find the last linear layer from the vectors alone, without knowing the model.

    Probabilities and unit vectors both sum to one. The gradient of the cross-entropy loss therefore sums to zero over
    the classes, in the bias and in every column of the weight. The layer is the widest one with that property at the
    end of the vector.

    Args:
        vectors: Gradient differences of any samples, `[n, d]`.
        classes: Number of classes.

    Returns:
        The layer, or None if the vectors do not end in one.
    """
    probes = vectors[:_PROBES].double()
    dimension = probes.shape[1]
    if classes < 2 or dimension <= 2 * classes or not _sums_to_zero(probes[:, -classes:].unsqueeze(2)):
        return None
    widest = (dimension - classes) // classes
    return next(
        (
            LastLinear(classes, width)
            for width in range(widest, 0, -1)
            if _columns_cancel(probes, LastLinear(classes, width))
        ),
        None,
    )


def factorize_rank_two(layer: LastLinear, vectors: Tensor) -> RankTwoFactors:
    """Factorize the last layer's gradient differences (non-negative factorization of a matrix of rank two).

    In the plane of the two singular vectors, every input coordinate is a non-negative mixture of two directions, one
    for each model. A coordinate that is active at only one model lies on that model's direction. The two extreme rays
    are therefore the two directions, and the bias gives their lengths.

    Args:
        layer: Position of the layer.
        vectors: Gradient differences, `[n, d]`.

    Returns:
        The factors. For vectors without this structure, such as obfuscated ones, they are finite but meaningless.
    """
    weights, biases = (part.double() for part in layer.split(vectors))
    _, left = torch.linalg.eigh(weights @ weights.mT)
    left = left[..., -2:]
    points = left.mT @ weights
    rays = _extreme_rays(points)
    amplitudes = (_inverse(rays) @ points).clamp_min(0)
    directions = left @ rays
    lengths = (
        (_inverse(directions.mT @ directions) @ directions.mT @ biases.unsqueeze(2)).squeeze(2).clamp_min(0)
    )
    # The original model's residual has one negative entry, the negated one of the unlearned model one positive entry.
    signed = directions * lengths.unsqueeze(1)
    likely_original = _largest_share(-signed) - _largest_share(signed)
    swap = likely_original[:, 0] < likely_original[:, 1]
    order = torch.stack([swap.long(), 1 - swap.long()], 1)
    signed = signed.gather(2, order.unsqueeze(1).expand_as(signed))
    lengths = lengths.gather(1, order)
    amplitudes = amplitudes.gather(1, order.unsqueeze(2).expand_as(amplitudes))
    features = amplitudes / lengths.unsqueeze(2)
    residuals = torch.stack([signed[..., 0], -signed[..., 1]], 1)
    return RankTwoFactors(
        features=_finite(features).float(),
        residuals=_finite(residuals).float(),
        labels=(-residuals).clamp_min(0).sum(1).argmax(1),
        purity=_finite(_largest_share(-residuals.mT).mean(1)).float(),
    )


def _columns_cancel(probes: Tensor, layer: LastLinear) -> bool:
    """Whether all columns of the layer's weight sum to zero over the classes."""
    # The last columns rule out almost every width, before the whole layer is read.
    starts = probes.shape[1] - layer.classes - layer.width * torch.arange(layer.classes, 0, -1)
    last = torch.arange(max(0, layer.width - _COLUMNS), layer.width)
    columns = probes[:1, (starts.unsqueeze(1) + last).flatten()].view(1, layer.classes, -1)
    return _sums_to_zero(columns, zeros_count=True) and _sums_to_zero(layer.split(probes)[0])


def _sums_to_zero(columns: Tensor, *, zeros_count: bool = False) -> bool:
    """Whether `[n, classes, columns]` sums to zero over the classes; columns of zeros only if `zeros_count`."""
    size = columns.abs().sum()
    return bool(columns.sum(1).abs().sum() <= _ROUNDING * size and (zeros_count or size > 0))


def _extreme_rays(points: Tensor) -> Tensor:
    """The two unit vectors, as columns `[n, 2, 2]`, between which all points `[n, 2, width]` lie."""
    lengths = points.norm(dim=1)
    center = points.sum(2, keepdim=True)
    along = (points * center).sum(1)
    across = center[:, 0] * points[:, 1] - center[:, 1] * points[:, 0]
    # Grows with the angle from the center, from -2 to 2, at a tenth of the cost of an arc tangent.
    turn = 1 - along / (along.abs() + across.abs()).clamp_min(_TINY)
    angle = torch.where(across < 0, -turn, turn)
    faint = lengths <= _FAINT * lengths.amax(1, keepdim=True)
    low = angle.masked_fill(faint, torch.inf).argmin(1)
    high = angle.masked_fill(faint, -torch.inf).argmax(1)
    both = torch.stack([low, high], 1).unsqueeze(1).expand(-1, 2, -1)
    rays = points.gather(2, both)
    return rays / rays.norm(dim=1, keepdim=True).clamp_min(_TINY)


def _inverse(matrices: Tensor) -> Tensor:
    """Pseudo-inverses of 2 x 2 matrices."""
    return torch.linalg.pinv(matrices, rtol=1e-12)


def _largest_share(columns: Tensor) -> Tensor:
    """For each column of `[n, classes, 2]`, the share of its largest positive entry in the sum of the positive ones."""
    positive = columns.clamp_min(0)
    return positive.amax(1) / positive.sum(1).clamp_min(_TINY)


def _finite(values: Tensor) -> Tensor:
    """Replace NaN and infinity by zero, and clamp to the range of an image's features."""
    return values.nan_to_num(0.0, 0.0, 0.0).clamp(-_LARGEST, _LARGEST)
