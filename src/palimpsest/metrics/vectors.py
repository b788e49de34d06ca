"""Evaluation of an attack on samples other than images: rows of a table, or sequences of tokens."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from palimpsest.datasets import RowSet, SampleSet
from palimpsest.errors import DatasetError, DivergenceError
from palimpsest.metrics.comparison import Aggregates
from palimpsest.metrics.distances import distance_blocks
from palimpsest.metrics.intervals import mean_intervals
from palimpsest.storage import Parameters, Record

_TIE = 1e-7
_UNIT = "each column in units of its standard deviation over the auxiliary rows"
_NEAREST = "the correct sample is the nearest of all forgotten samples"
_MEANINGS = {
    "mse": ("MSE", f"mean squared error, {_UNIT}; the mean row scores about 1", "low"),
    "mae": ("MAE", f"mean absolute error, {_UNIT}", "low"),
    "token_accuracy": ("Token accuracy", "share of positions with the correct token", "high"),
    "token_recall": (
        "Token recall",
        "share of a sequence's distinct tokens that occur anywhere in its reconstruction",
        "high",
    ),
    "identification_top1": ("Identified (top-1)", _NEAREST, "high"),
    "identification_top5": ("Identified (top-5)", "the correct sample is among the five nearest", "high"),
}


@dataclass(frozen=True)
class SampleScores(Record):
    """Scores of n reconstructions in the order of the originals.

    Rows have `mse` and `mae`, in which each column is in units of its standard deviation over the auxiliary rows, so
    that the mean row scores about 1. Sequences have `token_accuracy`, the share of positions with the correct token,
    and `token_recall`, the share of a sequence's distinct tokens that occur anywhere in its reconstruction.
    """

    per_sample: Parameters
    """Scores of each sample, `[n]` float64 by name, including `identification_top1` and `identification_top5`: whether
    the correct original is the nearest of all, or among the five nearest."""
    intervals: dict[str, list[float]]
    """95 % interval `[low, high]` of each mean over the samples, by score; exact
    for shares, bootstrap for the others."""
    baselines: dict[str, Aggregates]
    """Means of `typical` (the mean auxiliary row, or the most common token at each position, for every sample) and of
    `nearest_auxiliary` (the auxiliary sample nearest to each original, which no attacker can choose)."""

    def reconstruction(self) -> Aggregates:
        """Return the means, and the number of samples as `count`."""
        return _means(self.per_sample)

    def chance(self) -> dict[str, float]:
        """Return the expected score of a random guess among the n originals: 1/n and 5/n."""
        count = len(self.per_sample["identification_top1"])
        return {f"identification_top{guesses}": min(1.0, guesses / count) for guesses in (1, 5)}

    def meanings(self) -> dict[str, dict[str, str]]:
        """Return `label`, `meaning` and `better` of each score, by name."""
        return {
            name: dict(zip(("label", "meaning", "better"), texts, strict=True))
            for name, texts in _MEANINGS.items()
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
    """Score reconstructions against the forgotten samples, next to the baselines.

    Args:
        reconstructions: Rows `[n, features]` or tokens `[n, length]`, in the order of the originals.
        originals: The n forgotten samples.
        auxiliary: The attacker's own samples, of the same kind and shape.
        bootstrap: Number of bootstrap resamples of each interval.
        generator: Source of the resamples.

    Returns:
        Scores, 95 % intervals and baselines.

    Raises:
        DatasetError: There are no samples to compare, or their kinds or shapes differ.
        DivergenceError: A reconstruction contains NaN or infinity.
    """
    if type(originals) is not type(auxiliary) or originals.shape != auxiliary.shape or not len(originals):
        raise DatasetError(
            f"The forgotten samples are {len(originals)} {originals.kind} of shape {list(originals.shape)}, the "
            f"auxiliary samples are {auxiliary.kind} of shape {list(auxiliary.shape)}. Pass at least one of each, of "
            "the same kind and shape."
        )
    if reconstructions.shape != originals.inputs.shape:
        raise DatasetError(
            f"The reconstructions have shape {list(reconstructions.shape)}, expected "
            f"{list(originals.inputs.shape)} as the originals. Pass one reconstruction for each original."
        )
    if not reconstructions.isfinite().all():
        raise DivergenceError(
            "The reconstructions contain NaN or infinity. Lower the attack's learning rate."
        )
    kind = _Rows(auxiliary) if isinstance(auxiliary, RowSet) else _Tokens(auxiliary)
    scores = _compare(kind, reconstructions, originals.inputs)
    nearest = kind.distances(originals.inputs, auxiliary.inputs).argmin(dim=1)
    baselines = {
        "typical": kind.typical().expand(len(originals), -1),
        "nearest_auxiliary": auxiliary.inputs[nearest],
    }
    return SampleScores(
        scores,
        mean_intervals(scores, resamples=bootstrap, generator=generator),
        {name: _means(_compare(kind, answer, originals.inputs)) for name, answer in baselines.items()},
    )


def sample_errors(reconstructions: Tensor, originals: SampleSet, auxiliary: SampleSet) -> Tensor:
    """Compute the error of each reconstruction against each original.

    Args:
        reconstructions: Rows `[n, features]` or tokens `[n, length]`.
        originals: The n forgotten samples.
        auxiliary: The attacker's own samples, which give the unit of each column.

    Returns:
        `[n, n]` float32. Rows: mean squared error, each column in units of its standard deviation over the auxiliary
        rows. Sequences: share of positions with another token, in [0, 1].
    """
    kind = _Rows(auxiliary) if isinstance(auxiliary, RowSet) else _Tokens(auxiliary)
    return kind.distances(reconstructions, originals.inputs).float() / originals.shape[0]


class _Rows:
    """Comparison of rows whose columns are scaled by the auxiliary rows' mean and standard deviation."""

    def __init__(self, auxiliary: RowSet) -> None:
        """Measure the columns of the auxiliary rows."""
        rows = auxiliary.rows.double()
        deviation = rows.std(0, correction=0)
        self._mean = rows.mean(0)
        # Rounding gives most constant columns a deviation slightly above 0.
        varies = rows.amax(0) > rows.amin(0)
        self._deviation = torch.where(varies, deviation, torch.ones_like(deviation))

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
    """Comparison of sequences by the number of positions with different tokens."""

    def __init__(self, auxiliary: SampleSet) -> None:
        """Keep the auxiliary sequences."""
        self._auxiliary = auxiliary.inputs

    def typical(self) -> Tensor:
        return self._auxiliary.mode(dim=0).values[None]

    def distances(self, left: Tensor, right: Tensor) -> Tensor:
        return torch.stack([(row != right).sum(1) for row in left]).double()

    def scores(self, tokens: Tensor, originals: Tensor) -> Parameters:
        pairs = zip(tokens, originals, strict=True)
        found = [torch.isin(original.unique(), guess).double().mean() for guess, original in pairs]
        return {"token_accuracy": (tokens == originals).double().mean(1), "token_recall": torch.stack(found)}


def _compare(kind: _Rows | _Tokens, reconstructions: Tensor, originals: Tensor) -> Parameters:
    distances = kind.distances(reconstructions, originals)
    # Ties count against the attacker, as with images.
    ranks = (distances <= distances.diagonal()[:, None] + _TIE).sum(dim=1)
    scores = kind.scores(reconstructions, originals)
    return scores | {f"identification_top{guesses}": (ranks <= guesses).double() for guesses in (1, 5)}


def _means(scores: Parameters) -> Aggregates:
    means: Aggregates = {name: float(values.mean()) for name, values in scores.items()}
    return means | {"count": len(scores["identification_top1"])}
