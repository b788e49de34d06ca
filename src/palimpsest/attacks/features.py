"""From gradient differences to an inverter's inputs: what is read out of a vector, each feature at one scale."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from palimpsest.attacks.head import Head, factorise
from palimpsest.attacks.inverter import Maps
from palimpsest.attacks.queries import Queries
from palimpsest.attacks.view import AuditorView
from palimpsest.gradients import FeatureHash, collect, fit_projection
from palimpsest.progress import progress_line

ReductionName = Literal["svd", "hash", "none"]


class Readout(Protocol):
    """Something that is read out of gradient differences."""

    def transform(self, vectors: Tensor) -> Tensor:
        """`[n, d]` to `[n, k]`."""
        ...


@dataclass(frozen=True)
class Readouts:
    """All that is read out of a vector.

    Args:
        maps: Those that lie over the image, `[n, channels x height x width]` each.
        others: Those that don't.
        grid: Height and width of the maps.
        facts: Named facts for the report.
    """

    maps: Sequence[Readout] = ()
    others: Sequence[Readout] = ()
    grid: tuple[int, int] = (1, 1)
    facts: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Features:
    """The auditor's features: one transform for its own queries and for the proofs.

    Args:
        readouts: What is read out of a vector, in order.
        maps: How the first features lie over the image; none if none do.
        mean: Mean of the queries' features, `[k]`; one for each channel of the maps.
        scale: Their standard deviation, `[k]`.
        queries: The queries' features, `[m, k]` float16.
        facts: Named facts for the report.
    """

    readouts: tuple[Readout, ...]
    maps: Maps | None
    mean: Tensor
    scale: Tensor
    queries: Tensor
    facts: dict[str, float]

    def transform(self, vectors: Tensor) -> Tensor:
        """Features `[n, k]` float16 of gradient differences `[n, d]`."""
        return _standardised(_read(self.readouts, vectors), self.mean, self.scale)


def fit_features(
    view: AuditorView, queries: Queries, learn: Callable[[Tensor, Tensor], Readouts]
) -> Features:
    """Query the oracle, learn from the auxiliary images' answers what to read out, and read it out of all answers.

    Args:
        view: What the auditor holds.
        queries: What it asks: its auxiliary images, then variations of them.
        learn: From the auxiliary images' gradient differences `[m, d]` and labels `[m]` to what is read out
            (IGF, section 3.2, i and ii).
    """
    count, dimension = len(view.auxiliary), view.oracle.dimension
    vectors = collect(
        _ask(view, queries, range(count), "query the oracle"),
        count,
        dimension,
        memory_budget=view.memory_budget,
        folder=view.scratch,
    )
    learned = learn(vectors, queries.labels[:count])
    readouts = (*learned.maps, *learned.others)
    raw = torch.cat([_read(readouts, rows) for rows in vectors.split(1024)])
    laid = (
        torch.cat([readout.transform(vectors[:2]) for readout in learned.maps], 1).shape[1]
        if learned.maps
        else 0
    )
    del vectors
    cells = learned.grid[0] * learned.grid[1]
    maps = (laid // cells, *learned.grid) if laid else None
    mean, scale = _scales(raw, laid, cells)
    # What no variation was asked about is kept as it is; of the rest the vectors are gone as soon as they are read.
    chunks = _ask(view, queries, range(count, len(queries)), "query variations")
    features = collect(
        (
            _standardised(rows, mean, scale)
            for rows in _then(raw, (_read(readouts, chunk) for chunk in chunks))
        ),
        len(queries),
        raw.shape[1],
        memory_budget=view.memory_budget,
        folder=view.scratch,
        dtype=torch.float16,
    )
    facts = {
        "auxiliary_images": count,
        "queries": len(queries),
        "dimension": dimension,
        "features": raw.shape[1],
        **learned.facts,
    }
    return Features(readouts, maps, mean, scale, features, facts)


class Reduced:
    """The reduced vector, with the length apart if wanted (IGF, Eqs. 4 and 5; Table 5).

    Args:
        vectors: Gradient differences of the auxiliary images, `[m, d]`.
        reduction: SVD, hashing, or none.
        normalise: Reduce the direction, of length one, and give the logarithm of the length as a feature of its own.
        explained_variance: SVD: the share of the variance that is kept.
        components: SVD: the most directions that are kept, or none for no limit.
        hash_rate: Hashing: bins per parameter.
        generator: The hash's bins, or where the SVD's search starts.
    """

    def __init__(
        self,
        vectors: Tensor,
        *,
        reduction: ReductionName,
        normalise: bool,
        explained_variance: float = 0.95,
        components: int | None = None,
        hash_rate: float = 0.5,
        generator: Generator,
    ) -> None:
        self._normalise = normalise
        self._reduction: Readout | None = None
        self.facts: dict[str, float] = {}
        if reduction == "hash":
            self._reduction = FeatureHash.draw(vectors.shape[1], hash_rate, generator=generator)
            self.facts["components"] = self._reduction.components
        elif reduction == "svd":
            self._reduction = fit_projection(
                vectors,
                explained_variance=explained_variance,
                components=components,
                directions=normalise,
                generator=generator,
            )
            self.facts["explained_variance"] = float(self._reduction.explained[-1])
            self.facts["components"] = self._reduction.components

    def transform(self, vectors: Tensor) -> Tensor:
        """The reduced vectors `[n, k]`, or `[n, k + 1]` with the logarithm of the length."""
        lengths = vectors.norm(dim=1, keepdim=True)
        if self._normalise:
            vectors = vectors / lengths.clamp_min(torch.finfo(torch.float32).tiny)
        reduced = vectors if self._reduction is None else self._reduction.transform(vectors)
        if not self._normalise:
            return reduced
        return torch.cat([reduced, lengths.clamp_min(torch.finfo(torch.float32).eps).log()], 1)


@dataclass(frozen=True)
class HeadInputs:
    """The last layer's inputs at both models, their square roots: most are zero and a few are large."""

    head: Head

    def transform(self, vectors: Tensor) -> Tensor:
        """`[n, 2 width]`."""
        return factorise(self.head, vectors).features.flatten(1).sqrt()


