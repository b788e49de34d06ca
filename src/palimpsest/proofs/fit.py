"""Statistics of the fit between proofs and samples, used by the linkage attack and by the spot check."""

import torch
from torch import Tensor

# Numbers of coordinates and of pairs of rows to process at a time, so that copies in float64 stay in the cache.
_COORDINATES, _PAIRS = 512, 16
_TINY = torch.finfo(torch.float64).tiny


def fit_statistics(
    proofs: Tensor, answers: Tensor, imitations: Tensor, *, only: str | None = None, paired: bool = False
) -> dict[str, Tensor]:
    """Compute four statistics of the fit between each proof and each sample; the higher, the better.

    - `imitation`: cosine with an imitated proof; one if the proof is a function of the sample.
    - `alignment`: cosine with the undefended difference; large if the proof was only made noisy.
    - `orthogonality`: minus the magnitude of that cosine; zero if the proof was made orthogonal.
    - `norm`: minus the distance of the norms' logarithms.

    Args:
        proofs: Submitted proofs, `[n, d]`.
        answers: Undefended gradient differences of the samples, `[m, d]`. If their length is not `d`, the two
            statistics that need them are omitted.
        imitations: Defended differences of the samples, `[m, d]`.
        only: Name of the only statistic to compute. If omitted, all of them.
        paired: If true, compare each proof only with the sample of the same row; m = n.

    Returns:
        Statistics by name, `[n, m]` float64, or `[n]` if paired.
    """
    products = _paired_products if paired else _products
    norms = [row_norms(vectors) for vectors in (proofs, answers, imitations)]
    proof_norms = norms[0] if paired else norms[0][:, None]
    statistics: dict[str, Tensor] = {}
    if only in (None, "imitation"):
        statistics["imitation"] = products(proofs, imitations) / (proof_norms * norms[2]).clamp_min(_TINY)
    if only in (None, "norm"):
        statistics["norm"] = -(proof_norms.clamp_min(_TINY).log() - norms[2].clamp_min(_TINY).log()).abs()
    if only in (None, "alignment", "orthogonality") and proofs.shape[1] == answers.shape[1]:
        aligned = products(proofs, answers) / (proof_norms * norms[1]).clamp_min(_TINY)
        statistics |= {"alignment": aligned, "orthogonality": -aligned.abs()}
    return statistics


def identified(scores: Tensor) -> float:
    """Return the share of proofs that fit their own sample better than any other; a tie does not count.

    Args:
        scores: Fit of each proof to each sample, `[n, n]`, with the true pairs on the diagonal.

    Returns:
        The top-1 identification rate, in [0, 1].
    """
    matching = scores.diagonal()
    others = scores.masked_fill(torch.eye(len(scores), dtype=torch.bool), -torch.inf)
    return float((matching > others.amax(1)).double().mean())


def row_norms(vectors: Tensor) -> Tensor:
    """Return the L2 norms of the rows, summed in float64.

    Args:
        vectors: Matrix, `[n, d]`.

    Returns:
        Norms, `[n]` float64.
    """
    squares = vectors.new_zeros(len(vectors), dtype=torch.float64)
    for block in vectors.split(_COORDINATES, 1):
        squares += block.double().square().sum(1)
    return squares.sqrt()


def _products(left: Tensor, right: Tensor) -> Tensor:
    """Return inner products in float64, because those of orthogonal vectors are below float32's rounding errors."""
    result = torch.zeros(len(left), len(right), dtype=torch.float64)
    for rows, columns in zip(left.split(_COORDINATES, 1), right.split(_COORDINATES, 1), strict=True):
        result.addmm_(rows.double(), columns.double().T)
    return result


def _paired_products(left: Tensor, right: Tensor) -> Tensor:
    """Return inner products of rows with the same index, in float64."""
    pairs = zip(left.split(_PAIRS), right.split(_PAIRS), strict=True)
    return torch.cat([torch.linalg.vecdot(rows.double(), columns.double()) for rows, columns in pairs])
