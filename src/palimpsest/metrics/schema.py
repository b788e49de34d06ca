"""The schema of `metrics.json`: one model that the pipeline fills and that pages, tables and trackers read."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field

from palimpsest.errors import RunError
from palimpsest.metrics.forgetting import Forgetting
from palimpsest.metrics.linkage import LinkageScores
from palimpsest.metrics.permutation_test import PermutationTest
from palimpsest.metrics.rates import Rate
from palimpsest.metrics.undefended_baseline import UndefendedBaseline
from palimpsest.runs import read_json
from palimpsest.storage import write_json

Interval = tuple[float, float]
"""Both ends of a 95 % interval."""
Area = tuple[float, float, float]
"""Area under the ROC curve in [0, 1], and both ends of its 95 % interval."""


class Reading(NamedTuple):
    """One number of a run, as tables show it.

    Args:
        value: The number.
        interval: Its 95 % interval, if it has one.
        chance: What guessing gives, if that is known.
    """

    value: float
    interval: Interval | None = None
    chance: float | None = None


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ScoreMeans(_Part):
    """Mean scores over the forgotten samples; a metric of `scoring.metrics` is a key of its own beside these."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)
    # The documented way to give extra values a type.
    __pydantic_extra__: dict[str, float] = Field(init=False)  # pyright: ignore[reportIncompatibleVariableOverride]

    count: int
    """Number of samples."""
    mse: float | None = None
    """Mean squared error: of pixels in [0, 1]; of rows in units of each column's standard deviation."""
    psnr: float | None = None
    """Peak signal-to-noise ratio in dB, mean over images."""
    psnr_of_mean_mse: float | None = None
    """Peak signal-to-noise ratio of the mean MSE in dB."""
    ssim: float | None = None
    """Structural similarity; 1 is identical."""
    lpips: float | None = None
    """Learned perceptual distance; 0 is identical."""
    lpips_reason: str | None = None
    """Why LPIPS is absent."""
    mae: float | None = None
    """Mean absolute error of rows, in units of each column's standard deviation."""
    tokens_right: float | None = None
    """Share of places with the right token, in [0, 1]."""
    tokens_found: float | None = None
    """Share of a sequence's tokens that stand anywhere in its reconstruction, in [0, 1]."""
    identification_top1: float
    """Share of samples that are nearest to their own reconstruction, in [0, 1]."""
    identification_top5: float
    """Share of samples that are among the five nearest to their own reconstruction, in [0, 1]."""

    def score(self, name: str) -> float | None:
        """The mean of the metric of that name; None where it is absent."""
        value = getattr(self, name, None)
        return value if isinstance(value, int | float) else None

    def names(self) -> list[str]:
        """The names of the scores that are there, without `count`."""
        fields = [*type(self).model_fields, *(self.model_extra or {})]
        return [name for name in fields if name != "count" and self.score(name) is not None]


class Meaning(_Part):
    """How a further metric is read."""

    label: str
    """Heading of its column."""
    meaning: str
    """What it measures."""
    better: str
    """`low` or `high`."""


class FederationMetrics(_Part):
    """The trained federation."""

    original_accuracy: float
    """Accuracy of the original model on the test split, in [0, 1]."""
    unlearned_accuracy: float
    """Accuracy of the unlearned model on the test split, in [0, 1]."""
    participation: list[int]
    """Number of rounds that used each client's reply, in the order of the clients."""
    faults: int
    """Number of replies that were left out in training."""


class VerificationMetrics(_Part):
    """What the norm check accepted."""

    tau: float
    """Largest accepted norm."""
    accepted: int
    """Number of accepted proofs."""
    refused: int
    """Number of refused proofs."""

    @property
    def count(self) -> int:
        """Number of proofs."""
        return self.accepted + self.refused


class AttackerMetrics(_Part):
    """Scores of an attacker with other knowledge of the defenses."""

    reconstruction: ScoreMeans
    """Mean scores of its reconstructions."""
    intervals: dict[str, Interval]
    """95 % bootstrap interval of each mean over the samples."""


class SoundnessMetrics(_Part):
    """How well each verifier separates honest proofs from forged ones."""

    areas: dict[str, dict[str, Area]]
    """Area under the ROC curve and its interval, by verifier and forger."""
    needs: dict[str, str]
    """What each verifier must know or do."""
    worst: dict[str, Area]
    """Each verifier's area against the forger that deceives it best."""
    checks: dict[str, str] = {}
    """What each verifier checks."""


class PartMetrics(ScoreMeans):
    """Mean scores of images that a server's attack made or used on the way."""

    intervals: dict[str, Interval]
    """95 % bootstrap interval of each mean over the samples."""


class ProofFileMetrics(_Part):
    """The proof file that was attacked."""

    count: int
    """Number of proofs."""
    dimension: int
    """Coordinates of a proof."""
    attested: bool
    """Whether its metadata says how the proofs were made."""


