"""Reduction: ours beside the decompositions of torch and scikit-learn, at the same captured variance."""

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
# What is captured may differ by a thousandth; where a rival captures less it is given no line.
TOLERANCE = 1e-3


def lines(clock: Clock, *, quick: bool) -> list[Line]:
    """Spectra that fall slowly, few directions of many, and more samples than coordinates."""
    few, many, dimension = (60, 80, 400) if quick else (1500, 4000, 66_570)
    result = _slow(spectrum(many, dimension, power=0.5), clock, quick=quick)
    result += _few(spectrum(few, dimension, power=1.0), max(2, few // 40), clock)
    result += _tall(spectrum(dimension if quick else 4000, few, power=0.5), clock)
    return result + _rate(1024 if not quick else 128, clock)


def spectrum(count: int, dimension: int, *, power: float) -> Tensor:
    """Vectors `[count, dimension]` whose singular values fall like a power of their number."""
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(count, dimension, generator=generator)
    return vectors.mul_((torch.arange(dimension) + 1.0) ** -power)


def _slow(vectors: Tensor, clock: Clock, *, quick: bool) -> list[Line]:
    found: dict[str, Tensor] = {}
    rivals = {"ours": partial(_ours, vectors), "torch.linalg.svd": partial(_svd, vectors)}
    seconds = clock.once(_kept(rivals, found))
    count, dimension = vectors.shape
    k = found["ours"].shape[1]
    captured = _captured(vectors, {name: basis[:, :k] for name, basis in found.items()})
    if not captured["ours"] >= (1 - TOLERANCE) * captured["torch.linalg.svd"]:
        raise RuntimeError(f"Ours captures {captured['ours']:.6g}, and {captured} could be.")
    task = _task(vectors, f"95 % in {k:,} directions")
    # One half of the symmetric Gram matrix, and the basis; what its eigenvalues cost is in the seconds alone.
    products = count**2 * dimension + 2 * count * k * dimension
    return [
        *lines_of(task, seconds, at_least={"torch.linalg.svd": 4.0}),
        share(task, products, seconds["ours"], clock, quick=quick),
    ]


def _few(vectors: Tensor, k: int, clock: Clock) -> list[Line]:
    found: dict[str, Tensor] = {}
    rivals = {
        "ours": partial(_ours, vectors, k),
        "torch.svd_lowrank": partial(_lowrank, vectors, k),
        "PCA(randomized)": partial(_pca, vectors, k, "randomized"),
    }
    seconds = clock.race(_kept(rivals, found))
    seconds |= clock.once(_kept({"torch.linalg.svd": partial(_svd, vectors)}, found))
    captured = _captured(vectors, {name: basis[:, :k] for name, basis in found.items()})
    equal = {
        name: one
        for name, one in seconds.items()
        if name == "ours" or captured[name] >= (1 - TOLERANCE) * captured["ours"]
    }
    return lines_of(_task(vectors, f"{k} directions"), equal, at_least={"torch.linalg.svd": 10.0})


def _kept(rivals: Mapping[str, Callable[[], Tensor]], found: dict[str, Tensor]) -> dict[str, Work]:
    """The rivals, each of which leaves the basis that it finds in a dictionary."""

    def keep(name: str, find: Callable[[], Tensor]) -> None:
        found[name] = find()

    return {name: partial(keep, name, find) for name, find in rivals.items()}


def _captured(vectors: Tensor, bases: Mapping[str, Tensor]) -> dict[str, float]:
    """The variance in the directions of each basis `[d, k]`."""
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


def _rate(size: int, clock: Clock) -> list[Line]:
    rows = torch.randn(size, 8192, generator=torch.Generator().manual_seed(0))
    seconds = clock.race({"ours": partial(matmul_transposed, rows, rows), "torch.mm": lambda: rows @ rows.T})
    operations = 2 * size * size * 8192 / 1e9
    return lines_of(f"product, {size:,} x 8,192 by its transpose", seconds, count=operations, unit="GFLOP/s")


def _task(vectors: Tensor, what: str) -> str:
    return f"reduction, {len(vectors):,} x {vectors.shape[1]:,}, {what}"


def _ours(vectors: Tensor, components: int | None = None) -> Tensor:
    share = SHARE if components is None else 1.0
    generator = torch.Generator().manual_seed(0)
    return fit_projection(vectors, explained_variance=share, components=components, generator=generator).basis


def _svd(vectors: Tensor) -> Tensor:
    return torch.linalg.svd(vectors - vectors.mean(0), full_matrices=False).Vh.T


def _lowrank(vectors: Tensor, k: int) -> Tensor:
    # Two passes are its default.
    return torch.svd_lowrank(vectors - vectors.mean(0), q=k)[2]


def _pca(vectors: Tensor, components: float, solver: str) -> Tensor:
    pca = PCA(components, svd_solver=solver, random_state=0).fit(vectors.numpy())  # pyright: ignore[reportArgumentType]
    return torch.from_numpy(pca.components_.T)
