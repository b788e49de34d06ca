"""The schema of `metrics.json`: one model that the pipeline fills and that pages, tables and trackers read."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

from pydantic import Field

from palimpsest.errors import RunError
from palimpsest.metrics.forgetting import Forgetting
from palimpsest.metrics.linkage import LinkageScores
from palimpsest.metrics.permutation_test import PermutationTest
from palimpsest.metrics.rates import Rate
from palimpsest.metrics.schema_parts import (
    AttackerMetrics,
    FederationMetrics,
    Interval,
    Meaning,
    ObservationMetrics,
    Part,
    PartMetrics,
    ProofFileMetrics,
    ScoreMeans,
    SoundnessMetrics,
    VerificationMetrics,
)
from palimpsest.metrics.undefended_baseline import UndefendedBaseline
from palimpsest.runs import read_json
from palimpsest.storage import write_json


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


class Metrics(Part):
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
    chance: dict[str, float] = Field(default_factory=dict)
    """Expected score of a random guess, by score."""
    baselines: dict[str, ScoreMeans] = Field(default_factory=dict)
    """Mean scores of trivial answers: the mean auxiliary sample, and the nearest auxiliary sample of each original."""
    intervals: dict[str, Interval] = Field(default_factory=dict)
    """95 % bootstrap interval of each mean score over the samples."""
    metrics: dict[str, Meaning] = Field(default_factory=dict)
    """How the further metrics are read, by name."""
    attackers: dict[str, AttackerMetrics] = Field(default_factory=dict)
    """`non-adaptive` (learned from undefended differences) and `undefended` (attacks the proofs before the defenses),
    where there are defenses."""
    linkage: LinkageScores | None = None
    """Linkage attack: which candidate does a proof belong to?"""
    soundness: SoundnessMetrics | None = None
    """What a verifier's acceptance is worth."""
    attack: dict[str, float]
    """Facts that the attack reports about itself, such as the number of its features."""
    seconds: dict[str, float]
    """Wall time of each stage in seconds."""
    rates: dict[str, Rate] = Field(default_factory=dict)
    """Shares and areas with exact 95 % intervals and chance levels, by name."""
    permutation_test: PermutationTest | None = None
    """Permutation test: do the reconstructions belong to their samples?"""
    undefended_baseline: UndefendedBaseline | None = None
    """Undefended baseline: does the attack work on the same run's proofs before the defenses?"""
    excluded_replies: dict[int, dict[str, int]] = Field(default_factory=dict)
    """How often a client's reply was left out for which reason, by client."""
    parameter_distance: float | None = None
    """Server attacks: L2 distance of the parameters before and after unlearning."""
    retained: PartMetrics | None = None
    """Server attacks: scores of the reconstructed retained samples."""
    prior: PartMetrics | None = None
    """Server attacks: scores of the public images that the search started from."""
    label_accuracy: float | None = None
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
