"""Readings of who holds proofs: the verifier's statistic of each candidate, and its distance from the nearest proof."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from palimpsest.storage import Record


@dataclass(frozen=True)
class ProofReadings(Record):
    """Readings of each candidate's gradient difference.

    Args:
        norms: Norm of the difference, on which the norm check decides, `[candidates]`, at least 0.
        distances: Distance of the difference from the nearest proof, relative to the sum of both norms, `[candidates]`
            in [0, 1]; 0 if a proof equals the difference.
    """

    norms: Tensor
    distances: Tensor


def compare_with_proofs(differences: Iterable[Tensor], proofs: Tensor) -> ProofReadings:
    """Compare candidates with the proofs that clients handed in.

    The distance is relative because a candidate that the model already classifies with confidence has a difference
    close to zero, and is therefore close to every other such proof.

    Args:
        differences: Chunks of the candidates' gradient differences, `[b, d]`.
        proofs: Undefended proofs of one sample each, `[n, d]`.

    Returns:
        The readings, in float64.
    """
    proofs = proofs.cpu()
    squares = proofs.square().sum(1, dtype=torch.float64)
    norms, distances = list[Tensor](), list[Tensor]()
    for chunk in (chunk.cpu() for chunk in differences):
        square = chunk.square().sum(1, dtype=torch.float64)
        products = (chunk @ proofs.T).double()
        gaps = (square.unsqueeze(1) + squares - 2 * products).clamp_min(0).sqrt()
        sums = square.sqrt().unsqueeze(1) + squares.sqrt()
        # Models that do not differ have differences of zero, which equal each other.
        relative = torch.where(sums > 0, gaps / sums.clamp_min(torch.finfo(torch.float64).tiny), 0.0)
        norms.append(square.sqrt())
        distances.append(relative.amin(1))
    return ProofReadings(torch.cat(norms), torch.cat(distances))