@dataclass(frozen=True)
class HeadResiduals:
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


def _ask(view: AuditorView, queries: Queries, rows: range, description: str) -> Iterator[Tensor]:
    if not rows:
        return
    with progress_line(description, len(rows)) as line:
        for images, labels in queries.chunks(rows.start, rows.stop):
            for chunk in view.oracle.differences(images, labels):
                yield chunk.cpu()
                line.advance(len(chunk))


def _then(first: Tensor, rest: Iterator[Tensor]) -> Iterator[Tensor]:
    yield first
    yield from rest


def _read(readouts: Sequence[Readout], vectors: Tensor) -> Tensor:
    return torch.cat([readout.transform(vectors) for readout in readouts], 1)


def _scales(raw: Tensor, laid: int, cells: int) -> tuple[Tensor, Tensor]:
    """Mean and scale of each feature `[k]`; a channel of the maps has one for all of its cells."""
    mean, variance = raw.mean(0), raw.var(0)
    maps_mean = mean[:laid].view(-1, cells).mean(1, keepdim=True)
    maps_variance = (variance[:laid].view(-1, cells) + (mean[:laid].view(-1, cells) - maps_mean) ** 2).mean(
        1, keepdim=True
    )
    mean = torch.cat([maps_mean.expand(-1, cells).reshape(-1), mean[laid:]])
    scale = torch.cat([maps_variance.expand(-1, cells).reshape(-1), variance[laid:]]).sqrt()
    # A feature without any variance carries nothing; a scale of one keeps it finite.
    return mean, torch.where(scale > 0, scale, torch.ones_like(scale))


def _standardised(raw: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
    # A proof of another making may lie far outside of what float16 holds.
    return ((raw - mean) / scale).clamp(-1e4, 1e4).half()
