"""What an attack reads out of gradient differences."""

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from palimpsest.attacks.learned.last_linear import Head, factorise
from palimpsest.gradients import DEFAULT_BUDGET, collect
from palimpsest.reduction import CountSketch, FeatureHash, Projection, fit_projection
from palimpsest.storage import Record

ReductionName = Literal["svd", "hash", "none"]


@dataclass(frozen=True)
class Readout(Record):
    """Something that is read out of gradient differences."""

    @abstractmethod
    def transform(self, vectors: Tensor) -> Tensor:
        """`[n, d]` to `[n, k]`."""

    @property
    def facts(self) -> dict[str, float]:
        """Named facts for the report."""
        return {}


@dataclass(frozen=True)
class Reduced(Readout):
    """The whole vector, with its length apart if wanted; below it, the vector made small (IGF, Table 5).

    Args:
        normalise: Reduce the direction, of length one, and give the logarithm of the length as a feature of its own.
        signs: Reduce the coordinates' signs: a few large coordinates hide what the many small ones say.
    """

    normalise: bool
    signs: bool

    def transform(self, vectors: Tensor) -> Tensor:
        """The reduced vectors `[n, k]`, or `[n, k + 1]` with the logarithm of the length."""
        lengths = vectors.norm(dim=1, keepdim=True)
        if self.signs:
            vectors = vectors.sign()
        if not self.normalise:
            return self.reduce(vectors)
        reduced = self.reduce(F.normalize(vectors, eps=torch.finfo(torch.float32).tiny))
        return torch.cat([reduced, lengths.clamp_min(torch.finfo(torch.float32).eps).log()], 1)

    def reduce(self, vectors: Tensor) -> Tensor:
        """`[n, d]` to `[n, k]`."""
        return vectors


@dataclass(frozen=True)
class Projected(Reduced):
    """The vector in the few directions that carry the auditor's own (IGF, Eqs. 4 and 5)."""

    projection: Projection

    def reduce(self, vectors: Tensor) -> Tensor:
        """See `Reduced.reduce`."""
        return self.projection.transform(vectors)

    @property
    def facts(self) -> dict[str, float]:
        """How many directions, and the variance that they explain."""
        return {
            "explained_variance": float(self.projection.explained[-1]),
            "components": self.projection.components,
        }


@dataclass(frozen=True)
class Hashed(Reduced):
    """The vector's coordinates summed in random bins (IGF, section C.4)."""

    bins: FeatureHash

    def reduce(self, vectors: Tensor) -> Tensor:
        """See `Reduced.reduce`."""
        return self.bins.transform(vectors)

    @property
    def facts(self) -> dict[str, float]:
        """How many bins."""
        return {"components": self.bins.components}


@dataclass(frozen=True)
class Sketched(Readout):
    """What is read out of a vector's sketch.

    Args:
        sketch: Makes the vector short.
        readout: Reads the short one.
    """

    sketch: CountSketch
    readout: Readout

    def transform(self, vectors: Tensor) -> Tensor:
        """See `Readout.transform`."""
        return self.readout.transform(self.sketch.transform(vectors))


def fit_reduction(
    vectors: Tensor,
    *,
    reduction: ReductionName,
    normalise: bool,
    signs: bool = False,
    explained_variance: float = 0.95,
    components: int | None = None,
    hash_rate: float = 0.5,
    memory_budget: int = DEFAULT_BUDGET,
    folder: Path | None = None,
    generator: Generator,
) -> Reduced:
    """Learn from the auditor's own differences how a vector is made small.

    Args:
        vectors: Gradient differences of the auxiliary images, `[m, d]`.
        reduction: SVD, hashing, or none.
        normalise: See `Reduced`.
        signs: See `Reduced`.
        explained_variance: SVD: the share of the variance that is kept.
        components: SVD: the most directions that are kept, or none for no limit.
        hash_rate: Hashing: bins per parameter.
        memory_budget: SVD: bytes that the work may take beside the vectors.
        folder: Where signs are kept that are more than fits; none for the system's.
        generator: The hash's bins, or where the SVD's search starts.
    """
    if reduction == "hash":
        return Hashed(normalise, signs, FeatureHash.draw(vectors.shape[1], hash_rate, generator=generator))
    if reduction == "none":
        return Reduced(normalise, signs)
    if signs:
        memory_budget //= 2
        rows = (some.sign() for some in vectors.split(1024))
        vectors = collect(rows, *vectors.shape, memory_budget=memory_budget, folder=folder)
    return Projected(
        normalise,
        signs,
        fit_projection(
            vectors,
            explained_variance=explained_variance,
            components=components,
            directions=normalise,
            memory_budget=memory_budget,
            generator=generator,
        ),
    )


@dataclass(frozen=True)
class HeadInputs(Readout):
    """The last layer's inputs at both models, their square roots: most are zero and a few are large."""

    head: Head

    def transform(self, vectors: Tensor) -> Tensor:
        """`[n, 2 width]`."""
        return factorise(self.head, vectors).features.flatten(1).sqrt()

    @staticmethod
    def inputs(roots: Tensor) -> Tensor:
        """The inputs themselves."""
        return roots.clamp_min(0).square()


@dataclass(frozen=True)
class HeadResiduals(Readout):
    """The label, and both models' errors, as the last layer gives them away."""

    head: Head
    label: bool = True

    def transform(self, vectors: Tensor) -> Tensor:
        """`[n, 2 classes]`, and the label's unit vector."""
        factors = factorise(self.head, vectors)
        parts = [factors.residuals.flatten(1)]
        if self.label:
            parts.append(F.one_hot(factors.labels, self.head.classes).float())
        return torch.cat(parts, 1)
