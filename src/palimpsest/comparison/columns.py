"""The columns of a comparison: scores that are read from the metrics of a run."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from palimpsest.metrics import Metrics, Reading

Read = Callable[[Metrics], Reading | None]
"""Reads one number from the metrics of a run; returns None if it is absent."""


@dataclass(frozen=True)
class Column:
    """A score by which runs are compared.

    Args:
        name: Its key in JSON and CSV.
        heading: Its heading in tables.
        read: Reads the score from the metrics of a run.
        form: Its format specification, such as `.1%`.
        meaning: A short description for the legend.
        better: Whether better values are `low` or `high`.
        bounded: Whether it has an interval.
        guessed: Whether it has a chance level.
    """

    name: str
    heading: str
    read: Read
    form: str
    meaning: str
    better: str
    bounded: bool = True
    guessed: bool = False


def score_column(name: str, attacker: str = "") -> Read:
    """Return a function that reads a mean score.

    Args:
        name: The score's name in `metrics.json`.
        attacker: One of `Metrics.attackers`. The default, an empty text, means the first attacker.
    """
    return partial(Metrics.score, name=name, attacker=attacker)


def read_linkage(metrics: Metrics) -> Reading | None:
    """Return the share of proofs that the linkage attack links to their samples."""
    linkage = metrics.linkage
    if linkage is None:
        return None
    low, high = linkage.intervals[0]
    return Reading(linkage.identified, (low, high), linkage.chance)


def read_linkage_bound(metrics: Metrics) -> Reading | None:
    """Return the largest share of proofs that any attack links; None if there is no bound."""
    found = metrics.bounds and metrics.bounds.identification
    return None if not found or found.bound is None else Reading(found.bound, None, found.chance)


def read_error_bound(metrics: Metrics) -> Reading | None:
    """Return the smallest error of any attack; None if there is no bound."""
    found = metrics.bounds and metrics.bounds.error
    return Reading(found.bayes_error, found.bayes_interval) if found else None


def read_accuracy(metrics: Metrics) -> Reading | None:
    """Return the accuracy of the unlearned model on test samples."""
    if metrics.federation is None:
        return None
    value = metrics.federation.unlearned_accuracy
    rate = metrics.rate("accuracy_test_unlearned")
    return Reading(value, rate.interval, rate.chance) if rate else Reading(value)


COLUMNS = (
    Column(
        "mse",
        "MSE",
        score_column("mse"),
        ".4f",
        "mean squared error of the reconstructions, with pixels in [0, 1]; 0 is identical",
        "low",
    ),
    Column(
        "psnr",
        "PSNR (dB)",
        score_column("psnr"),
        ".2f",
        "peak signal-to-noise ratio in dB, averaged over images",
        "high",
    ),
    Column("ssim", "SSIM", score_column("ssim"), ".3f", "structural similarity; 1 is identical", "high"),
    Column(
        "lpips",
        "LPIPS",
        score_column("lpips"),
        ".3f",
        "learned perceptual distance; 0 is identical",
        "low",
    ),
    Column(
        "top1",
        "identified (top-1)",
        score_column("identification_top1"),
        ".1%",
        "share of reconstructions that are closer to their own original than to any other forgotten sample",
        "high",
        guessed=True,
    ),
    Column(
        "linked",
        "linked",
        read_linkage,
        ".1%",
        "share of proofs that an auditor who already has the samples can link to the right one",
        "high",
        guessed=True,
    ),
    Column(
        "linked_bound",
        "linkage bound",
        read_linkage_bound,
        ".1%",
        "largest expected share of proofs that any attack on one proof links; absent without a proven bound",
        "high",
        bounded=False,
        guessed=True,
    ),
    Column(
        "mse_bound",
        "error bound",
        read_error_bound,
        ".4f",
        "smallest expected mean squared error of any attack; absent without a bound",
        "low",
    ),
    Column(
        "accuracy",
        "test accuracy",
        read_accuracy,
        ".1%",
        "accuracy of the unlearned model on test samples",
        "high",
        guessed=True,
    ),
)
