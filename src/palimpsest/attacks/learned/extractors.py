"""Feature extractors: maps from gradient differences to the features that a learned attack inverts."""

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from palimpsest.attacks.learned.last_linear import LastLinear, factorize_rank_two
from palimpsest.gradients import DEFAULT_BUDGET, collect
from palimpsest.reduction import FeatureHash, Projection, VectorSketch, fit_projection
from palimpsest.storage import Record

ReductionName = Literal["svd", "hash", "none"]
"""Centered SVD (IGF, Eqs. 4 and 5), feature hashing (Table 5), or the vector itself."""
_CHUNK = 1024


@dataclass(frozen=True)
class FeatureExtractor(Record):
    """Base class of the maps from gradient differences to features."""

    @abstractmethod
    def transform(self, vectors: Tensor) -> Tensor:
        """Map gradient differences `[n, d]` to features `[n, k]`."""

    @property
    def facts(self) -> dict[str, float]:
        """Named numbers for the report."""
        return {}


@dataclass(frozen=True)
class Reduced(FeatureExtractor):
    """The whole gradient difference; subclasses reduce its number of coordinates (IGF, Table 5).

    Args:
        normalize: Whether to scale the vector to length one first and append the logarithm of its length to the
            features.
        signs: Whether to replace coordinates by their signs first, so that a few large coordinates can't dominate.
    """

    normalize: bool
    signs: bool

    def transform(self, vectors: Tensor) -> Tensor:
        """Reduce vectors `[n, d]` to `[n, k]`, or to `[n, k + 1]` if the length is appended."""
        lengths = vectors.norm(dim=1, keepdim=True)
        if self.signs:
            vectors = vectors.sign()
        if not self.normalize:
            return self.reduce(vectors)
        reduced = self.reduce(F.normalize(vectors, eps=torch.finfo(torch.float32).tiny))
        return torch.cat([reduced, lengths.clamp_min(torch.finfo(torch.float32).eps).log()], 1)

    def reduce(self, vectors: Tensor) -> Tensor:
        """Reduce vectors `[n, d]` to `[n, k]`. The base class returns them unchanged."""
        return vectors


@dataclass(frozen=True)
class Projected(Reduced):
    """Projection onto the principal directions of the auditor's gradient differences (IGF, Eqs. 4 and 5).

    Args:
        projection: The principal directions.
    """

    projection: Projection

    def reduce(self, vectors: Tensor) -> Tensor:
        """Project vectors `[n, d]` to `[n, k]`."""
        return self.projection.transform(vectors)

    @property
    def facts(self) -> dict[str, float]:
        """Number of directions, and the share of the variance that they explain."""
        return {
            "explained_variance": float(self.projection.explained[-1]),
            "components": self.projection.components,
        }


@dataclass(frozen=True)
class Hashed(Reduced):
    """Feature hashing: sums of coordinates in random bins (IGF, section C.4).

    Args:
        bins: Assignment of coordinates to bins.
    """

    bins: FeatureHash

    def reduce(self, vectors: Tensor) -> Tensor:
        """Hash vectors `[n, d]` to `[n, bins]`."""
        return self.bins.transform(vectors)

    @property
    def facts(self) -> dict[str, float]:
        """Number of bins."""
        return {"components": self.bins.components}


@dataclass(frozen=True)
class Sketched(FeatureExtractor):
    """Features extracted from a vector's sketch.

    Args:
        sketch: Sketch that shortens the vector.
        extractor: Extractor that is applied to the sketch.
    """

    sketch: VectorSketch
    extractor: FeatureExtractor

    def transform(self, vectors: Tensor) -> Tensor:
        """Sketch vectors `[n, d]`, then extract features `[n, k]`."""
        return self.extractor.transform(self.sketch.transform(vectors))


@dataclass(frozen=True)
class LastLinearInputs(FeatureExtractor):
    """Square roots of the last layer's inputs at both models.

    Most inputs are zero and a few are large; the square root compresses the large ones.

    Args:
        last_linear: Position of the layer in the vector.
    """

    last_linear: LastLinear

    def transform(self, vectors: Tensor) -> Tensor:
        """Map vectors `[n, d]` to `[n, 2 x width]`."""
        return factorize_rank_two(self.last_linear, vectors).features.flatten(1).sqrt()

    @staticmethod
    def inputs(roots: Tensor) -> Tensor:
        """Compute the inputs from their square roots."""
        return roots.clamp_min(0).square()


@dataclass(frozen=True)
class LastLinearResiduals(FeatureExtractor):
    """Residuals of both models (probabilities minus the one-hot label), and the label.

    Args:
        last_linear: Position of the layer in the vector.
        label: Whether to append the one-hot label.
    """

    last_linear: LastLinear
    label: bool = True

    def transform(self, vectors: Tensor) -> Tensor:
        """Map vectors `[n, d]` to `[n, 2 x classes]`, or `[n, 3 x classes]` with the label."""
        factors = factorize_rank_two(self.last_linear, vectors)
        parts = [factors.residuals.flatten(1)]
        if self.label:
            parts.append(F.one_hot(factors.labels, self.last_linear.classes).float())
        return torch.cat(parts, 1)


def fit_reduction(
    vectors: Tensor,
    *,
    reduction: ReductionName,
    normalize: bool,
    signs: bool = False,
    explained_variance: float = 0.95,
    components: int | None = None,
    hash_rate: float = 0.5,
    memory_budget: int = DEFAULT_BUDGET,
    folder: Path | None = None,
    generator: Generator,
) -> Reduced:
    """Fit a reduction to the auditor's gradient differences.

    Args:
        vectors: Gradient differences of the auxiliary images, `[m, d]`.
        reduction: Name of the reduction.
        normalize: See `Reduced`.
        signs: See `Reduced`.
        explained_variance: SVD: share of the variance that is kept, in (0, 1].
        components: SVD: maximum number of directions. If omitted, the number is unlimited.
        hash_rate: Hashing: bins per parameter, in (0, 1].
        memory_budget: SVD: memory limit in bytes, in addition to the vectors.
        folder: Folder for signs that exceed the budget. If omitted, the system's temporary folder.
        generator: Draws the bins of the hash, or the starting point of the SVD.

    Returns:
        The fitted reduction.
    """
    if reduction == "hash":
        return Hashed(normalize, signs, FeatureHash.draw(vectors.shape[1], hash_rate, generator=generator))
    if reduction == "none":
        return Reduced(normalize, signs)
    if signs:
        memory_budget //= 2
        chunks = (chunk.sign() for chunk in vectors.split(_CHUNK))
        vectors = collect(chunks, *vectors.shape, memory_budget=memory_budget, folder=folder)
    return Projected(
        normalize,
        signs,
        fit_projection(
            vectors,
            explained_variance=explained_variance,
            components=components,
            directions=normalize,
            memory_budget=memory_budget,
            generator=generator,
        ),
    )
