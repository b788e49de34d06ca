"""Input patches of the last convolution, estimated from gradient differences (a linear Gaussian model fitted by EM).

The gradient of the last convolution's weight is a sum over output positions: the loss's gradient at the position times
the input patch there. Behind a max pooling one position of each window contributes, and the loss's gradient there
follows from the last linear layer. For output channel c,

    G[c] = sum over windows w and models s of  E[c, (w, s)] T[(w, s)] + noise,

where E is known, T[(w, s)] is the mean patch of the window's active positions, and the noise accounts for channels that
choose different positions of a window. There are as many equations as channels, and two unknown patches for each
window. A Gaussian prior, learned from the auditor's queries by expectation maximization, determines the rest.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from palimpsest.attacks.learned.extractors import FeatureExtractor
from palimpsest.attacks.learned.last_linear import LastLinear, factorize_rank_two

_ROUNDS = 10
_FIT = 2000
# A channel with few active windows still has rounding noise.
_NOISE_FLOOR = 0.05


@dataclass(frozen=True)
class LastConvolution:
    """Position of the last convolution's weight in the flattened gradient, and the pooling of its outputs.

    Args:
        offset: First coordinate of the weight.
        shape: Output channels, input channels, kernel height, and kernel width.
        windows: Number of pooling windows over the image: entries of each channel's map at the last linear layer.
    """

    offset: int
    shape: tuple[int, int, int, int]
    windows: int

    def rows(self, vectors: Tensor) -> Tensor:
        """Cut the weight's part `[n, output channels, patch]` out of vectors `[n, d]`."""
        channels, *patch = self.shape
        size = channels * patch[0] * patch[1] * patch[2]
        return vectors[:, self.offset : self.offset + size].reshape(len(vectors), channels, -1)


def find_last_convolution(architecture: nn.Module, last_linear: LastLinear) -> LastConvolution | None:
    """Find the convolution whose pooled outputs are the inputs of the last linear layer.

    Args:
        architecture: The model, in the order of its parameters; their values are not used.
        last_linear: The last linear layer.

    Returns:
        The convolution, or None if a normalization or another layer with parameters stands between.
    """
    offset, last_offset, last = 0, 0, None
    for module in architecture.modules():
        if any(True for _ in module.children()):
            continue
        parameters = list(module.parameters(recurse=False))
        if isinstance(module, nn.Conv2d) and module.groups == 1:
            last, last_offset = module, offset
        elif parameters and not isinstance(module, nn.Linear):
            last = None
        offset += sum(parameter.numel() for parameter in parameters)
    if last is None or last_linear.width % last.out_channels:
        return None
    height, width = last.kernel_size
    return LastConvolution(
        last_offset,
        (last.out_channels, last.in_channels, height, width),
        last_linear.width // last.out_channels,
    )


@dataclass(frozen=True)
class LastConvPatches(FeatureExtractor):
    """The mean patch of each pooling window at both models; fitted by `fit_patches`.

    Args:
        last_linear: The last linear layer.
        convolution: The last convolution.
        weights: Weights of the last linear layer at both models, `[2, classes, width]`.
        scale: Unit of each patch coordinate, `[patch]`.
        basis: Principal components of a scaled patch, `[patch, components]`.
        mean: Prior mean of the windows' patches in that basis, `[2 windows, components]`.
        covariance: Prior covariance between the windows of a patch coordinate, `[2 windows, 2 windows]`.
        noise: Variance of the channels' noise, in units of `_noise_shape`.
    """

    last_linear: LastLinear
    convolution: LastConvolution
    weights: Tensor
    scale: Tensor
    basis: Tensor
    mean: Tensor
    covariance: Tensor
    noise: float

    def transform(self, vectors: Tensor) -> Tensor:
        """Estimate the principal components of each window's patch.

        Args:
            vectors: Gradient differences, `[n, d]`.

        Returns:
            `[n, models x components x windows]`.
        """
        known = _loss_gradients(self.last_linear, self.convolution, self.weights, vectors)
        weight_gradients = (self.convolution.rows(vectors) / self.scale) @ self.basis - known @ self.mean
        gain, _ = _gain(known, self.covariance, self.noise)
        patches = gain @ weight_gradients
        return (
            patches.view(len(vectors), 2, self.convolution.windows, -1)
            .transpose(2, 3)
            .reshape(len(vectors), -1)
        )


