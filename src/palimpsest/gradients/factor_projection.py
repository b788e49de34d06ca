"""Projection of a weight's per-sample gradients from both sides, without computing the gradients.

The gradient of a weight is a sum of outer products of output gradients and inputs, over the positions where the weight
is used. Its projection from both sides is the sum of outer products of the projected factors, which are short (LoGra,
Choe et al. 2024, arXiv 2405.13954).
"""

from typing import NamedTuple

from torch import Tensor


class FactorProjection(NamedTuple):
    """Matrices that project the two factors of a weight's gradient.

    Args:
        outputs: Applied to the output gradients, `[outputs, r]`. None means the identity.
        inputs: Applied to the inputs, `[inputs, s]`. None means the identity.
    """

    outputs: Tensor | None
    inputs: Tensor | None

    def of_outer_products(self, grad_outputs: Tensor, inputs: Tensor) -> Tensor:
        """Project each sample's sum of outer products.

        Args:
            grad_outputs: Backpropagated gradients at the outputs, `[n, positions, outputs]`.
            inputs: Inputs at the same positions, `[n, positions, inputs]`.

        Returns:
            `[n, r, s]`.
        """
        return self.of_output_gradients(grad_outputs).mT @ self.of_inputs(inputs)

    def of_output_gradients(self, grad_outputs: Tensor) -> Tensor:
        """Map output gradients `[..., outputs]` to `[..., r]`."""
        return grad_outputs if self.outputs is None else grad_outputs @ self.outputs

    def of_inputs(self, inputs: Tensor) -> Tensor:
        """Map inputs `[..., inputs]` to `[..., s]`."""
        return inputs if self.inputs is None else inputs @ self.inputs
