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

from palimpsest.attacks.head import Head, factorise

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


class Windows:
    """The mean patch of each window at both models, estimated from a gradient difference.

    Args:
        head: The last linear layer.
        convolution: The last convolution.
        vectors: Gradient differences of the auditor's own samples, `[m, d]`, to fit the model on.
        labels: Their labels, `[m]`.
        components: Principal components of a patch that are kept.
    """

    def __init__(
        self, head: Head, convolution: LastConvolution, vectors: Tensor, labels: Tensor, *, components: int
    ) -> None:
        self._head, self._convolution = head, convolution
        self._weights = _regress_head(head, vectors, labels)
        known = self._known(vectors[:_FIT])
        answers = convolution.rows(vectors[:_FIT])
        self._fit(known, answers, components)

    def transform(self, vectors: Tensor) -> Tensor:
        """Principal components of each window's patch, `[n, models x components x windows]`, of vectors `[n, d]`."""
        known = self._known(vectors)
        answers = (self._convolution.rows(vectors) / self._scale) @ self._basis - known @ self._mean
        gain, _ = self._gain(known)
        patches = gain @ answers
        return (
            patches.view(len(vectors), 2, self._convolution.windows, -1)
            .transpose(2, 3)
            .reshape(len(vectors), -1)
        )

    def _known(self, vectors: Tensor) -> Tensor:
        """E `[n, channels, 2 windows]`: the loss's gradient at the active outputs, the unlearned model's negated."""
        factors = factorise(self._head, vectors)
        channels, windows = self._convolution.shape[0], self._convolution.windows
        signs = torch.tensor([1.0, -1.0]).view(1, 2, 1)
        pulled = torch.einsum("nsk,skj->nsj", factors.residuals * signs, self._weights)
        active = pulled * (factors.features > 0)
        return active.view(-1, 2, channels, windows).transpose(1, 2).reshape(-1, channels, 2 * windows)

    def _fit(self, known: Tensor, answers: Tensor, components: int) -> None:
        count, channels, unknowns = known.shape
        squares = (known.mT @ known).sum(0)
        ridge = 1e-4 * squares.diagonal().mean() * torch.eye(unknowns)
        mean = torch.linalg.solve(squares + ridge, torch.einsum("ncw,ncp->wp", known, answers))
        rest = answers - known @ mean
        self._scale = rest.square().mean((0, 1)).sqrt().clamp_min(torch.finfo(torch.float32).eps)
        rest = rest / self._scale
        # Both start at the size that would explain all of the answers.
        size = float(count * channels / known.square().sum())
        self._covariance, self._noise = size * torch.eye(unknowns), 0.5 * size
        for _ in range(_ROUNDS):
            self._improve(known, rest)
        gain, _ = self._gain(known)
        patches = gain @ rest
        _, directions = torch.linalg.eigh(torch.einsum("nwp,nwq->pq", patches, patches))
        self._basis = directions.flip(1)[:, :components].contiguous()
        self._mean = (mean / self._scale) @ self._basis

    def _improve(self, known: Tensor, rest: Tensor) -> None:
        """One round of expectation maximisation: the windows' covariance and the noise."""
        gain, posterior = self._gain(known)
        patches = gain @ rest
        left = (rest - known @ patches).square().mean(2)
        left += torch.einsum("ncw,nwv,ncv->nc", known, posterior, known)
        self._noise = float((left / self._noise_shape(known)).mean())
        spread = torch.einsum("nwp,nvp->wv", patches, patches) / rest.shape[2]
        self._covariance = (spread + posterior.sum(0)) / len(known)

    def _gain(self, known: Tensor) -> tuple[Tensor, Tensor]:
        """What turns answers into the posterior mean, `[n, 2 windows, channels]`, and the posterior covariance."""
        reach = known @ self._covariance
        noise = torch.diag_embed(self._noise * self._noise_shape(known))
        gain = torch.linalg.solve(reach @ known.mT + noise, reach).mT
        return gain, self._covariance - gain @ reach

    def _noise_shape(self, known: Tensor) -> Tensor:
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
