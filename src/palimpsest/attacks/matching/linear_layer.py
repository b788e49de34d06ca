"""Rows read out of a first linear layer, without learning anything."""

from typing import Any, ClassVar

import torch
from torch import Generator, nn

from palimpsest.attacks.auditor_view import ArchitectView, Attack, AuditorView, Knowledge, Reconstruction
from palimpsest.datasets import RowSet, SampleSet
from palimpsest.errors import KnowledgeError
from palimpsest.registry import ATTACKS


@ATTACKS.register("linear-layer")
class LinearLayer(Attack):
    """Divide the gradient of a unit's weights by that of its bias: what is left is the layer's input.

    The gradient of one sample is (delta x, delta) for each unit, and the sample is the same at both models, so that a
    difference of gradients gives it away as exactly. The auditor has to know where in a vector the layer stands.
    """

    source: ClassVar[str] = "Phong et al., 2018, section 3.1, for a proof in place of a gradient"
    knowledge: ClassVar[frozenset[Knowledge]] = frozenset(
        {Knowledge.PROOFS, Knowledge.AUXILIARY, Knowledge.ARCHITECTURE}
    )
    takes: ClassVar[type[SampleSet]] = RowSet

    def __call__(self, view: AuditorView[Any], *, generator: Generator) -> Reconstruction:
        """Read each row from the unit whose bias has the largest gradient difference.

        Args:
            view: Proofs, architecture, and auxiliary rows, which stand in where nothing can be read.
            generator: Not used.

        Raises:
            KnowledgeError: The model has no linear layer with a bias that takes the rows.
        """
        assert isinstance(view, ArchitectView), "the audit hands over the layers that were asked for"
        weights, biases = _first_layer(view.architecture, view.auxiliary.shape[0])
        if view.proofs.shape[1] <= biases.stop - 1:
            raise KnowledgeError(
                f"The proofs have {view.proofs.shape[1]:,} numbers, fewer than the model has parameters: linear-layer "
                "needs them as they are."
            )
        deltas = view.proofs[:, biases]
        units = deltas.abs().argmax(1)
        rows = torch.arange(len(units))
        products = view.proofs[:, weights].view(len(units), deltas.shape[1], -1)[rows, units]
        delta = deltas[rows, units][:, None]
        mean = view.auxiliary.rows.mean(0).expand_as(products)
        read = products / delta
        low, high = view.auxiliary.rows.amin(0), view.auxiliary.rows.amax(0)
        # Beyond twice the range of the auditor's own rows it is noise or rounding; without a gradient it is no number.
        fine = ((read >= 2 * low - high) & (read <= 2 * high - low)).all(1, keepdim=True)
        return Reconstruction(torch.where(fine, read, mean), {}, {"rows_read": float(fine.double().mean())})


def _first_layer(model: nn.Module, features: int) -> tuple[slice, slice]:
    """Where the weights and the bias of the layer that takes the rows stand in a vector."""
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
