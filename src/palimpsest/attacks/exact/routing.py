"""Switches of a block: which positions of each window the known output came from, as probabilities (E step)."""

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor

from palimpsest.attacks.exact.block import Block

# Windows with more positions than this are treated as if their switches were independent.
_ENUMERATED = 4
_TINY = 1e-300


@dataclass(frozen=True)
class Known:
    """Knowledge about a block whose inputs are not solved yet.

    Args:
        block: The block.
        outputs: Both models' outputs, `[n, 2, *outputs]` float64.
        gradients: Loss gradients at the outputs, `[n, 2, *outputs]`; negated for the unlearned model.
        rows: The layer's part of the proofs, `[n, outputs, patch]`.
    """

    block: Block
    outputs: Tensor
    gradients: Tensor
    rows: Tensor

    @property
    def active(self) -> Tensor:
        """Whether the output determines a pre-activation: all outputs, except the zeros of a ReLU."""
        return self.outputs > 0 if self.block.activation == "relu" else torch.ones_like(self.outputs).bool()

    @property
    def target(self) -> Tensor:
        """Pre-activation at the switched position; with average pooling, the mean over the active positions."""
        return self.block.invert_activation(self.outputs)

    @property
    def scale(self) -> Tensor:
        """Loss gradient at a position that is switched on, `[n, 2, *outputs]`."""
        if self.block.pooling == "average":
            return self.gradients / (self.block.window[0] * self.block.window[1])
        return (
            self.gradients
            if self.block.activation == "relu"
            else self.gradients * self.block.slope(self.target)
        )

    def loss_gradients(self, switches: Tensor) -> Tensor:
        """Compute the loss gradients at the pre-activations, in the shape of the switches."""
        return switches * self.scale.unsqueeze(-1)

    def to(self, dtype: torch.dtype) -> "Known":
        """Return the same in another number format."""
        return Known(self.block, *(part.to(dtype) for part in (self.outputs, self.gradients, self.rows)))

    def select(self, images: Tensor) -> "Known":
        """Return the same for some of the images, given by indices or a mask."""
        return Known(self.block, self.outputs[images], self.gradients[images], self.rows[images])


def expect_switches(known: Known, before: Tensor, noise: Tensor) -> Tensor:
    """Compute the probability that each position is switched on, given estimated pre-activations.

    Args:
        known: The block and its outputs.
        before: Estimated pre-activations by window, `[n, 2, *outputs, window]`.
        noise: Standard deviation of their errors, broadcastable to `before`.

    Returns:
        Probabilities in the shape of `before`: that the position has the window's maximum, or, with average pooling,
        that the position is active.
    """
    active = known.active.unsqueeze(-1)
    if known.block.pooling == "max":
        return torch.softmax(max_evidence(known.target, before, noise), -1) * active
    if known.block.activation == "identity":
        return torch.ones_like(before)
    if before.shape[-1] > _ENUMERATED:
        return torch.special.ndtr(before / noise) * active
    return _average_posterior(known, before, noise.expand_as(before)) * active


def max_evidence(target: Tensor, before: Tensor, noise: Tensor) -> Tensor:
    """Compute the log likelihood that each position has the maximum: it equals the target, the others are below."""
    error = (target.unsqueeze(-1) - before) / noise
    below = torch.special.log_ndtr(error)
    return -0.5 * error.square() - _log(noise) + below.sum(-1, keepdim=True) - below


def _average_posterior(known: Known, before: Tensor, noise: Tensor) -> Tensor:
    """Sum over all patterns of active positions in a window.

    A pattern's active pre-activations add up to the window's sum, and each lies above zero; all others lie below.
    """
    positions = before.shape[-1]
    total = known.outputs * positions
    logs, patterns = [], list(itertools.product((0.0, 1.0), repeat=positions))[1:]
    signs = torch.special.log_ndtr(before / noise), torch.special.log_ndtr(-before / noise)
    for pattern in patterns:
        chosen = before.new_tensor(pattern)
        variance = (noise.square() * chosen).sum(-1)
        error = total - (before * chosen).sum(-1)
        evidence = -0.5 * error.square() / variance - 0.5 * variance.log()
        logs.append(evidence + (signs[0] * chosen + signs[1] * (1 - chosen)).sum(-1))
    weights = torch.softmax(torch.stack(logs, -1), -1)
    return weights @ before.new_tensor(patterns)


def decide_switches(known: Known, before: Tensor) -> Tensor:
    """Return the most plausible switches as 0 and 1, given pre-activations that are almost exact."""
    if known.block.pooling == "average":
        on = before > 0 if known.block.activation == "relu" else torch.ones_like(before).bool()
        return (on & known.active.unsqueeze(-1)).to(before.dtype)
    gap = (known.target.unsqueeze(-1) - before).abs()
    chosen = torch.nn.functional.one_hot((before - gap).argmax(-1), before.shape[-1])
    return (chosen * known.active.unsqueeze(-1)).to(before.dtype)


def switch_noise(known: Known, switches: Tensor, patches: Tensor) -> Tensor:
    """Compute the variance of each row of the proof's equations due to undecided switches, `[n, outputs]`.

    Args:
        known: The block and its outputs.
        switches: Probabilities by window, `[n, 2, *outputs, window]`.
        patches: Input patches, `[n, m, patch, positions]`.
    """
    block = known.block
    scale = (known.scale * block.gradient_scale.to(patches.dtype).view(1, 2, -1, 1, 1)).square()
    windows = block.windows(patches)
    if block.pooling == "average":
        lengths = windows.square().mean(2)
        spread = torch.einsum("nmohwk,nmhwk->nmohw", switches * (1 - switches), both_models(lengths))
        return (spread * scale).sum((1, 3, 4))
    gram = both_models(torch.einsum("nmqhwk,nmqhwl->nmhwkl", windows, windows) / windows.shape[2])
    lengths = torch.einsum("nmohwk,nmhwk->nmohw", switches, gram.diagonal(dim1=-2, dim2=-1))
    mean = torch.einsum("nmohwk,nmhwkl,nmohwl->nmohw", switches, gram, switches)
    return ((lengths - mean).clamp_min(0) * scale).sum((1, 3, 4))


def both_models(values: Tensor) -> Tensor:
    """Repeat values of a shared input for both models."""
    return values.expand(-1, 2, *values.shape[2:])


def _log(noise: Tensor) -> Tensor:
    return noise.clamp_min(_TINY).log()
