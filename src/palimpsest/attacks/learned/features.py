"""From gradient differences to an inverter's inputs: what is read out of a vector, each feature at one scale."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from palimpsest.attacks.auditor_view import AuditorView
from palimpsest.attacks.learned.augmentation import Queries
from palimpsest.attacks.learned.extractors import Readout, Sketched
from palimpsest.attacks.learned.inverter import Maps
from palimpsest.gradients import collect, gather
from palimpsest.oracles import read_answers
from palimpsest.progress import progress_line
from palimpsest.reduction import CountSketch
from palimpsest.reduction.count_sketch import distortion
from palimpsest.storage import Record
from palimpsest.system.memory import give_back_freed_memory

_TOGETHER = 512
# Answers by which a sketch is measured.
_MEASURED = 16


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
class Features(Record):
    """The auditor's features: one transform for its own queries and for the proofs.

    Args:
        readouts: What is read out of a vector, in order.
        maps: How the first features lie over the image; none if none do.
        mean: Mean of the queries' features, `[k]`; one for each channel of the maps.
        scale: Their standard deviation, `[k]`.
        facts: Named facts for the report.
    """

    readouts: tuple[Readout, ...]
    maps: Maps | None
    mean: Tensor
    scale: Tensor
    facts: dict[str, float]

    @property
    def count(self) -> int:
        """The number k of features."""
        return len(self.mean)

    def transform(self, vectors: Tensor) -> Tensor:
        """Features `[n, k]` float16 of gradient differences `[n, d]`."""
        return self.standardise(_read(self.readouts, vectors))

    @property
    def sketch(self) -> CountSketch | None:
        """What all readouts see of a vector, if that is a sketch of it."""
        first = self.readouts[0]
        return first.sketch if isinstance(first, Sketched) else None

    def transform_sketched(self, short: Tensor) -> Tensor:
        """Features of vectors that are sketched already, `[n, size]`."""
        return self.standardise(
            _read([one.readout for one in self.readouts if isinstance(one, Sketched)], short)
        )

    def restore(self, features: Tensor, count: int) -> Tensor:
        """What was read out, `[n, count]`, of the first features `[n, k]`, as exactly as float16 holds it."""
        return features[:, :count].float() * self.scale[:count] + self.mean[:count]

    def standardise(self, raw: Tensor) -> Tensor:
        """What was read out, `[n, k]`, each feature at one scale, float16."""
        # A proof of another making may lie far outside of what float16 holds.
        return ((raw - self.mean) / self.scale).clamp(-1e4, 1e4).half()


def fit_features(
    view: AuditorView,
    queries: Queries,
    learn: Callable[[Tensor, Tensor], Readouts],
    *,
    sketch: CountSketch | None = None,
) -> tuple[Features, Tensor]:
    """Query the oracle, learn from the auxiliary images' answers what to read out, and read it out of all answers.

    Args:
        view: What the auditor holds.
        queries: What it asks: its auxiliary images, then variations of them.
        learn: From the auxiliary images' gradient differences `[m, d]` and labels `[m]` to what is read out
            (IGF, section 3.2, i and ii).
        sketch: Makes the vectors short before they are kept and learned from; none to take them as they are.

    Returns:
        The features, and those of the queries, `[m, k]` float16.
    """
    count, dimension = len(view.auxiliary), view.oracle.dimension
    told: dict[str, float] = {}
    vectors = collect(
        _sketches(view, queries, count, sketch, told) if sketch else _ask(view, queries, range(count)),
        count,
        sketch.size if sketch else dimension,
        # The other half is for what is learned from them.
        memory_budget=view.memory_budget // 2,
        folder=view.scratch,
    )
    # What the gradients' computation left shall not stand beside what is learned from them.
    give_back_freed_memory()
    learned = learn(vectors, queries.labels[:count])
    readouts = (*learned.maps, *learned.others)
    raw = torch.cat([_read(readouts, rows) for rows in vectors.split(1024)])
    laid = sum(readout.transform(vectors[:2]).shape[1] for readout in learned.maps)
    del vectors
    cells = learned.grid[0] * learned.grid[1]
    mean, scale = _scales(raw, laid, cells)
    facts = {
        "auxiliary_images": count,
        "queries": len(queries),
        "dimension": dimension,
        "features": raw.shape[1],
        **learned.facts,
        **told,
    }
    if sketch:
        readouts = tuple(Sketched(sketch, readout) for readout in readouts)
    features = Features(readouts, (laid // cells, *learned.grid) if laid else None, mean, scale, facts)
    return features, _read_queries(view, queries, features, features.standardise(raw))


def _sketches(
    view: AuditorView, queries: Queries, count: int, sketch: CountSketch, told: dict[str, float]
) -> Iterator[Tensor]:
    """The answers' sketches; what the sketch does to the first answers' inner products is measured."""
    first = min(_MEASURED, count)
    whole = torch.cat(list(_ask(view, queries, range(first))))
    short = sketch.transform(whole)
    told["sketch"] = sketch.size
    if first > 1:
        told["sketch_distortion"] = distortion(whole, short)
    del whole
    yield short
    yield from _read_answers(view, queries, range(first, count), sketch, "query the oracle")


def ask_again(view: AuditorView, queries: Queries, features: Features) -> Tensor:
    """The features `[m, k]` of other answers to the same queries, where the oracle's answers vary."""
    return _read_queries(view, queries, features, torch.empty(0, features.count, dtype=torch.float16))


def _read_queries(view: AuditorView, queries: Queries, features: Features, known: Tensor) -> Tensor:
    """The features of all queries, of which the first are known; the vectors are gone as soon as they are read."""

    def chunks() -> Iterator[Tensor]:
        yield known
        rows = range(len(known), len(queries))
        sketch = features.sketch
        if sketch is None:
            yield from _read_answers(view, queries, rows, features.transform, "query variations")
        else:
            short = _read_answers(view, queries, rows, sketch, "query variations")
            yield from map(features.transform_sketched, gather(short, rows=_TOGETHER))

    return collect(
        chunks(),
        len(queries),
        features.count,
        memory_budget=view.memory_budget,
        folder=view.scratch,
        dtype=torch.float16,
    )


def _rows_at_once(view: AuditorView) -> int:
    """Vectors that are read together: a quarter of the budget, for their directions are copies."""
    return max(1, min(_TOGETHER, view.memory_budget // (16 * view.oracle.dimension)))


def _ask(view: AuditorView, queries: Queries, rows: range) -> Iterator[Tensor]:
    """The answers themselves."""
    with progress_line("query the oracle", len(rows)) as line:
        for images, labels in queries.chunks(rows.start, rows.stop):
            for chunk in view.oracle.differences(images, labels):
                yield chunk.cpu()
                line.advance(len(chunk))


def _read_answers(
    view: AuditorView, queries: Queries, rows: range, reading: Callable[[Tensor], Tensor], description: str
) -> Iterator[Tensor]:
    """What is read out of the answers; the vectors are gone as soon as they are read."""
    if not rows:
        return
    with progress_line(description, len(rows)) as line:
        for images, labels in queries.chunks(rows.start, rows.stop):
            for read in read_answers(view.oracle, images, labels, reading, together=_rows_at_once(view)):
                yield read
                line.advance(len(read))


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
