"""One block of a classifier at both models: a convolution or linear layer, then an activation, then pooling."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from palimpsest.storage import Record

Activation = Literal["identity", "relu", "leaky_relu", "sigmoid", "tanh"]
Pooling = Literal["max", "average"]
Size = tuple[int, int]
BOUNDS = {"relu": (0.0, torch.inf), "sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}
"""Range of each activation's outputs; those of the others are unbounded."""


@dataclass(frozen=True)
class Block(Record):
    """A block of the original and the unlearned model; m is 2, or 1 if both models have the same input, an image.

    A batch normalization in evaluation mode is part of the weight and the bias.

    Args:
        name: Name of the layer in the model.
        weight: Weights, `[2, outputs, patch]` float64.
        bias: Biases, `[2, outputs]` float64.
        gradient_scale: Factor from the gradient of `weight` to that of the layer's parameter, `[2, outputs]`.
        offset: First coordinate of the layer's weight in a proof.
        inputs: Channels, height, and width of the block's input.
        kernel: Height and width of a patch.
        stride: Vertical and horizontal distance of patches.
        padding: Rows and columns of zeros around the input.
        activation: Activation, which is applied before the pooling.
        negative_slope: Slope of a leaky ReLU below zero.
        pooling: Maximum or mean of each window.
        window: Height and width of a pooling window; 1 x 1 without pooling.
    """

    name: str
    weight: Tensor
    bias: Tensor
    gradient_scale: Tensor
    offset: int
    inputs: tuple[int, int, int]
    kernel: Size = (1, 1)
    stride: Size = (1, 1)
    padding: Size = (0, 0)
    activation: Activation = "identity"
    negative_slope: float = 0.0
    pooling: Pooling = "max"
    window: Size = (1, 1)

    @property
    def size(self) -> Size:
        """Height and width before pooling."""
        height, width = (
            (side + 2 * padding - kernel) // stride + 1
            for side, padding, kernel, stride in zip(
                self.inputs[1:], self.padding, self.kernel, self.stride, strict=True
            )
        )
        return height, width

    @property
    def outputs(self) -> tuple[int, int, int]:
        """Channels, height, and width of the block's output."""
        (height, width), (down, right) = self.size, self.window
        return self.weight.shape[1], height // down, width // right

    def rows(self, proofs: Tensor) -> Tensor:
        """Cut the layer's equations `[n, outputs, patch]`, float64, out of proofs `[n, d]`."""
        _, channels, patch = self.weight.shape
        part = proofs[:, self.offset : self.offset + channels * patch]
        return part.double().view(-1, channels, patch)

    def patches(self, inputs: Tensor) -> Tensor:
        """Cut inputs `[n, m, *inputs]` into patches `[n, m, patch, positions]`."""
        columns = F.unfold(inputs.flatten(0, 1), self.kernel, padding=self.padding, stride=self.stride)
        return columns.view(*inputs.shape[:2], *columns.shape[1:])

    def sum_patches(self, patches: Tensor) -> Tensor:
        """Add patches `[n, m, patch, positions]` up to inputs `[n, m, *inputs]`; the adjoint of `patches`."""
        columns = patches.flatten(0, 1)
        inputs = F.fold(columns, self.inputs[1:], self.kernel, padding=self.padding, stride=self.stride)
        return inputs.view(*patches.shape[:2], *self.inputs)

    def windows(self, positions: Tensor) -> Tensor:
        """Sort values `[n, m, channels, positions]` by window, `[n, m, channels, height, width, window]`."""
        (height, width), (down, right) = self.size, self.window
        rows, columns = height // down, width // right
        maps = positions.unflatten(3, (height, width))[..., : rows * down, : columns * right]
        grid = maps.reshape(*maps.shape[:3], rows, down, columns, right)
        return grid.transpose(4, 5).reshape(*maps.shape[:3], rows, columns, down * right)

    def positions(self, windows: Tensor) -> Tensor:
        """Invert `windows`; positions outside of all windows are zero."""
        (height, width), (down, right) = self.size, self.window
        rows, columns = height // down, width // right
        grid = windows.reshape(*windows.shape[:3], rows, columns, down, right)
        maps = grid.transpose(4, 5).reshape(*windows.shape[:3], rows * down, columns * right)
        return F.pad(maps, (0, width - columns * right, 0, height - rows * down)).flatten(3)

    def before_activation(self, inputs: Tensor) -> Tensor:
        """Compute both models' pre-activations by window, `[n, 2, *outputs, window]`, of inputs `[n, m, *inputs]`."""
        weight, bias = self.weight.to(inputs.dtype), self.bias.to(inputs.dtype)
        return self.windows(weight @ self.patches(inputs) + bias.unsqueeze(2))

    def activate(self, values: Tensor) -> Tensor:
        """Apply the activation."""
        match self.activation:
            case "relu":
                return values.clamp_min(0)
            case "leaky_relu":
                return F.leaky_relu(values, self.negative_slope)
            case "sigmoid":
                return values.sigmoid()
            case "tanh":
                return values.tanh()
            case _:
                return values

    def invert_activation(self, outputs: Tensor) -> Tensor:
        """Return the pre-activations of outputs; 0 where the output is that of an inactive ReLU."""
        rounding = torch.finfo(outputs.dtype).eps
        match self.activation:
            case "leaky_relu":
                return torch.where(outputs < 0, outputs / self.negative_slope, outputs)
            case "sigmoid":
                return outputs.logit(rounding)
            case "tanh":
                return outputs.clamp(-1 + rounding, 1 - rounding).atanh()
            case _:
                return outputs

    def slope(self, values: Tensor) -> Tensor:
        """Compute the derivative of the activation at pre-activations."""
        match self.activation:
            case "relu":
                return (values > 0).to(values.dtype)
            case "leaky_relu":
                return torch.where(values > 0, 1.0, self.negative_slope).to(values.dtype)
            case "sigmoid":
                return values.sigmoid() * (1 - values.sigmoid())
            case "tanh":
                return 1 - values.tanh().square()
            case _:
                return torch.ones_like(values)

    def pool(self, windows: Tensor) -> Tensor:
        """Reduce activated windows `[n, 2, *outputs, window]` to outputs `[n, 2, *outputs]`."""
        return windows.amax(-1) if self.pooling == "max" else windows.mean(-1)

    def forward(self, inputs: Tensor) -> Tensor:
        """Compute both models' outputs `[n, 2, *outputs]` of inputs `[n, m, *inputs]`."""
        return self.pool(self.activate(self.before_activation(inputs)))

    def switches(self, before: Tensor) -> Tensor:
        """Compute the derivative of the output with respect to each position of its window.

        Args:
            before: Pre-activations, `[n, 2, *outputs, window]`.

        Returns:
            The derivatives, in the shape of `before`: for max pooling, zero at all positions but one.
        """
        slope = self.slope(before)
        if self.pooling == "average":
            return slope / before.shape[-1]
        return F.one_hot(before.argmax(-1), before.shape[-1]).to(slope.dtype) * slope

    def weight_gradient(self, loss_gradients: Tensor, patches: Tensor) -> Tensor:
        """Sum the gradients of the layer's weight over both models.

        Args:
            loss_gradients: Loss gradients at the pre-activations by window, `[n, 2, *outputs, window]`; negated for the
                unlearned model.
            patches: Input patches, `[n, m, patch, positions]`.

        Returns:
            The layer's part of a proof, `[n, outputs, patch]`.
        """
        return (self.scaled_positions(loss_gradients) @ patches.mT).sum(1)

    def weight_gradient_adjoint(self, loss_gradients: Tensor, rows: Tensor) -> Tensor:
        """Map rows `[n, outputs, patch]` to patches `[n, 2, patch, positions]`; the adjoint of `weight_gradient`."""
        return rows.mT.unsqueeze(1) @ self.scaled_positions(loss_gradients)

    def scaled_positions(self, loss_gradients: Tensor) -> Tensor:
        """Sort loss gradients by position, `[n, 2, outputs, positions]`, with the factor of the layer's parameter."""
        return self.positions(loss_gradients) * self.gradient_scale.to(loss_gradients.dtype).unsqueeze(2)

    def backpropagate(self, loss_gradients: Tensor) -> Tensor:
        """Map loss gradients at the pre-activations to those at the input, `[n, 2, *inputs]`."""
        weight = self.weight.to(loss_gradients.dtype)
        return self.sum_patches(weight.mT @ self.positions(loss_gradients))
