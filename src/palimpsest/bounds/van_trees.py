"""Lower bound of the squared error of any attack on a Gaussian release: the van Trees inequality.

For a release `g(x) + N(0, sigma^2 I)` of a sample x from a prior, with J the derivative of g, every attack has

    E |x^ - x|^2 >= trace (F + P)^-1,    F = E[J'J] / sigma^2,    P = information of the prior,

the expectations being over the prior. A Gaussian prior with covariance L has P = L^-1, which is the smallest
information of all priors with that covariance: images that are not Gaussian allow an attack with a smaller error. The
inequality needs a g without jumps. A linear g with a Gaussian prior attains it: the posterior mean has exactly this
error.

Source: van Trees 1968; Hannun, Guo and van der Maaten 2021 (Fisher information of a release); Guo, Karrer, Chaudhuri
and van der Maaten 2022 (the bound for private learning); Golub and Meurant 2010, chapter 6 (Lanczos and quadrature).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from palimpsest.bounds.prior import GaussianPrior
from palimpsest.errors import ConfigurationError

Products = Callable[[Tensor], Tensor]
"""Multiplies `[n, s, p]`, s vectors for each of n samples, by J'J of each sample."""


@dataclass(frozen=True)
class VanTrees:
    """Lower bounds of the squared error per coordinate.

    Args:
        value: The van Trees bound, with the Fisher information averaged over the samples.
        deviation: Its standard error over the random probes.
        local: For each sample, the same expression with its own Fisher information, `[n]` float64. It is the error that
            remains near this sample, and not a bound by itself; the mean is at least `value` up to the probes (Jensen).
    """

    value: float
    deviation: float
    local: Tensor


def van_trees(
    products: Products,
    prior: GaussianPrior,
    sigma: float,
    *,
    count: int,
    probes: int = 4,
    steps: int = 6,
    generator: Generator,
) -> VanTrees:
    """Estimate the van Trees bound by Lanczos quadrature with random probes.

    In coordinates in which the prior has unit variance, the trace is the mean of `v' (I + A)^-1 v` over random signs of
    the eigenvectors, with A the scaled Fisher information. The Gauss rule of a few Lanczos steps is a lower end of this
    value, whatever the number of steps, so that few steps make the bound smaller but not wrong.

    Args:
        products: Function that multiplies vectors by J'J of each sample; see `Sensitivity.normal_products`.
        prior: Prior of the samples.
        sigma: Standard deviation of the noise, positive.
        count: Number of samples n.
        probes: Number of random probes.
        steps: Number of Lanczos steps, each one product for a sample and a probe. There are two such runs.
        generator: Source of the probes.

    Returns:
        The bounds, per coordinate of a sample.

    Raises:
        ConfigurationError: The noise, or a number, is not positive.
    """
    if not sigma > 0 or min(count, probes, steps) < 1:
        raise ConfigurationError(
            f"sigma is {sigma}, with {count} samples, {probes} probes and {steps} steps. All must be positive."
        )
    rank, coordinates = prior.scaled.shape
    signs = torch.randint(2, (probes, rank), generator=generator).double() * 2 - 1
    starts = signs * prior.variances.sqrt()

    def separate(vectors: Tensor) -> Tensor:
        found = products((vectors @ prior.scaled).float()).double()
        return found @ prior.scaled.T / sigma**2

    def together(vectors: Tensor) -> Tensor:
        return separate(vectors.expand(count, -1, -1)).mean(0, keepdim=True)

    shared = gauss_rule(together, starts[None], steps)[0] / coordinates
    local = gauss_rule(separate, starts.expand(count, -1, -1), steps).mean(1) / coordinates
    deviation = float(shared.std()) / probes**0.5 if probes > 1 else 0.0
    return VanTrees(float(shared.mean()), deviation, local)


def gauss_rule(multiply: Products, starts: Tensor, steps: int) -> Tensor:
    """Return lower ends of `v' (I + A)^-1 v` for a positive semidefinite A, by Lanczos with full reorthogonalization.

    Args:
        multiply: Multiplies vectors `[n, s, r]` by A, which may differ between the n.
        starts: The vectors v, `[n, s, r]` float64.
        steps: Largest number of Lanczos steps, each one product.

    Returns:
        The values, `[n, s]`; exact with as many steps as there are different eigenvalues.
    """
    lengths = starts.norm(dim=-1, keepdim=True)
    current = starts / lengths.clamp_min(torch.finfo(starts.dtype).tiny)
    basis, diagonal, beside = [current], list[Tensor](), list[Tensor]()
    for _ in range(min(steps, starts.shape[-1])):
        image = multiply(current)
        diagonal.append((image * current).sum(-1).clamp_min(0))
        stacked = torch.stack(basis, dim=-2)
        # Twice is enough to be orthogonal to working precision.
        for _ in range(2):
            along = torch.einsum("nskr,nsr->nsk", stacked, image)
            image = image - torch.einsum("nskr,nsk->nsr", stacked, along)
        rest = image.norm(dim=-1)
        # An invariant subspace is exhausted: what is left are rounding errors.
        rest = torch.where(rest > 1e-10 * diagonal[0].clamp_min(1e-300), rest, torch.zeros_like(rest))
        beside.append(rest)
        current = image / rest.clamp_min(torch.finfo(starts.dtype).tiny)[..., None]
        current = torch.where(rest[..., None] > 0, current, torch.zeros_like(current))
        basis.append(current)
    size = len(diagonal)
    matrix = torch.diag_embed(torch.stack(diagonal, -1) + 1)
    if size > 1:
        off = torch.stack(beside[: size - 1], -1)
        matrix = matrix + torch.diag_embed(off, 1) + torch.diag_embed(off, -1)
    first = torch.zeros(*matrix.shape[:-1], 1, dtype=matrix.dtype)
    first[..., 0, 0] = 1
    weight = torch.linalg.solve(matrix, first)[..., 0, 0]
    return lengths.squeeze(-1).square() * weight
