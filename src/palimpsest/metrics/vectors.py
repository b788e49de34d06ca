"""The score of an attack on samples that are no images: rows of a table, or sequences of tokens."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from palimpsest.datasets import RowSet, SampleSet
from palimpsest.errors import DatasetError, DivergenceError
from palimpsest.metrics.bootstrap import bootstrap_intervals
from palimpsest.metrics.comparison import Aggregates
from palimpsest.metrics.distances import distance_blocks
from palimpsest.storage import Parameters, Record

_TIE = 1e-7
_UNIT = "each column in units of its deviation over the auxiliary rows"
_NEAREST = "the right sample is the nearest of all forgotten ones"
_MEANINGS = {
    "mse": ("MSE", f"mean squared error, {_UNIT}: the mean row scores about 1", "low"),
    "mae": ("MAE", f"mean absolute error, {_UNIT}", "low"),
    "token_accuracy": ("Tokens in place", "share of places with the right token", "high"),
    "token_recall": (
        "Tokens found",
        "share of a sequence's tokens that stand anywhere in its reconstruction",
        "high",
    ),
    "identification_top1": ("Told apart, first guess", _NEAREST, "high"),
    "identification_top5": ("Told apart, five guesses", "the right sample is among the five nearest", "high"),
}


@dataclass(frozen=True)
class SampleScores(Record):
    """Scores of n reconstructions in the order of the originals.

    Rows have `mse` and `mae`, in which each column is in units of its standard deviation over the auxiliary rows, so
    that the mean row scores about 1. Sequences have `token_accuracy`, the share of places with the right token, and
    `token_recall`, the share of a sequence's different tokens that stand somewhere in its reconstruction.
    """

    per_sample: Parameters
    """By score, each `[n]` float64; `identification_top1` and `identification_top5` among them: whether the right
    original is the nearest of all, or among the five nearest."""
    intervals: dict[str, list[float]]
    """95 % bootstrap interval `[low, high]` of each mean, by score."""
    baselines: dict[str, Aggregates]
    """Of `typical` (the mean auxiliary row, or the commonest token of each place) for everything, and of
    `nearest_auxiliary` (an oracle: the auxiliary sample nearest to each original)."""

    def reconstruction(self) -> Aggregates:
        """The means, and the number of samples as `count`."""
        return _means(self.per_sample)

    def chance(self) -> dict[str, float]:
        """What guessing at random among the n originals scores: 1/n and 5/n."""
        count = len(self.per_sample["identification_top1"])
        return {f"identification_top{guesses}": min(1.0, guesses / count) for guesses in (1, 5)}

    def meanings(self) -> dict[str, dict[str, str]]:
        """How the scores are called and read: `label`, `meaning` and `better`, by name."""
        return {
            name: dict(zip(("label", "meaning", "better"), told, strict=True))
            for name, told in _MEANINGS.items()
            if name in self.per_sample
        }


def evaluate_samples(
    reconstructions: Tensor,
    originals: SampleSet,
    auxiliary: SampleSet,
    *,
    bootstrap: int = 1000,
    generator: Generator,
) -> SampleScores:
    """Compare reconstructions with the forgotten samples, and with what trivial answers would have scored.

    Args:
        reconstructions: Rows `[n, features]` or tokens `[n, length]`, in the originals' order.
        originals: The forgotten samples.
        auxiliary: The attacker's own, of the same kind and shape.
        bootstrap: Resamples behind each interval.
        generator: Where the resamples come from.

    Raises:
        DatasetError: There is nothing to compare, or kinds or shapes differ.
        DivergenceError: A reconstruction holds a value that is not finite.
    """
    if type(originals) is not type(auxiliary) or originals.shape != auxiliary.shape or not len(originals):
        raise DatasetError(
            f"The forgotten samples are {len(originals)} {originals.kind} of {list(originals.shape)}, the auxiliary "
            f"ones {auxiliary.kind} of {list(auxiliary.shape)}: give some of both, of one kind and shape."
        )
    if reconstructions.shape != originals.inputs.shape:
        raise DatasetError(
            f"The reconstructions have shape {list(reconstructions.shape)}, and the originals "
            f"{list(originals.inputs.shape)}: give one reconstruction for each original."
        )
    if not reconstructions.isfinite().all():
        raise DivergenceError(
            "Some reconstructions hold values that are not finite: lower the attack's learning rate."
        )
    kind = _Rows(auxiliary) if isinstance(auxiliary, RowSet) else _Tokens(auxiliary)
    scores = _compare(kind, reconstructions, originals.inputs)
    ends = bootstrap_intervals(
        torch.stack(list(scores.values()), dim=1), resamples=bootstrap, generator=generator
    )
    nearest = kind.distances(originals.inputs, auxiliary.inputs).argmin(dim=1)
    trivial = {
        "typical": kind.typical().expand(len(originals), -1),
        "nearest_auxiliary": auxiliary.inputs[nearest],
    }
    return SampleScores(
        scores,
        dict(zip(scores, ends.tolist(), strict=True)),
        {name: _means(_compare(kind, answer, originals.inputs)) for name, answer in trivial.items()},
    )


def sample_errors(reconstructions: Tensor, originals: SampleSet, auxiliary: SampleSet) -> Tensor:
    """How far each reconstruction is from each original, `[n, n]`: the mean squared error of rows, each column in units
    of its deviation over the auxiliary rows, or the share of a sequence's places with another token."""
    kind = _Rows(auxiliary) if isinstance(auxiliary, RowSet) else _Tokens(auxiliary)
    return kind.distances(reconstructions, originals.inputs).float() / originals.shape[0]


