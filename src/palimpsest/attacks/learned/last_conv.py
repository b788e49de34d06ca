"""Input patches of the last convolution, estimated from gradient differences (a linear Gaussian model fitted by EM).

The gradient of the last convolution's weight is a sum over output positions of the loss's gradient at the position
times the input patch there. If max pooling follows, only one position of each window contributes, and the loss's
gradient there follows from the last linear layer. For output channel c,

    G[c] = sum over windows w and models s of  E[c, (w, s)] T[(w, s)] + noise,

where the design matrix E is known, T[(w, s)] is the mean patch of the window's active positions, and the noise accounts
for channels whose maxima are at different positions of a window. There is one equation for each channel, and there are
two unknown patches for each window. A Gaussian prior, fitted to the auditor's queries by expectation maximization (EM),
makes the patches identifiable.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from palimpsest.attacks.learned.extractors import FeatureExtractor
from palimpsest.attacks.learned.last_linear import LastLinear, factorize_rank_two

# Rounds of expectation maximization, and number of samples to which the prior is fitted.
_ROUNDS, _FITTED = 10, 2000
# A channel with few active windows still has rounding noise.
_NOISE_FLOOR = 0.05


@dataclass(frozen=True)
class LastConvolution:
    """Position of the last convolution's weight in the flattened gradient, and the pooling of its outputs.

    Args:
        offset: First coordinate of the weight.
        shape: Output channels, input channels, kernel height, and kernel width.
        windows: Number of pooling windows over the image, which are the entries of each channel's map at the last
            linear layer.
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
        architecture: The model, with modules in the order of the parameters; parameter values are not used.
        last_linear: The last linear layer.

    Returns:
        The last convolution. None if a layer with parameters that is not linear, such as a normalization, follows it,
        or if the width of `last_linear` is not a multiple of its output channels.
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
    """Estimates of the mean patch of each pooling window at both models, fitted by `fit_patches`.

    Args:
        last_linear: The last linear layer.
        convolution: The last convolution.
        weights: Weights of the last linear layer at both models, `[2, classes, width]`.
        scale: Unit of each patch coordinate, `[patch]`.
        basis: Principal components of a scaled patch, `[patch, components]`.
        mean: Prior mean of the windows' patches in `basis`, `[2 windows, components]`.
        covariance: Prior covariance of a patch coordinate between the windows, `[2 windows, 2 windows]`.
        noise: Variance of the channels' noise, relative to `_noise_shape`.
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
            The components, `[n, models x components x windows]`.
        """
        design = _loss_gradients(self.last_linear, self.convolution, self.weights, vectors)
        weight_gradients = (self.convolution.rows(vectors) / self.scale) @ self.basis - design @ self.mean
        gain, _ = _gain(design, self.covariance, self.noise)
        patches = gain @ weight_gradients
        return (
            patches.view(len(vectors), 2, self.convolution.windows, -1)
            .transpose(2, 3)
            .reshape(len(vectors), -1)
        )


def fit_patches(
    last_linear: LastLinear, convolution: LastConvolution, vectors: Tensor, labels: Tensor, *, components: int
) -> LastConvPatches:
    """Fit the prior of the windows' patches to the auditor's samples, by expectation maximization.

    Args:
        last_linear: The last linear layer.
        convolution: The last convolution.
        vectors: Gradient differences of the samples, `[m, d]`; the prior is fitted to the first 2,000.
        labels: Labels of the samples, `[m]`.
        components: Number of principal components of a patch.

    Returns:
        The extractor of the patches.
    """
    weights = _regress_weights(last_linear, vectors, labels)
    design = _loss_gradients(last_linear, convolution, weights, vectors[:_FITTED])
    weight_gradients = convolution.rows(vectors[:_FITTED])
    count, channels, unknowns = design.shape
    squares = (design.mT @ design).sum(0)
    ridge = 1e-4 * squares.diagonal().mean() * torch.eye(unknowns)
    mean = torch.linalg.solve(squares + ridge, torch.einsum("ncw,ncp->wp", design, weight_gradients))
    centered = weight_gradients - design @ mean
    scale = centered.square().mean((0, 1)).sqrt().clamp_min(torch.finfo(torch.float32).eps)
    centered = centered / scale
    # The covariance starts at the size that would explain the gradient differences without noise.
    size = float(count * channels / design.square().sum())
    covariance, noise = size * torch.eye(unknowns), 0.5 * size
    for _ in range(_ROUNDS):
        covariance, noise = _em_round(design, centered, covariance, noise)
    patches = _gain(design, covariance, noise)[0] @ centered
    _, directions = torch.linalg.eigh(torch.einsum("nwp,nwq->pq", patches, patches))
    basis = directions.flip(1)[:, :components].contiguous()
    return LastConvPatches(
        last_linear, convolution, weights, scale, basis, (mean / scale) @ basis, covariance, noise
    )


def _loss_gradients(
    last_linear: LastLinear, convolution: LastConvolution, weights: Tensor, vectors: Tensor
) -> Tensor:
    """Compute E, the loss's gradient at active outputs, negated for the unlearned model: `[n, channels, 2 windows]`."""
    factors = factorize_rank_two(last_linear, vectors)
    channels, windows = convolution.shape[0], convolution.windows
    signs = torch.tensor([1.0, -1.0]).view(1, 2, 1)
    backpropagated = torch.einsum("nsk,skj->nsj", factors.residuals * signs, weights)
    active = backpropagated * (factors.features > 0)
    return active.view(-1, 2, channels, windows).transpose(1, 2).reshape(-1, channels, 2 * windows)


def _em_round(design: Tensor, centered: Tensor, covariance: Tensor, noise: float) -> tuple[Tensor, float]:
    """Run one round of expectation maximization, and return the prior covariance and the noise."""
    gain, posterior = _gain(design, covariance, noise)
    patches = gain @ centered
    unexplained = (centered - design @ patches).square().mean(2)
    unexplained += torch.einsum("ncw,nwv,ncv->nc", design, posterior, design)
    spread = torch.einsum("nwp,nvp->wv", patches, patches) / centered.shape[2]
    return (spread + posterior.sum(0)) / len(design), float((unexplained / _noise_shape(design)).mean())


def _gain(design: Tensor, covariance: Tensor, noise: float) -> tuple[Tensor, Tensor]:
    """Compute the gain to the posterior mean, `[n, 2 windows, channels]`, and the posterior covariance."""
    projected = design @ covariance
    gain = torch.linalg.solve(
        projected @ design.mT + torch.diag_embed(noise * _noise_shape(design)), projected
    ).mT
    return gain, covariance - gain @ projected


def _noise_shape(design: Tensor) -> Tensor:
    """Compute the relative variance of the noise, which grows with a channel's loss gradients, `[n, channels]`."""
    weight = design.square().sum(2)
    floor = _NOISE_FLOOR * weight.mean(1, keepdim=True)
    return weight + floor + torch.finfo(torch.float32).tiny


def _regress_weights(last_linear: LastLinear, vectors: Tensor, labels: Tensor) -> Tensor:
    """Estimate both models' weights of the last linear layer, `[2, classes, width]`, up to a shift that cancels later.

    The gradient differences of the auditor's queries reveal the layer's inputs and residuals, and therefore the logits
    up to a constant for each sample. The weights follow by linear regression.
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
