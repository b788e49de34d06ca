"""The numbers that runs are compared by."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from palimpsest.metrics import Metrics, Reading

Read = Callable[[Metrics], Reading | None]
"""Reads one number out of a run's metrics; None where it is absent."""


@dataclass(frozen=True)
class Column:
    """A number that runs are compared by.

    Args:
        name: Its key in the table's JSON and CSV.
        heading: Its heading.
        read: Where the number comes from.
        form: How it is printed.
        meaning: What it measures, in a few words.
        better: `low` or `high`.
        bounded: Whether it has an interval.
        guessed: Whether its chance level is known.
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
    """Reads a mean score.

    Args:
        name: The score's name in `metrics.json`.
        attacker: One of `Metrics.attackers`; empty means the first attacker.
    """
    return partial(Metrics.score, name=name, attacker=attacker)


def read_linkage(metrics: Metrics) -> Reading | None:
    """The share of proofs that the linkage attack matches with their samples."""
    linkage = metrics.linkage
    if linkage is None:
        return None
    low, high = linkage.intervals[0]
    return Reading(linkage.identified, (low, high), linkage.chance)


def read_accuracy(metrics: Metrics) -> Reading | None:
    """The unlearned model's accuracy on test samples."""
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
        "mean squared error of the reconstructions, pixels in [0, 1]",
        "low",
    ),
    Column(
        "psnr",
        "PSNR",
        score_column("psnr"),
        ".2f",
        "peak signal-to-noise ratio in dB, mean over images",
        "high",
    ),
    Column("ssim", "SSIM", score_column("ssim"), ".3f", "structural similarity, 1 is identical", "high"),
    Column(
        "lpips",
        "LPIPS",
        score_column("lpips"),
        ".3f",
        "learned perceptual distance, 0 is identical",
        "low",
    ),
    Column(
        "top1",
        "told apart",
        score_column("identification_top1"),
        ".1%",
        "forgotten samples whose reconstruction is nearest to themselves",
        "high",
        guessed=True,
    ),
    Column(
        "confirmed",
        "confirmed",
        read_linkage,
        ".1%",
        "proofs that an auditor who holds the samples already matches with theirs",
        "high",
        guessed=True,
    ),
    Column(
        "accuracy",
        "accuracy",
        read_accuracy,
        ".1%",
        "of the unlearned model on test samples",
        "high",
        guessed=True,
    ),
)