class _Rows:
    """Rows at the auxiliary rows' scale."""

    def __init__(self, auxiliary: RowSet) -> None:
        rows = auxiliary.rows.double()
        deviation = rows.std(0, correction=0)
        self._mean = rows.mean(0)
        self._deviation = torch.where(deviation > 0, deviation, torch.ones_like(deviation))

    def typical(self) -> Tensor:
        return self._mean.float()[None]

    def distances(self, left: Tensor, right: Tensor) -> Tensor:
        return torch.cat(list(distance_blocks(self._scaled(left), self._scaled(right))))

    def scores(self, rows: Tensor, originals: Tensor) -> Parameters:
        wrong = self._scaled(rows) - self._scaled(originals)
        return {"mse": wrong.square().mean(1), "mae": wrong.abs().mean(1)}

    def _scaled(self, rows: Tensor) -> Tensor:
        return (rows.double() - self._mean) / self._deviation


class _Tokens:
    """Sequences, as far from each other as they have places with different tokens."""

    def __init__(self, auxiliary: SampleSet) -> None:
        self._auxiliary = auxiliary.inputs

    def typical(self) -> Tensor:
        return self._auxiliary.mode(dim=0).values[None]

    def distances(self, left: Tensor, right: Tensor) -> Tensor:
        return torch.stack([(row != right).sum(1) for row in left]).double()

    def scores(self, tokens: Tensor, originals: Tensor) -> Parameters:
        pairs = zip(tokens, originals, strict=True)
        found = [torch.isin(there.unique(), here).double().mean() for here, there in pairs]
        return {"token_accuracy": (tokens == originals).double().mean(1), "token_recall": torch.stack(found)}


def _compare(kind: _Rows | _Tokens, reconstructions: Tensor, originals: Tensor) -> Parameters:
    distances = kind.distances(reconstructions, originals)
    # A tie goes against the attacker, as with images.
    ranks = (distances <= distances.diagonal()[:, None] + _TIE).sum(dim=1)
    scores = kind.scores(reconstructions, originals)
    return scores | {f"identification_top{guesses}": (ranks <= guesses).double() for guesses in (1, 5)}


def _means(scores: Parameters) -> Aggregates:
    means: Aggregates = {name: float(values.mean()) for name, values in scores.items()}
    return means | {"count": len(scores["identification_top1"])}