def fit_patches(
    last_linear: LastLinear, convolution: LastConvolution, vectors: Tensor, labels: Tensor, *, components: int
) -> LastConvPatches:
    """Learn the prior of the windows' patches from the auditor's samples, by expectation maximization.

    Args:
        last_linear: The last linear layer.
        convolution: The last convolution.
        vectors: Gradient differences of the samples, `[m, d]`; the prior is fitted to the first 2,000.
        labels: Labels of the samples, `[m]`.
        components: Number of principal components of a patch.
    """
    weights = _regress_weights(last_linear, vectors, labels)
    known = _loss_gradients(last_linear, convolution, weights, vectors[:_FIT])
    weight_gradients = convolution.rows(vectors[:_FIT])
    count, channels, unknowns = known.shape
    squares = (known.mT @ known).sum(0)
    ridge = 1e-4 * squares.diagonal().mean() * torch.eye(unknowns)
    mean = torch.linalg.solve(squares + ridge, torch.einsum("ncw,ncp->wp", known, weight_gradients))
    centered = weight_gradients - known @ mean
    scale = centered.square().mean((0, 1)).sqrt().clamp_min(torch.finfo(torch.float32).eps)
    centered = centered / scale
    # Both start at the size that would explain the whole gradient differences.
    size = float(count * channels / known.square().sum())
    covariance, noise = size * torch.eye(unknowns), 0.5 * size
    for _ in range(_ROUNDS):
        covariance, noise = _em_round(known, centered, covariance, noise)
    patches = _gain(known, covariance, noise)[0] @ centered
    _, directions = torch.linalg.eigh(torch.einsum("nwp,nwq->pq", patches, patches))
    basis = directions.flip(1)[:, :components].contiguous()
    return LastConvPatches(
        last_linear, convolution, weights, scale, basis, (mean / scale) @ basis, covariance, noise
    )


def _loss_gradients(
    last_linear: LastLinear, convolution: LastConvolution, weights: Tensor, vectors: Tensor
) -> Tensor:
    """E `[n, channels, 2 windows]`: the loss's gradient at the active outputs, negated for the unlearned model."""
    factors = factorize_rank_two(last_linear, vectors)
    channels, windows = convolution.shape[0], convolution.windows
    signs = torch.tensor([1.0, -1.0]).view(1, 2, 1)
    backpropagated = torch.einsum("nsk,skj->nsj", factors.residuals * signs, weights)
    active = backpropagated * (factors.features > 0)
    return active.view(-1, 2, channels, windows).transpose(1, 2).reshape(-1, channels, 2 * windows)


def _em_round(known: Tensor, centered: Tensor, covariance: Tensor, noise: float) -> tuple[Tensor, float]:
    """One round of expectation maximization: the prior covariance and the noise."""
    gain, posterior = _gain(known, covariance, noise)
    patches = gain @ centered
    unexplained = (centered - known @ patches).square().mean(2)
    unexplained += torch.einsum("ncw,nwv,ncv->nc", known, posterior, known)
    spread = torch.einsum("nwp,nvp->wv", patches, patches) / centered.shape[2]
    return (spread + posterior.sum(0)) / len(known), float((unexplained / _noise_shape(known)).mean())


def _gain(known: Tensor, covariance: Tensor, noise: float) -> tuple[Tensor, Tensor]:
    """The gain to the posterior mean, `[n, 2 windows, channels]`, and the posterior covariance."""
    projected = known @ covariance
    gain = torch.linalg.solve(
        projected @ known.mT + torch.diag_embed(noise * _noise_shape(known)), projected
    ).mT
    return gain, covariance - gain @ projected


def _noise_shape(known: Tensor) -> Tensor:
    """Relative variance of the noise, which grows with the channel's loss gradients, `[n, channels]`."""
    weight = known.square().sum(2)
    floor = _NOISE_FLOOR * weight.mean(1, keepdim=True)
    return weight + floor + torch.finfo(torch.float32).tiny


def _regress_weights(last_linear: LastLinear, vectors: Tensor, labels: Tensor) -> Tensor:
    """Weights of the last linear layer at both models, `[2, classes, width]`, up to a shift that residuals cancel.

    The gradient differences of the auditor's queries reveal the layer's inputs and residuals, and so the logits, up to
    a constant for each sample. The weights follow by linear regression.
    """
    factors = factorize_rank_two(last_linear, vectors)
    onehot = torch.nn.functional.one_hot(labels, last_linear.classes)
    weights = []
    for model in range(2):
        logits = (factors.residuals[:, model] + onehot).double().clamp_min(1e-7).log()
        logits = logits - logits.mean(1, keepdim=True)
        inputs = torch.nn.functional.pad(factors.features[:, model].double(), (0, 1), value=1.0)
        squares = inputs.T @ inputs
        ridge = 1e-6 * squares.diagonal().mean() * torch.eye(len(squares), dtype=torch.float64)
        weights.append(torch.linalg.solve(squares + ridge, inputs.T @ logits)[:-1].T)
    return torch.stack(weights).float()
