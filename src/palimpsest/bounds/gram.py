"""Inner products of centered vectors, on which Gaussian releases of given candidates depend alone."""

import torch
from torch import Generator, Tensor

_COLUMNS = 2048


def centered_gram(vectors: Tensor) -> Tensor:
    """Return the inner products of the rows after their mean is subtracted.

    Args:
        vectors: `[n, d]`, of any floating type.

    Returns:
        `[n, n]` float64, summed in float64 block by block.
    """
    gram = torch.zeros(len(vectors), len(vectors), dtype=torch.float64)
    for block in vectors.split(_COLUMNS, 1):
        centered = block.double()
        centered -= centered.mean(0)
        gram.addmm_(centered, centered.T)
    return gram


def log_likelihoods(gram: Tensor, sigma: float, sources: Tensor, *, generator: Generator) -> Tensor:
    """Draw Gaussian releases of given candidates, and return how well each candidate explains each release.

    A release y of candidate j is `m_j + sigma z`. The log-likelihood of candidate k is `<m_k, y> - |m_k|^2 / 2`,
    divided by sigma^2, up to a constant. It depends on the noise only through `<m_k, z>`, whose covariance is the Gram
    matrix.

    Args:
        gram: Inner products of the candidates' centered means, `[n, n]` float64; see `centered_gram`.
        sigma: Standard deviation of the noise, positive.
        sources: Candidate of each release, `[t]` int64.
        generator: Source of the noise.

    Returns:
        Log-likelihoods up to a constant for each release, `[t, n]` float64.
    """
    values, directions = torch.linalg.eigh(gram)
    root = directions * values.clamp_min(0).sqrt()
    noise = torch.randn(len(sources), len(gram), dtype=torch.float64, generator=generator) @ root.T
    return (gram[sources] + sigma * noise - gram.diagonal() / 2) / sigma**2
