"""Benchmark of the reduction against decompositions of torch and scikit-learn that capture the same variance."""

from collections.abc import Callable, Mapping
from functools import partial

import torch
from sklearn.decomposition import PCA
from torch import Tensor

from benchmarks.rates import share
from benchmarks.timing import Clock, Line, Work, lines_of
from palimpsest.reduction import fit_projection
from palimpsest.reduction.matmul import matmul_transposed

SHARE = 0.95
# A baseline that captures over a thousandth less variance than ours is left out.
TOLERANCE = 1e-3


def lines(clock: Clock, *, quick: bool) -> list[Line]:
    """Measure slowly decaying spectra, few directions of many, and more samples than coordinates.

    Args:
        clock: Clock to measure with.
        quick: Use tiny sizes.
    """
    small, large, dimension = (60, 80, 400) if quick else (1500, 4000, 66_570)
    result = _slow_decay(spectrum(large, dimension, power=0.5), clock, quick=quick)
    result += _few_directions(spectrum(small, dimension, power=1.0), max(2, small // 40), clock)
    result += _tall(spectrum(dimension if quick else 4000, small, power=0.5), clock)
    return result + _product(1024 if not quick else 128, clock)


def spectrum(count: int, dimension: int, *, power: float) -> Tensor:
    """Draw vectors `[count, dimension]` whose singular values decay as a power of their index.

    Args:
        count: Number of vectors.
        dimension: Their length.
        power: Exponent of the decay, at least 0.
    """
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(count, dimension, generator=generator)
    return vectors.mul_((torch.arange(dimension) + 1.0) ** -power)


def _slow_decay(vectors: Tensor, clock: Clock, *, quick: bool) -> list[Line]:
    bases: dict[str, Tensor] = {}
    candidates = {"ours": partial(_ours, vectors), "torch.linalg.svd": partial(_svd, vectors)}
    seconds = clock.once(_storing(candidates, bases))
    count, dimension = vectors.shape
    k = bases["ours"].shape[1]
    captured = _captured_variance(vectors, {name: basis[:, :k] for name, basis in bases.items()})
    if not captured["ours"] >= (1 - TOLERANCE) * captured["torch.linalg.svd"]:
        raise RuntimeError(
            f"The reduction captures too little variance, compared with torch.linalg.svd: {captured}"
        )
    task = _task(vectors, f"95 % in {k:,} directions")
    # Operations of one half of the symmetric Gram matrix and of the basis. The eigendecomposition counts in the time
    # only.
    products = count**2 * dimension + 2 * count * k * dimension
    return [
        *lines_of(task, seconds, targets={"torch.linalg.svd": 4.0}),
        share(task, products, seconds["ours"], clock, quick=quick),
    ]


def _few_directions(vectors: Tensor, k: int, clock: Clock) -> list[Line]:
    bases: dict[str, Tensor] = {}
    candidates = {
        "ours": partial(_ours, vectors, k),
        "torch.svd_lowrank": partial(_lowrank, vectors, k),
        "PCA(randomized)": partial(_pca, vectors, k, "randomized"),
    }
    seconds = clock.race(_storing(candidates, bases))
    seconds |= clock.once(_storing({"torch.linalg.svd": partial(_svd, vectors)}, bases))
    captured = _captured_variance(vectors, {name: basis[:, :k] for name, basis in bases.items()})
    equal = {
        name: time
        for name, time in seconds.items()
        if name == "ours" or captured[name] >= (1 - TOLERANCE) * captured["ours"]
    }
    return lines_of(_task(vectors, f"{k} directions"), equal, targets={"torch.linalg.svd": 10.0})


def _storing(candidates: Mapping[str, Callable[[], Tensor]], bases: dict[str, Tensor]) -> dict[str, Work]:
    """Return the candidates as calls that store their basis in a dictionary."""

    def store(name: str, find: Callable[[], Tensor]) -> None:
        bases[name] = find()

    return {name: partial(store, name, find) for name, find in candidates.items()}


def _captured_variance(vectors: Tensor, bases: Mapping[str, Tensor]) -> dict[str, float]:
    """Compute the variance in the directions of each basis `[d, k]`."""
    centered = vectors - vectors.mean(0)
    return {name: float((centered @ basis).square().sum()) for name, basis in bases.items()}


def _tall(vectors: Tensor, clock: Clock) -> list[Line]:
    seconds = clock.race(
        {
            "ours": partial(_ours, vectors),
            "PCA(covariance_eigh)": partial(_pca, vectors, SHARE, "covariance_eigh"),
        }
    )
    return lines_of(_task(vectors, "95 %"), seconds)


def _product(size: int, clock: Clock) -> list[Line]:
    rows = torch.randn(size, 8192, generator=torch.Generator().manual_seed(0))
    seconds = clock.race({"ours": partial(matmul_transposed, rows, rows), "torch.mm": lambda: rows @ rows.T})
    operations = 2 * size * size * 8192 / 1e9
    return lines_of(f"product, {size:,} x 8,192 by its transpose", seconds, count=operations, unit="GFLOP/s")


def _task(vectors: Tensor, target: str) -> str:
    return f"reduction, {len(vectors):,} x {vectors.shape[1]:,}, {target}"


def _ours(vectors: Tensor, components: int | None = None) -> Tensor:
    share = SHARE if components is None else 1.0
    generator = torch.Generator().manual_seed(0)
    return fit_projection(vectors, explained_variance=share, components=components, generator=generator).basis


def _svd(vectors: Tensor) -> Tensor:
    return torch.linalg.svd(vectors - vectors.mean(0), full_matrices=False).Vh.T


def _lowrank(vectors: Tensor, k: int) -> Tensor:
    # The default of two power iterations is kept.
    return torch.svd_lowrank(vectors - vectors.mean(0), q=k)[2]


def _pca(vectors: Tensor, components: float, solver: str) -> Tensor:
    pca = PCA(components, svd_solver=solver, random_state=0).fit(vectors.numpy())  # pyright: ignore[reportArgumentType]
    return torch.from_numpy(pca.components_.T)
