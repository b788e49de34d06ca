"""The last linear layer in closed form: its inputs at both models, the label, and the gradients passed down."""

from dataclasses import dataclass

import torch
from torch import Tensor

from palimpsest.attacks.exact.chain import Chain, outer_products, relative
from palimpsest.attacks.exact.plane import factorize_by_models
from palimpsest.attacks.learned.last_linear import factorize_rank_two

# Inputs below this share of a sample's largest are rounding errors. Taken for active units, they would add equations
# that do not hold.
_SPURIOUS = 3e-6
# A relative error above this one means that the factors are not unique, or that the proof is not of this form.
_SOLVED = 1e-4


@dataclass(frozen=True)
class Head:
    """Inputs, labels, and gradients that the last linear layer reveals.

    Args:
        features: The layer's inputs at both models, `[n, 2, width]` float64.
        labels: Class labels, `[n]` int64.
        gradients: Loss gradients at the inputs, `[n, 2, width]`; negated for the unlearned model.
        residual: Relative error of the layer's part of the proofs, `[n]`.
    """

    features: Tensor
    labels: Tensor
    gradients: Tensor
    residual: Tensor


def solve_head(chain: Chain, proofs: Tensor) -> Head:
    """Solve the last linear layer.

    Its part of a proof is (p - y) [A, 1] - (p' - y) [A', 1], a matrix of rank two. After a ReLU, the factors are unique
    if some inputs are zero at one model only. Otherwise, the models determine them: their predictions p must be those
    of the inputs A.

    Args:
        chain: Both models.
        proofs: Gradient differences, `[n, d]`.
    """
    target = chain.rows(proofs)[-1]
    if not chain.nonnegative(len(chain.blocks)):
        return _head(chain, target, *factorize_by_models(chain, target))
    factors = factorize_rank_two(chain.last_linear, proofs)
    features = factors.features.double()
    features = features * (features > _SPURIOUS * features.amax(2, keepdim=True))
    head = _head(chain, target, features, factors.labels)
    failed = (head.residual > _SOLVED).nonzero().flatten()
    if not len(failed):
        return head
    features, labels = factorize_by_models(chain, target[failed])
    again = _head(chain, target[failed], features, labels)
    failed, better = _split(failed, again.residual < head.residual[failed])
    for mine, other in zip(_parts(head), _parts(again), strict=True):
        mine[failed] = other[better]
    return head


def _head(chain: Chain, target: Tensor, features: Tensor, labels: Tensor) -> Head:
    signed = chain.signed(chain.residuals(features, labels))
    gradients = torch.einsum("nmc,mcw->nmw", signed, chain.weight)
    residual = relative(outer_products(signed, features) - target, target)
    return Head(features, labels, gradients, residual)


def _split(rows: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    return rows[mask], mask.nonzero().flatten()


def _parts(head: Head) -> tuple[Tensor, ...]:
    return head.features, head.labels, head.gradients, head.residual
