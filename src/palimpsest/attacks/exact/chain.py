"""A classifier at both models as a chain of blocks that ends in a linear layer."""

from dataclasses import dataclass

import torch
from torch import Tensor

from palimpsest.attacks.exact.block import Activation, Block
from palimpsest.attacks.learned.last_linear import LastLinear
from palimpsest.storage import Record


@dataclass(frozen=True)
class Chain(Record):
    """The blocks that the attack solves, first one first, and the last linear layer.

    Args:
        blocks: Blocks before the last linear layer. If a layer can't be solved, only those after it.
        weight: Weight of the last linear layer at both models, `[2, classes, width]` float64.
        bias: Bias of the last linear layer, `[2, classes]`.
        dimension: Number of coordinates of a proof.
        mean: Value that the model subtracts from each channel of an image, `[channels]`.
        std: Value that the model then divides each channel by, `[channels]`.
        name: Name of the last linear layer.
        limit: The reason why the layers before the first block can't be solved; empty if the chain begins at the image.
        entry: Activation whose outputs the first block takes; "identity" for an image.
    """

    blocks: tuple[Block, ...]
    weight: Tensor
    bias: Tensor
    dimension: int
    mean: Tensor
    std: Tensor
    name: str
    limit: str = ""
    entry: Activation = "identity"

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers, from the last linear layer to the first block."""
        return (self.name, *(block.name for block in reversed(self.blocks)))

    @property
    def last_linear(self) -> LastLinear:
        """Position of the last linear layer in a proof."""
        return LastLinear(*self.weight.shape[1:])

    def activation(self, level: int) -> Activation:
        """Return the activation whose outputs block `level`, or the last linear layer, takes."""
        return self.blocks[level - 1].activation if level else self.entry

    def nonnegative(self, level: int) -> bool:
        """Return whether the inputs of block `level`, or of the last linear layer, are the outputs of a ReLU."""
        return self.activation(level) == "relu"

    def input_shape(self, level: int) -> tuple[int, int, int]:
        """Return the shape of the inputs of block `level`, or of the last linear layer, as maps if they form maps."""
        if level:
            return self.blocks[level - 1].outputs
        return self.blocks[0].inputs if self.blocks else (self.weight.shape[2], 1, 1)

    def normalize(self, images: Tensor) -> Tensor:
        """Turn images `[n, c, h, w]` in [0, 1] into the first block's inputs, `[n, 1, c, h, w]` float64."""
        mean, std = (values.view(-1, 1, 1) for values in (self.mean, self.std))
        return ((images.double() - mean) / std).unsqueeze(1)

    def to_images(self, inputs: Tensor) -> Tensor:
        """Invert `normalize`, and clamp to [0, 1]; the images are float64."""
        mean, std = (values.view(-1, 1, 1) for values in (self.mean, self.std))
        return (inputs[:, 0].double() * std + mean).clamp(0, 1)

    def levels(self, inputs: Tensor) -> list[Tensor]:
        """Compute the inputs of all blocks and of the last linear layer.

        Args:
            inputs: Inputs of the first block, `[n, m, *inputs]`.

        Returns:
            The inputs of the first block, then both models' outputs of each block, `[n, 2, *outputs]`.
        """
        found = [inputs]
        for block in self.blocks:
            # A linear layer takes the flattened outputs of the block before it.
            found.append(block.forward(found[-1].reshape(*found[-1].shape[:2], *block.inputs)))
        return found

    def residuals(self, features: Tensor, labels: Tensor) -> Tensor:
        """Compute the loss gradients at the logits, `[n, 2, classes]`, not negated.

        Args:
            features: Inputs of the last linear layer, `[n, 2, width]`.
            labels: Class labels, `[n]`.
        """
        logits = torch.einsum("mcw,nmw->nmc", self.weight, features) + self.bias
        onehot = torch.nn.functional.one_hot(labels, self.weight.shape[1])
        return logits.softmax(2) - onehot.unsqueeze(1)

    def proofs(self, inputs: Tensor, labels: Tensor) -> list[Tensor]:
        """Compute each layer's part of the proofs of inputs, in float64.

        Args:
            inputs: Inputs of the first block, `[n, m, *inputs]`.
            labels: Class labels, `[n]`.

        Returns:
            The parts of the blocks' weights, `[n, outputs, patch]` each, then that of the last linear layer with the
            bias as the last column, `[n, classes, width + 1]`.
        """
        levels = self.levels(inputs)
        features = levels[-1].flatten(2)
        signed = self.signed(self.residuals(features, labels))
        parts = [outer_products(signed, features)]
        gradients = (signed.unsqueeze(2) @ self.weight).squeeze(2)
        for block, before in zip(reversed(self.blocks), reversed(levels[:-1]), strict=True):
            given = before.reshape(*before.shape[:2], *block.inputs)
            outer = gradients.reshape(len(inputs), 2, *block.outputs).unsqueeze(-1)
            inner = block.switches(block.before_activation(given)) * outer
            parts.append(block.weight_gradient(inner, block.patches(given)))
            gradients = block.backpropagate(inner)
        return parts[::-1]

    def rows(self, proofs: Tensor) -> list[Tensor]:
        """Cut proofs `[n, d]` into the same parts as `proofs`."""
        weight, bias = self.last_linear.split(proofs)
        last = torch.cat([weight, bias.unsqueeze(2)], 2).double()
        return [*(block.rows(proofs) for block in self.blocks), last]

    @staticmethod
    def signed(gradients: Tensor) -> Tensor:
        """Negate the unlearned model's part of values `[n, 2, ...]`."""
        return torch.stack([gradients[:, 0], -gradients[:, 1]], 1)


def outer_products(signed: Tensor, features: Tensor) -> Tensor:
    """Compute the last linear layer's part of a proof, `[n, classes, width + 1]`."""
    extended = torch.nn.functional.pad(features, (0, 1), value=1.0)
    return torch.einsum("nmc,nmw->ncw", signed, extended)


def relative(difference: Tensor, reference: Tensor) -> Tensor:
    """Compute the norm of each row of a difference relative to a reference, `[n]`; infinite if not finite."""
    norms = difference.flatten(1).norm(dim=1) / reference.flatten(1).norm(dim=1).clamp_min(1e-300)
    return norms.nan_to_num(torch.inf, torch.inf, torch.inf)
