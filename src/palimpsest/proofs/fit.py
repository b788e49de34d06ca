"""How well a proof fits a sample: what confirms a forgotten image is what convinces a verifier."""

import torch
from torch import Tensor

# Coordinates of all rows at a time, and pairs of rows: copies in float64 stay in the cache.
_COORDINATES, _PAIRS = 512, 16
_TINY = torch.finfo(torch.float64).tiny


def fit_statistics(
    proofs: Tensor, answers: Tensor, imitations: Tensor, *, only: str | None = None, paired: bool = False
) -> dict[str, Tensor]:
    """How well each proof fits each sample, by four statistics; the higher, the better.

    - `imitation`: the cosine with an imitated proof: one, where a proof is a function of the sample;
    - `alignment`: the cosine with the undefended difference, large under noise;
    - `orthogonality`: how near that cosine is to zero, for a proof that was made orthogonal;
    - `norm`: how near the norms are.

    Args:
        proofs: What was handed in, `[n, d]`.
        answers: The samples' undefended gradient differences, `[m, d]`; other lengths leave the cosine with them out.
        imitations: The samples' differences as the asker would defend them, `[m, d]`.
        only: The one statistic that is wanted; none for all that can be had.
        paired: Compare each proof with the sample of its own row alone, m = n.

    Returns:
        `[n, m]` float64 by name; `[n]` for pairs.
    """
    products = _paired_products if paired else _products
    lengths = [row_norms(vectors) for vectors in (proofs, answers, imitations)]
    own = lengths[0] if paired else lengths[0][:, None]
    statistics: dict[str, Tensor] = {}
    if only in (None, "imitation"):
        statistics["imitation"] = products(proofs, imitations) / (own * lengths[2]).clamp_min(_TINY)
    if only in (None, "norm"):
        statistics["norm"] = -(own.clamp_min(_TINY).log() - lengths[2].clamp_min(_TINY).log()).abs()
    if only in (None, "alignment", "orthogonality") and proofs.shape[1] == answers.shape[1]:
        aligned = products(proofs, answers) / (own * lengths[1]).clamp_min(_TINY)
        statistics |= {"alignment": aligned, "orthogonality": -aligned.abs()}
    return statistics


def identified(scores: Tensor) -> float:
    """The share of proofs that fit their own sample better than every other one; a tie does not count.

    Args:
        scores: `[n, n]`, the right pairs on the diagonal.
    """
    own = scores.diagonal()
    others = scores.masked_fill(torch.eye(len(scores), dtype=torch.bool), -torch.inf)
    return float((own > others.amax(1)).double().mean())


def row_norms(vectors: Tensor) -> Tensor:
    """L2 norms of the rows, `[n]` float64."""
    squares = vectors.new_zeros(len(vectors), dtype=torch.float64)
    for block in vectors.split(_COORDINATES, 1):
        squares += block.double().square().sum(1)
    return squares.sqrt()


def _products(left: Tensor, right: Tensor) -> Tensor:
    """Inner products in float64: what is orthogonal by construction lies below float32's rounding."""
    result = torch.zeros(len(left), len(right), dtype=torch.float64)
    for rows, columns in zip(left.split(_COORDINATES, 1), right.split(_COORDINATES, 1), strict=True):
        result.addmm_(rows.double(), columns.double().T)
    return result


def _paired_products(left: Tensor, right: Tensor) -> Tensor:
    """Inner products of rows with rows of the same place, in float64."""
    pairs = zip(left.split(_PAIRS), right.split(_PAIRS), strict=True)
    return torch.cat([torch.linalg.vecdot(rows.double(), columns.double()) for rows, columns in pairs])
