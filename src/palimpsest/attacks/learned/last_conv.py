"""What the last convolution saw: its gradient difference, deconvolved (a linear Gaussian model fitted by EM).

The last convolution's weight gradient is a sum over its output positions: the loss's gradient there, times the patch of
the input there. Behind a max pooling one position of each window takes part, and the loss's gradient there follows from
the head: for output channel c,

    G[c] = sum over windows w and models s of  E[c, (w, s)] T[(w, s)] + noise,

where E is known, T[(w, s)] is the patch that the window's outputs share on average, and the noise stands for the
channels of a window not choosing the same position. As many equations as there are channels stand against two unknowns
a window; what they leave open a Gaussian prior fills, which the auditor learns from its own queries by expectation
maximisation.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from palimpsest.attacks.learned.extractors import Readout
from palimpsest.attacks.learned.last_linear import Head, factorise

_ROUNDS = 10
_FIT = 2000
# A channel hardly any of whose windows is active still has rounding noise.
_NOISE_FLOOR = 0.05


@dataclass(frozen=True)
class LastConvolution:
    """Where the last convolution's weight lies in the flattened gradient, and how its outputs are pooled.

    Args:
        offset: Its first coordinate.
        shape: Output channels, input channels, kernel height and width.
        windows: Pooling windows over the image: the size of each channel's map at the head.
    """

    offset: int
    shape: tuple[int, int, int, int]
    windows: int

    def rows(self, vectors: Tensor) -> Tensor:
        """Its part of vectors `[n, d]`: `[n, output channels, patch]`."""
        channels, *patch = self.shape
        size = channels * patch[0] * patch[1] * patch[2]
        return vectors[:, self.offset : self.offset + size].reshape(len(vectors), channels, -1)


def find_last_convolution(architecture: nn.Module, head: Head) -> LastConvolution | None:
    """The convolution whose pooled outputs are the head's inputs; none where a norm or another layer stands between.

    Args:
        architecture: The model's layers; their parameters are not looked at.
        head: The last layer.
    """
    offset, found, last = 0, None, None
    for module in architecture.modules():
        if any(True for _ in module.children()):
            continue
        parameters = list(module.parameters(recurse=False))
        if isinstance(module, nn.Conv2d) and module.groups == 1:
            last, found = module, offset
        elif parameters and not isinstance(module, nn.Linear):
            last = None
        offset += sum(parameter.numel() for parameter in parameters)
    if last is None or found is None or head.width % last.out_channels:
        return None
    height, width = last.kernel_size
    return LastConvolution(
        found,
        (last.out_channels, last.in_channels, height, width),
        head.width // last.out_channels,
    )


@dataclass(frozen=True)
class Windows(Readout):
    """The mean patch of each window at both models, estimated from a gradient difference; `fit_windows` makes one.

    Args:
        head: The last linear layer.
        convolution: The last convolution.
        weights: The head's weights at both models, `[2, classes, width]`.
        scale: What the patches' coordinates are divided by, `[patch]`.
        basis: Principal components of a scaled patch, `[patch, components]`.
        mean: Mean of the windows' patches in that basis, `[2 windows, components]`.
        covariance: The prior's, between a patch coordinate's windows, `[2 windows, 2 windows]`.
        noise: The channels' own noise, a share of what their windows weigh.
    """

    head: Head
    convolution: LastConvolution
    weights: Tensor
    scale: Tensor
    basis: Tensor
    mean: Tensor
    covariance: Tensor
    noise: float

    def transform(self, vectors: Tensor) -> Tensor:
        """Principal components of each window's patch, `[n, models x components x windows]`, of vectors `[n, d]`."""
        known = _loss_gradients(self.head, self.convolution, self.weights, vectors)
        answers = (self.convolution.rows(vectors) / self.scale) @ self.basis - known @ self.mean
        gain, _ = _gain(known, self.covariance, self.noise)
        patches = gain @ answers
        return (
            patches.view(len(vectors), 2, self.convolution.windows, -1)
            .transpose(2, 3)
            .reshape(len(vectors), -1)
        )


