"""Gradients of a linear layer with ReLU in float64, with the samples and matrices that they are made of."""

from dataclasses import dataclass

import torch
from tests.support.attack_views import seeded
from torch import Tensor


@dataclass(frozen=True)
class ReluGradient:
    """A batch at a random linear layer with ReLU, whose outputs get random gradients.

    Args:
        weights: The layer's weights, with the bias as the last column, `[m, n + 1]`.
        inputs: The samples, `[k, n]`.
        gradients: Gradients with respect to the layer's output, zero where a unit is inactive, `[k, m]`.
    """

    weights: Tensor
    inputs: Tensor
    gradients: Tensor

    @classmethod
    def random(cls, *, units: int = 60, features: int = 20, count: int = 3, seed: int = 0) -> "ReluGradient":
        """Draw weights, samples and gradients."""
        generator = seeded(seed)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        weights, inputs = normal(units, features + 1), normal(count, features)
        outputs = inputs @ weights[:, :-1].T + weights[:, -1]
        return cls(weights, inputs, normal(count, units) * (outputs > 0))

    @property
    def gradient(self) -> Tensor:
        """Gradient of the weights and the bias, `[m, n + 1]`."""
        return self.gradients.T @ torch.cat([self.inputs, torch.ones_like(self.inputs[:, :1])], dim=1)

    @property
    def zeros(self) -> Tensor:
        """Whether each sample leaves each unit inactive, `[k, m]` bool."""
        return self.gradients == 0
