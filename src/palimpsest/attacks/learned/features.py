"""Standardized features of queries and proofs, which are the inputs of the inversion networks."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from palimpsest.attacks.auditor_view import AuditorView
from palimpsest.attacks.learned.augmentation import Queries
from palimpsest.attacks.learned.extractors import FeatureExtractor, Sketched
from palimpsest.attacks.learned.inverter import MapShape
from palimpsest.gradients import collect, gather
from palimpsest.oracles import read_answers
from palimpsest.progress import progress_line
from palimpsest.reduction import VectorSketch
from palimpsest.reduction.count_sketch import distortion
from palimpsest.storage import Record
from palimpsest.system.memory import give_back_freed_memory

_BATCH, _CHUNK = 512, 1024
# Number of answers on which the distortion of a sketch is measured.
_MEASURED = 16
# Bound of a standardized feature, within the range of float16.
_LARGEST = 1e4
# Bound of the root mean square of a row, which is about 1. A rare answer has no clear factorization, and features of
# thousands of deviations. One such row among thousands inflates the statistics of an inverter's batch norm, which then
# spoil all images.
_LARGEST_ROW = 5.0


@dataclass(frozen=True)
class FeatureExtractors:
    """Feature extractors of an attack.

    Args:
        spatial: Extractors whose features form maps over the image, `[n, channels x height x width]` each.
        others: Extractors of all other features.
        map_size: Height and width of the spatial features' maps.
        facts: Named numbers for the report.
    """

    spatial: Sequence[FeatureExtractor] = ()
    others: Sequence[FeatureExtractor] = ()
    map_size: tuple[int, int] = (1, 1)
    facts: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Features(Record):
    """Transform from gradient differences to standardized features, used for queries and proofs alike.

    Args:
        extractors: Feature extractors, in the order of their features.
        maps: Channels, height, and width of the leading features, which form maps over the image. None means that no
            features form maps.
        mean: Mean of the auxiliary images' features, `[k]`; all entries of a map's channel share one.
        scale: Standard deviation of the auxiliary images' features, `[k]`; all entries of a map's channel share one.
        facts: Named numbers for the report.
    """

    extractors: tuple[FeatureExtractor, ...]
    maps: MapShape | None
    mean: Tensor
    scale: Tensor
    facts: dict[str, float]

    @property
    def count(self) -> int:
        """Number k of features."""
        return len(self.mean)

    def transform(self, vectors: Tensor) -> Tensor:
        """Compute standardized features `[n, k]`, float16, of gradient differences `[n, d]`."""
        return self.standardize(_extract(self.extractors, vectors))

    @property
    def sketch(self) -> VectorSketch | None:
        """Sketch to which all extractors are applied, or None if they are applied to the whole vector."""
        first = self.extractors[0]
        return first.sketch if isinstance(first, Sketched) else None

    def transform_sketched(self, sketches: Tensor) -> Tensor:
        """Compute standardized features `[n, k]`, float16, of sketches `[n, components]`."""
        extractors = [sketched.extractor for sketched in self.extractors if isinstance(sketched, Sketched)]
        return self.standardize(_extract(extractors, sketches))

    def restore(self, features: Tensor, count: int) -> Tensor:
        """Invert `standardize` for the leading features, up to float16 rounding.

        Args:
            features: Standardized features, `[n, k]`.
            count: Number of leading features to restore.

        Returns:
            The extracted features, `[n, count]`.
        """
        return features[:, :count].float() * self.scale[:count] + self.mean[:count]

    def standardize(self, raw: Tensor) -> Tensor:
        """Scale extracted features `[n, k]` to mean 0 and deviation 1 on the auxiliary images, as float16.

        Rows that are far longer than those of the auxiliary images are shortened.
        """
        scaled = ((raw - self.mean) / self.scale).clamp(-_LARGEST, _LARGEST)
        length = scaled.square().mean(1, keepdim=True).sqrt()
        return scaled.mul_((_LARGEST_ROW / length).clamp(max=1)).half()


def fit_features(
    view: AuditorView,
    queries: Queries,
    fit: Callable[[Tensor, Tensor], FeatureExtractors],
    *,
    sketch: VectorSketch | None = None,
) -> tuple[Features, Tensor]:
    """Query the oracle, fit extractors to the answers for the auxiliary images, and extract all answers' features.

    Args:
        view: The auditor's view.
        queries: The auxiliary images, followed by variations of them.
        fit: Function that fits the extractors to the auxiliary images' gradient differences `[m, d]` and labels `[m]`
            (IGF, section 3.2, i and ii).
        sketch: Sketch that shortens the vectors before they are stored and the extractors are fitted. If omitted, whole
            vectors are stored.

    Returns:
        The transform, and the standardized features of all queries, `[queries, k]` float16.
    """
    count, dimension = len(view.auxiliary), view.oracle.dimension
    sketch_facts: dict[str, float] = {}
    vectors = collect(
        _sketches(view, queries, count, sketch, sketch_facts)
        if sketch
        else _query(view, queries, range(count)),
        count,
        sketch.components if sketch else dimension,
        # The other half of the budget is for fitting the extractors.
        memory_budget=view.memory_budget // 2,
        folder=view.scratch,
    )
    # Fitting needs the memory that the computation of the gradients has freed.
    give_back_freed_memory()
    fitted = fit(vectors, queries.labels[:count])
    extractors = (*fitted.spatial, *fitted.others)
    raw = torch.cat([_extract(extractors, chunk) for chunk in vectors.split(_CHUNK)])
    spatial = sum(extractor.transform(vectors[:2]).shape[1] for extractor in fitted.spatial)
    del vectors
    cells = fitted.map_size[0] * fitted.map_size[1]
    mean, scale = _scales(raw, spatial, cells)
    facts = {
        "auxiliary_images": count,
        "queries": len(queries),
        "dimension": dimension,
        "features": raw.shape[1],
        **fitted.facts,
        **sketch_facts,
    }
    if sketch:
        extractors = tuple(Sketched(sketch, extractor) for extractor in extractors)
    maps = (spatial // cells, *fitted.map_size) if spatial else None
    features = Features(extractors, maps, mean, scale, facts)
    return features, _query_features(view, queries, features, features.standardize(raw))


def query_again(view: AuditorView, queries: Queries, features: Features) -> Tensor:
    """Repeat all queries to a stochastic oracle.

    Args:
        view: The auditor's view.
        queries: The queries that were passed to `fit_features`.
        features: The transform that `fit_features` returned.

    Returns:
        The standardized features of the new answers, `[queries, k]` float16.
    """
    return _query_features(view, queries, features, torch.empty(0, features.count, dtype=torch.float16))


def _sketches(
    view: AuditorView, queries: Queries, count: int, sketch: VectorSketch, facts: dict[str, float]
) -> Iterator[Tensor]:
    """Yield the answers' sketches; record the sketch's size and its distortion of inner products in the facts."""
    first = min(_MEASURED, count)
    whole = torch.cat(list(_query(view, queries, range(first))))
    sketched = sketch.transform(whole)
    facts["sketch"] = sketch.components
    if first > 1:
        facts["sketch_distortion"] = distortion(whole, sketched)
    del whole
    yield sketched
    yield from _query_through(view, queries, range(first, count), sketch, "query the oracle")


def _query_features(view: AuditorView, queries: Queries, features: Features, known: Tensor) -> Tensor:
    """Collect the features of all queries, of which the leading ones are known, without storing the vectors."""

    def chunks() -> Iterator[Tensor]:
        yield known
        rows = range(len(known), len(queries))
        sketch = features.sketch
        if sketch is None:
            yield from _query_through(view, queries, rows, features.transform, "query variations")
        else:
            sketches = _query_through(view, queries, rows, sketch, "query variations")
            yield from map(features.transform_sketched, gather(sketches, rows=_BATCH))

    return collect(
        chunks(),
        len(queries),
        features.count,
        memory_budget=view.memory_budget,
        folder=view.scratch,
        dtype=torch.float16,
    )


def _batch_rows(view: AuditorView) -> int:
    """Return the number of vectors in a batch: a quarter of the budget, because normalization copies them."""
    return max(1, min(_BATCH, view.memory_budget // (16 * view.oracle.dimension)))


def _query(view: AuditorView, queries: Queries, rows: range) -> Iterator[Tensor]:
    """Yield the oracle's whole answers to a range of queries, in chunks `[n, d]`."""
    with progress_line("query the oracle", len(rows)) as line:
        for images, labels in queries.chunks(rows.start, rows.stop):
            for chunk in view.oracle.differences(images, labels):
                yield chunk.cpu()
                line.advance(len(chunk))


