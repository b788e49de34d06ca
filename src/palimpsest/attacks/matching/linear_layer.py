"""Exact reconstruction of rows from the gradient difference of the first linear layer, without training."""

from typing import Any, ClassVar

import torch
from torch import Generator, nn

from palimpsest.attacks.auditor_view import ArchitectView, Attack, AuditorView, Knowledge, Reconstruction
from palimpsest.datasets import RowSet, SampleSet
from palimpsest.errors import KnowledgeError
from palimpsest.gradients import trainable_parameters
from palimpsest.registry import ATTACKS


@ATTACKS.register("linear-layer")
class LinearLayer(Attack):
    """Divide the gradient of a unit's weights by the gradient of its bias, which gives the layer's input.

    The gradient of one sample x is (delta x, delta) for each unit. Both models see the same sample, so a difference of
    gradients reveals it as exactly as a gradient. The auditor must know the position of the layer in the vector.
    """

    source: ClassVar[str] = "Phong et al., 2018, section 3.1, for a proof in place of a gradient"
    knowledge: ClassVar[frozenset[Knowledge]] = frozenset(
        {Knowledge.PROOFS, Knowledge.AUXILIARY, Knowledge.ARCHITECTURE}
    )
    takes: ClassVar[type[SampleSet]] = RowSet

    def __call__(self, view: AuditorView[Any], *, generator: Generator) -> Reconstruction:
        """Reconstruct each row from the unit whose bias has the largest gradient difference.

        Args:
            view: Proofs, architecture and auxiliary rows. The mean auxiliary row replaces rows that can't be
                reconstructed.
            generator: Not used.

        Returns:
            The rows, and the share of them that was read from the proofs as `rows_read`.

        Raises:
            KnowledgeError: The model has no linear layer with a bias that takes the rows as input, or the proofs have
                fewer coordinates than the model has parameters.
        """
        assert isinstance(view, ArchitectView), (
            "an audit passes the architecture to an attack that declares it as knowledge"
        )
        weights, biases = _first_layer(view.architecture, view.auxiliary.shape[0])
        if view.proofs.shape[1] <= biases.stop - 1:
            raise KnowledgeError(
                f"The proofs have {view.proofs.shape[1]:,} coordinates, fewer than the model has parameters. "
                "linear-layer needs proofs of the whole gradient. Choose igf-rows."
            )
        bias_differences = view.proofs[:, biases]
        units = bias_differences.abs().argmax(1)
        rows = torch.arange(len(units))
        weight_differences = view.proofs[:, weights].view(len(units), bias_differences.shape[1], -1)[
            rows, units
        ]
        bias_difference = bias_differences[rows, units][:, None]
        mean = view.auxiliary.rows.mean(0).expand_as(weight_differences)
        quotients = weight_differences / bias_difference
        low, high = view.auxiliary.rows.amin(0), view.auxiliary.rows.amax(0)
        # Values far outside the range of the auxiliary rows are noise or rounding errors; a gradient of zero gives NaN.
        plausible = ((quotients >= 2 * low - high) & (quotients <= 2 * high - low)).all(1, keepdim=True)
        facts = {"rows_read": float(plausible.double().mean())}
        return Reconstruction(torch.where(plausible, quotients, mean), {}, facts)


def _first_layer(model: nn.Module, features: int) -> tuple[slice, slice]:
    """Find the positions in a flattened gradient of the weights and the bias of the layer that takes the rows."""
    positions, start = {}, 0
    for name, parameter in trainable_parameters(model).items():
        positions[name] = slice(start, start + parameter.numel())
        start += parameter.numel()
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and module.in_features == features:
            prefix = f"{name}." if name else ""
            if {f"{prefix}weight", f"{prefix}bias"} <= positions.keys():
                return positions[f"{prefix}weight"], positions[f"{prefix}bias"]
            # The rows enter here. A later layer of this width takes other features.
            break
    raise KnowledgeError(
        f"The model has no trainable linear layer with a bias that takes {features} features. Choose igf-rows."
    )
