"""The classifier's last linear layer: its position in gradient differences, and their rank-two factorization.

The gradient of a linear layer is an outer product of the loss's gradient at the logits and the layer's input. A
difference of two such gradients has rank two. If a ReLU precedes the layer, the factors of the difference are unique:
the proof reveals the inputs and predictions of both models, and the label.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

# In float32, sums that are zero in exact arithmetic stay below this share of the sum of absolute terms.
_ROUNDING = 1e-3
_PROBES = 32
_COLUMNS = 64
# Coordinates below this share of a sample's largest are too inaccurate to determine a direction.
_FAINT = 1e-2
_LARGEST = 1e6
_TINY = torch.finfo(torch.float64).tiny


@dataclass(frozen=True)
class LastLinear:
    """Position of the last linear layer in a flattened gradient: a weight `[classes, width]`, then a bias, at the end.

    Args:
        classes: Number of the layer's outputs.
        width: Number of the layer's inputs.
    """

    classes: int
    width: int

    @property
    def size(self) -> int:
        """Number of the layer's parameters, which are at the end of the vector."""
        return self.classes * (self.width + 1)

    def split(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Split off the weight's part `[n, classes, width]` and the bias's part `[n, classes]` of vectors `[n, d]`."""
        tail = vectors[:, vectors.shape[1] - self.size :]
        return tail[:, : -self.classes].reshape(-1, self.classes, self.width), tail[:, -self.classes :]


@dataclass(frozen=True)
class RankTwoFactors:
    """Factors of the outer products of the original and the unlearned model, in this order.

    Args:
        features: The layer's inputs, `[n, 2, width]`, non-negative.
        residuals: The loss's gradients at the logits, `[n, 2, classes]`: probabilities minus the one-hot label.
        labels: Labels inferred from the residuals, `[n]` int64.
        purity: Share of the largest negative entry, which is the label's, in the sum of the residuals' negative
            entries, `[n]` in [0, 1]; 1 for exact factors.
    """

    features: Tensor
    residuals: Tensor
    labels: Tensor
    purity: Tensor


def find_last_linear(vectors: Tensor, classes: int) -> LastLinear | None:
    """Find the last linear layer from gradient differences alone, without knowing the model.

    Probabilities and one-hot labels both sum to one. The gradient of the cross-entropy loss therefore sums to zero over
    the classes, in the bias and in each column of the weight. The last linear layer is the widest layer with this
    property at the end of the vector.

    Args:
        vectors: Gradient differences of arbitrary samples, `[n, d]`.
        classes: Number of classes.

    Returns:
        The layer, or None if the vectors do not end with one.
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
    """Factorize the last layer's gradient differences (non-negative factorization of a rank-two matrix).

    In the plane of the two singular vectors, each input coordinate is a non-negative mixture of two directions, one for
    each model. A coordinate that is active at only one model lies in that model's direction. The two extreme rays are
    therefore the two directions, and the bias determines their lengths.

    Args:
        layer: Position of the layer.
        vectors: Gradient differences, `[n, d]`.

    Returns:
        The factors. They are finite but meaningless for vectors without this structure, such as obfuscated ones.
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
    # The original model's residual has one negative entry. The negated residual of the unlearned model has one
    # positive entry.
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
    """Return whether all columns of the layer's weight sum to zero over the classes."""
    # The last columns are checked first: they rule out almost every wrong width at little cost.
    starts = probes.shape[1] - layer.classes - layer.width * torch.arange(layer.classes, 0, -1)
    last = torch.arange(max(0, layer.width - _COLUMNS), layer.width)
    columns = probes[:1, (starts.unsqueeze(1) + last).flatten()].view(1, layer.classes, -1)
    return _sums_to_zero(columns, allow_zeros=True) and _sums_to_zero(layer.split(probes)[0])


def _sums_to_zero(columns: Tensor, *, allow_zeros: bool = False) -> bool:
    """Return whether `[n, classes, columns]` sums to zero over the classes; all zeros pass only if `allow_zeros`."""
    size = columns.abs().sum()
    return bool(columns.sum(1).abs().sum() <= _ROUNDING * size and (allow_zeros or size > 0))


def _extreme_rays(points: Tensor) -> Tensor:
    """Find the two unit vectors, as columns `[n, 2, 2]`, between which all points `[n, 2, width]` lie."""
    lengths = points.norm(dim=1)
    center = points.sum(2, keepdim=True)
    along = (points * center).sum(1)
    across = center[:, 0] * points[:, 1] - center[:, 1] * points[:, 0]
    # This value grows with the angle from the center, from -2 to 2, at a tenth of the cost of an arctangent.
    turn = 1 - along / (along.abs() + across.abs()).clamp_min(_TINY)
    angle = torch.where(across < 0, -turn, turn)
    faint = lengths <= _FAINT * lengths.amax(1, keepdim=True)
    low = angle.masked_fill(faint, torch.inf).argmin(1)
    high = angle.masked_fill(faint, -torch.inf).argmax(1)
    both = torch.stack([low, high], 1).unsqueeze(1).expand(-1, 2, -1)
    rays = points.gather(2, both)
    return rays / rays.norm(dim=1, keepdim=True).clamp_min(_TINY)


def _inverse(matrices: Tensor) -> Tensor:
    """Compute the pseudo-inverses of 2 x 2 matrices."""
    return torch.linalg.pinv(matrices, rtol=1e-12)


def _largest_share(columns: Tensor) -> Tensor:
    """Compute the share of the largest entry in the sum of positive entries, for each column of `[n, classes, 2]`."""
    positive = columns.clamp_min(0)
    return positive.amax(1) / positive.sum(1).clamp_min(_TINY)


def _finite(values: Tensor) -> Tensor:
    """Replace NaN and infinity by zero, and clamp to a range that real factors don't exceed."""
    return values.nan_to_num(0.0, 0.0, 0.0).clamp(-_LARGEST, _LARGEST)