def _query_through(
    view: AuditorView, queries: Queries, rows: range, transform: Callable[[Tensor], Tensor], description: str
) -> Iterator[Tensor]:
    """Yield the transformed answers to a range of queries; each vector is freed after its transform."""
    if not rows:
        return
    with progress_line(description, len(rows)) as line:
        for images, labels in queries.chunks(rows.start, rows.stop):
            for chunk in read_answers(view.oracle, images, labels, transform, min_rows=_batch_rows(view)):
                yield chunk
                line.advance(len(chunk))


def _extract(extractors: Sequence[FeatureExtractor], vectors: Tensor) -> Tensor:
    """Concatenate the features of all extractors, `[n, k]`."""
    return torch.cat([extractor.transform(vectors) for extractor in extractors], 1)


def _scales(raw: Tensor, spatial: int, cells: int) -> tuple[Tensor, Tensor]:
    """Compute the mean and the scale of each feature, `[k]` each; all cells of a map's channel share them."""
    mean, variance = raw.mean(0), raw.var(0)
    channel_mean = mean[:spatial].view(-1, cells).mean(1, keepdim=True)
    squares = variance[:spatial].view(-1, cells) + (mean[:spatial].view(-1, cells) - channel_mean) ** 2
    channel_variance = squares.mean(1, keepdim=True)
    mean = torch.cat([channel_mean.expand(-1, cells).reshape(-1), mean[spatial:]])
    scale = torch.cat([channel_variance.expand(-1, cells).reshape(-1), variance[spatial:]]).sqrt()
    # A constant feature carries no information; a scale of one keeps it finite.
    return mean, torch.where(scale > 0, scale, torch.ones_like(scale))