class ObservationMetrics(_Part):
    """The gradient file that was attacked."""

    batches: int
    """Number of batches."""
    remaining: int
    """Retained samples of a batch."""
    forgotten: int
    """Forgotten samples of a batch."""
    dimension: int
    """Coordinates of a gradient."""


class Metrics(_Part):
    """The contents of `metrics.json`; a part that was not measured is absent."""

    federation: FederationMetrics | None = None
    """The federation that an audit trained."""
    forgetting: Forgetting | None = None
    """How well an audit's models forgot."""
    proofs: ProofFileMetrics | None = None
    """The proof file, where the user supplied one."""
    observation: ObservationMetrics | None = None
    """The gradient file, where the user supplied one."""
    verification: VerificationMetrics | None = None
    """What the verifier accepted, where there were proofs."""
    reconstruction: ScoreMeans | None = None
    """Mean scores of the attack; absent without the forgotten samples."""
    chance: dict[str, float] = {}
    """Expected score of a random guess, by score."""
    baselines: dict[str, ScoreMeans] = {}
    """Mean scores of trivial answers: the mean auxiliary sample, and the nearest auxiliary sample of each original."""
    intervals: dict[str, Interval] = {}
    """95 % bootstrap interval of each mean score over the samples."""
    metrics: dict[str, Meaning] = {}
    """How the further metrics are read, by name."""
    attackers: dict[str, AttackerMetrics] = {}
    """`non-adaptive` (learned from undefended differences) and `undefended` (attacks the proofs before the defenses),
    where there are defenses."""
    confirmation: LinkageScores | None = None
    """Linkage attack: which candidate does a proof belong to?"""
    soundness: SoundnessMetrics | None = None
    """What a verifier's acceptance is worth."""
    attack: dict[str, float]
    """Facts that the attack reports about itself, such as the number of its features."""
    seconds: dict[str, float]
    """Wall time of each stage in seconds."""
    rates: dict[str, Rate] = {}
    """Shares and areas with exact 95 % intervals and chance levels, by name."""
    belonging: PermutationTest | None = None
    """Permutation test: do the reconstructions belong to their samples?"""
    control: UndefendedBaseline | None = None
    """Undefended baseline: does the attack work on the same run's proofs before the defenses?"""
    left_out: dict[int, dict[str, int]] = {}
    """How often a client's reply was left out for which reason, by client."""
    moved: float | None = None
    """Server attacks: L2 distance of the parameters before and after unlearning."""
    remaining: PartMetrics | None = None
    """Server attacks: scores of the reconstructed retained samples."""
    prior: PartMetrics | None = None
    """Server attacks: scores of the public images that the search started from."""
    labels_right: float | None = None
    """Server attacks: share of the forgotten samples' labels that the attack had right, in [0, 1]."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a `metrics.json` that anyone may have written.

        Raises:
            RunError: The file is missing, damaged or of another version.
        """
        try:
            return cls.model_validate(read_json(path))
        # JSON that is nested deep, or of other types, leads into errors of many types.
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            raise RunError(
                f"{path} is damaged or of another version ({reason}): run its command again."
            ) from error

    def tree(self) -> dict[str, Any]:
        """Plain values for JSON, without absent parts; infinite numbers are left out."""
        return _finite(self.model_dump(mode="json", exclude_none=True))

    def save(self, path: Path) -> None:
        """Write the metrics as JSON, whole or not at all."""
        write_json(path, self.tree())

    def score(self, name: str, attacker: str = "") -> Reading | None:
        """A mean score with its interval and chance level.

        Args:
            name: The score's name, such as `mse`.
            attacker: One of `attackers`; empty means the first attacker.

        Returns:
            None where the score is absent.
        """
        part = self.attackers.get(attacker) if attacker else self
        if part is None or part.reconstruction is None:
            return None
        value = part.reconstruction.score(name)
        return None if value is None else Reading(value, part.intervals.get(name), self.chance.get(name))

    def rate(self, name: str) -> Reading | None:
        """One of `rates` as a reading; None where it is absent."""
        rate = self.rates.get(name)
        return None if rate is None else Reading(rate.value, (rate.low, rate.high), rate.chance)

    def scalars(self) -> dict[str, float]:
        """Every single number but the durations, under its keys joined by slashes; an interval as its two ends."""
        return dict(_numbers({name: value for name, value in self.tree().items() if name != "seconds"}))

    def summary(self) -> str:
        """One line for a log: the mean squared error, where it was measured."""
        reading = self.score("mse")
        return "finished" if reading is None else f"finished: MSE {reading.value:.4g}"


def _finite(value: Any) -> Any:
    """The same plain value without the keys whose number JSON can't hold."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items() if not _infinite(item)}
    return value


def _infinite(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _numbers(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{name}/")
        elif isinstance(value, int | float):
            yield name, float(value)
        elif prefix.endswith("intervals/") and len(value) == 2:
            yield from (
                (f"{name}/{end}", float(one)) for end, one in zip(("low", "high"), value, strict=True)
            )
