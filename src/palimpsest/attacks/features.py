"""From proofs to an inverter's inputs: reduction, then each feature at one scale."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Generator, Tensor

from palimpsest.attacks.view import AuditorView
from palimpsest.gradients import FeatureHash, collect, fit_projection
from palimpsest.progress import progress_line

ReductionName = Literal["svd", "hash", "none"]


class Reduction(Protocol):
    """Anything that makes vectors shorter."""

    def transform(self, vectors: Tensor) -> Tensor:
        """`[n, d]` to `[n, k]`."""
        ...


@dataclass(frozen=True)
class Features:
    """The auditor's features: one transform for its own queries and for the proofs.

    Args:
        reduction: What makes a vector shorter; none leaves it as it is.
        mean: Mean of the auxiliary features, `[k]`.
        scale: Their standard deviation, `[k]`.
        auxiliary: The auxiliary images' features, `[m, k]`.
        facts: Named facts for the report.
    """

    reduction: Reduction | None
    mean: Tensor
    scale: Tensor
    auxiliary: Tensor
    facts: dict[str, float]

    def transform(self, vectors: Tensor) -> Tensor:
        """Features `[n, k]` of gradient differences `[n, d]`."""
        return (_reduced(self.reduction, vectors) - self.mean) / self.scale


def fit_features(
    view: AuditorView,
    *,
    reduction: ReductionName,
    explained_variance: float,
    components: int | None,
    hash_rate: float,
    generator: Generator,
) -> Features:
    """Query the oracle for every auxiliary image, learn the reduction and the features' scales (IGF, 3.2, i and ii).

    Args:
        view: What the auditor holds.
        reduction: Which one, or none.
        explained_variance: SVD: the share of the variance that is kept.
        components: SVD: the most directions that are kept, or none for no limit.
        hash_rate: Hashing: bins per parameter.
        generator: The hash's bins.
    """
    count, dimension = len(view.auxiliary), view.oracle.dimension
    chunks = _query(view)
    facts: dict[str, float] = {"auxiliary_images": count, "dimension": dimension}
    learned: Reduction | None = None
    if reduction == "hash":
        learned = FeatureHash.draw(dimension, hash_rate, generator=generator)
        raw = torch.cat([learned.transform(chunk) for chunk in chunks])
    else:
        vectors = collect(chunks, count, dimension, memory_budget=view.memory_budget, folder=view.scratch)
        if reduction == "svd":
            learned = fit_projection(
                vectors, explained_variance=explained_variance, components=components, generator=generator
            )
            facts["explained_variance"] = float(learned.explained[-1])
        raw = _reduced(learned, vectors)
    facts["features"] = raw.shape[1]
    mean, scale = raw.mean(0), raw.std(0)
    # A direction without any variance carries nothing; a scale of one keeps it finite.
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    return Features(learned, mean, scale, (raw - mean) / scale, facts)


def _reduced(reduction: Reduction | None, vectors: Tensor) -> Tensor:
    return vectors if reduction is None else reduction.transform(vectors)


def _query(view: AuditorView) -> Iterator[Tensor]:
    images, labels = view.auxiliary.images, view.auxiliary.labels
    with progress_line("query the oracle", len(images)) as line:
        for chunk in view.oracle.differences(images, labels):
            yield chunk.cpu()
            line.advance(len(chunk))
