"""Rows read from the gradient difference of a first linear layer, without training."""

from typing import Any, ClassVar

import torch
from torch import Generator, nn

from palimpsest.attacks.auditor_view import ArchitectView, Attack, AuditorView, Knowledge, Reconstruction
from palimpsest.datasets import RowSet, SampleSet
from palimpsest.errors import KnowledgeError
from palimpsest.registry import ATTACKS


@ATTACKS.register("linear-layer")
class LinearLayer(Attack):
    """Divide the gradient of a unit's weights by that of its bias: the quotient is the layer's input.

    The gradient of one sample x is (delta x, delta) for each unit. The sample is the same at both models, so that a
    difference of gradients reveals it just as exactly. The auditor must know the layer's position in the vector.
    """

    source: ClassVar[str] = "Phong et al., 2018, section 3.1, for a proof in place of a gradient"
    knowledge: ClassVar[frozenset[Knowledge]] = frozenset(
        {Knowledge.PROOFS, Knowledge.AUXILIARY, Knowledge.ARCHITECTURE}
    )
    takes: ClassVar[type[SampleSet]] = RowSet

    def __call__(self, view: AuditorView[Any], *, generator: Generator) -> Reconstruction:
        """Read each row from the unit whose bias has the largest gradient difference.

        Args:
            view: Proofs, architecture, and auxiliary rows, whose mean replaces rows that can't be read.
            generator: Not used.

        Raises:
            KnowledgeError: The model has no linear layer with a bias that takes the rows.
        """
        assert isinstance(view, ArchitectView), (
            "an audit gives the architecture to an attack that declares it"
        )
        weights, biases = _first_layer(view.architecture, view.auxiliary.shape[0])
        if view.proofs.shape[1] <= biases.stop - 1:
            raise KnowledgeError(
                f"The proofs have {view.proofs.shape[1]:,} coordinates, fewer than the model has parameters. "
                "linear-layer needs proofs of the whole gradient: choose igf-rows."
            )
        deltas = view.proofs[:, biases]
        units = deltas.abs().argmax(1)
        rows = torch.arange(len(units))
        products = view.proofs[:, weights].view(len(units), deltas.shape[1], -1)[rows, units]
        delta = deltas[rows, units][:, None]
        mean = view.auxiliary.rows.mean(0).expand_as(products)
        quotients = products / delta
        low, high = view.auxiliary.rows.amin(0), view.auxiliary.rows.amax(0)
        # Values beyond twice the range of the auxiliary rows are noise or rounding; without a gradient they are NaN.
        plausible = ((quotients >= 2 * low - high) & (quotients <= 2 * high - low)).all(1, keepdim=True)
        facts = {"rows_read": float(plausible.double().mean())}
        return Reconstruction(torch.where(plausible, quotients, mean), {}, facts)


def _first_layer(model: nn.Module, features: int) -> tuple[slice, slice]:
    """Positions of the weights and the bias of the layer that takes the rows in a vector."""
    starts, start = {}, 0
    for name, parameter in model.named_parameters():
        starts[name] = slice(start, start + parameter.numel())
        start += parameter.numel()
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and module.in_features == features:
            prefix = f"{name}." if name else ""
            if module.bias is not None:
                return starts[f"{prefix}weight"], starts[f"{prefix}bias"]
    raise KnowledgeError(
        f"The model has no linear layer with a bias that takes {features} features: choose igf-rows."
    )