def fit_windows(
    head: Head, convolution: LastConvolution, vectors: Tensor, labels: Tensor, *, components: int
) -> Windows:
    """Learn the prior of the windows' patches from the auditor's own samples, by expectation maximisation.

    Args:
        head: The last linear layer.
        convolution: The last convolution.
        vectors: Their gradient differences, `[m, d]`.
        labels: Their labels, `[m]`.
        components: Principal components of a patch that are kept.
    """
    weights = _regress_head(head, vectors, labels)
    known = _loss_gradients(head, convolution, weights, vectors[:_FIT])
    answers = convolution.rows(vectors[:_FIT])
    count, channels, unknowns = known.shape
    squares = (known.mT @ known).sum(0)
    ridge = 1e-4 * squares.diagonal().mean() * torch.eye(unknowns)
    mean = torch.linalg.solve(squares + ridge, torch.einsum("ncw,ncp->wp", known, answers))
    rest = answers - known @ mean
    scale = rest.square().mean((0, 1)).sqrt().clamp_min(torch.finfo(torch.float32).eps)
    rest = rest / scale
    # Both start at the size that would explain all of the answers.
    size = float(count * channels / known.square().sum())
    covariance, noise = size * torch.eye(unknowns), 0.5 * size
    for _ in range(_ROUNDS):
        covariance, noise = _improve(known, rest, covariance, noise)
    patches = _gain(known, covariance, noise)[0] @ rest
    _, directions = torch.linalg.eigh(torch.einsum("nwp,nwq->pq", patches, patches))
    basis = directions.flip(1)[:, :components].contiguous()
    return Windows(head, convolution, weights, scale, basis, (mean / scale) @ basis, covariance, noise)


def _loss_gradients(head: Head, convolution: LastConvolution, weights: Tensor, vectors: Tensor) -> Tensor:
    """E `[n, channels, 2 windows]`: the loss's gradient at the active outputs, the unlearned model's negated."""
    factors = factorise(head, vectors)
    channels, windows = convolution.shape[0], convolution.windows
    signs = torch.tensor([1.0, -1.0]).view(1, 2, 1)
    pulled = torch.einsum("nsk,skj->nsj", factors.residuals * signs, weights)
    active = pulled * (factors.features > 0)
    return active.view(-1, 2, channels, windows).transpose(1, 2).reshape(-1, channels, 2 * windows)


def _improve(known: Tensor, rest: Tensor, covariance: Tensor, noise: float) -> tuple[Tensor, float]:
    """One round of expectation maximisation: the windows' covariance and the noise."""
    gain, posterior = _gain(known, covariance, noise)
    patches = gain @ rest
    left = (rest - known @ patches).square().mean(2)
    left += torch.einsum("ncw,nwv,ncv->nc", known, posterior, known)
    spread = torch.einsum("nwp,nvp->wv", patches, patches) / rest.shape[2]
    return (spread + posterior.sum(0)) / len(known), float((left / _noise_shape(known)).mean())


def _gain(known: Tensor, covariance: Tensor, noise: float) -> tuple[Tensor, Tensor]:
    """What turns answers into the posterior mean, `[n, 2 windows, channels]`, and the posterior covariance."""
    reach = known @ covariance
    gain = torch.linalg.solve(reach @ known.mT + torch.diag_embed(noise * _noise_shape(known)), reach).mT
    return gain, covariance - gain @ reach


def _noise_shape(known: Tensor) -> Tensor:
    """The noise grows with what the channel's windows weigh, `[n, channels]`."""
    weight = known.square().sum(2)
    floor = _NOISE_FLOOR * weight.mean(1, keepdim=True)
    return weight + floor + torch.finfo(torch.float32).tiny


def _regress_head(head: Head, vectors: Tensor, labels: Tensor) -> Tensor:
    """The head's weights at both models, `[2, classes, width]`, up to a shift that residuals cancel.

    Features and residuals of the auditor's own queries are known from their differences, so the logits are too, up to a
    constant a sample: a linear regression.
    """
    factors = factorise(head, vectors)
    onehot = torch.nn.functional.one_hot(labels, head.classes)
    weights = []
    for model in range(2):
        logits = (factors.residuals[:, model] + onehot).double().clamp_min(1e-7).log()
        logits = logits - logits.mean(1, keepdim=True)
        inputs = torch.nn.functional.pad(factors.features[:, model].double(), (0, 1), value=1.0)
        squares = inputs.T @ inputs
        ridge = 1e-6 * squares.diagonal().mean() * torch.eye(len(squares), dtype=torch.float64)
        weights.append(torch.linalg.solve(squares + ridge, inputs.T @ logits)[:-1].T)
    return torch.stack(weights).float()
