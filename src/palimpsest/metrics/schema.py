"""Schema of `metrics.json`, which the pipeline fills and which pages, tables and trackers read."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

from pydantic import Field

from palimpsest.errors import RunError
from palimpsest.metrics.control_groups import ControlGroupMetrics
from palimpsest.metrics.forgetting import Forgetting
from palimpsest.metrics.linkage import LinkageScores
from palimpsest.metrics.permutation_test import PermutationTest
from palimpsest.metrics.prior_comparison import PriorComparison
from palimpsest.metrics.rates import Rate
from palimpsest.metrics.schema_aggregation import AggregationMetrics
from palimpsest.metrics.schema_bounds import BoundsMetrics
from palimpsest.metrics.schema_forgetting import ForgettingTest
from palimpsest.metrics.schema_membership import MembershipMetrics
from palimpsest.metrics.schema_overlap import OverlapMetrics
from palimpsest.metrics.schema_parts import (
    AttackerMetrics,
    CertificateMetrics,
    FederationMetrics,
    Interval,
    Meaning,
    ObservationMetrics,
    Part,
    PartMetrics,
    PrivacyMetrics,
    ProofFileMetrics,
    ScoreMeans,
    SoundnessMetrics,
    VerificationMetrics,
)
from palimpsest.metrics.schema_verdict import (
    MemberMetrics,
    PositiveControl,
    TrainingMetrics,
    VerdictMetrics,
)
from palimpsest.metrics.undefended_baseline import UndefendedBaseline
from palimpsest.runs import read_json
from palimpsest.storage import write_json


class Reading(NamedTuple):
    """One number of a run with its uncertainty.

    Args:
        value: The number.
        interval: Its 95 % interval; None if it has none.
        chance: Expected value of a random guess; None if unknown.
    """

    value: float
    interval: Interval | None = None
    chance: float | None = None


class Metrics(Part):
    """The contents of `metrics.json`; a section that was not measured is absent."""

    federation: FederationMetrics | None = None
    """The federation that an audit trained."""
    privacy: PrivacyMetrics | None = None
    """Differential privacy of training and unlearning, if the federation uses DP-SGD."""
    forgetting: Forgetting | None = None
    """Quality of unlearning in an audit: accuracies, membership inference, distance from exact retraining."""
    forgetting_tests: list[ForgettingTest] = Field(default_factory=list)
    """Tests of forgetting, one row for each measure of the models; further tests add rows."""
    membership: MembershipMetrics | None = None
    """Membership tests on shadow federations; absent without `membership.shadows`."""
    proofs: ProofFileMetrics | None = None
    """The attacked proof file, if the user supplied one."""
    observation: ObservationMetrics | None = None
    """The attacked gradient file, if the user supplied one."""
    verification: VerificationMetrics | None = None
    """Decisions of the norm check, if there were proofs."""
    reconstruction: ScoreMeans | None = None
    """Mean scores of the attack over the forgotten samples; absent if these are unknown."""
    chance: dict[str, float] = Field(default_factory=dict)
    """Expected score of a random guess, by score."""
    baselines: dict[str, ScoreMeans] = Field(default_factory=dict)
    """Mean scores of baselines without proofs: the mean auxiliary sample, and the auxiliary sample nearest to each
    original."""
    intervals: dict[str, Interval] = Field(default_factory=dict)
    """95 % interval of each mean score over the samples, `[low, high]` in the score's unit: exact (Clopper-Pearson) for
    identification, bootstrap for the others."""
    metrics: dict[str, Meaning] = Field(default_factory=dict)
    """Labels and directions of the additional metrics, by name."""
    attackers: dict[str, AttackerMetrics] = Field(default_factory=dict)
    """Other attackers, if there are defenses: `non-adaptive` (learned from undefended differences) and `undefended`
    (attacks the proofs before the defenses)."""
    linkage: LinkageScores | None = None
    """Linkage attack: which candidate does a proof belong to?"""
    aggregation: AggregationMetrics | None = None
    """Aggregated proofs; absent if each sample has a proof of its own."""
    bounds: BoundsMetrics | None = None
    """Bounds on what any attack on the proofs could do; the reason if there are none."""
    soundness: SoundnessMetrics | None = None
    """Soundness of the verifiers: do they accept false proofs?"""
    attack: dict[str, float]
    """Facts that the attack reports, such as its number of features, by name."""
    certificates: CertificateMetrics | None = None
    """Certificates of the reconstructions, if the attack gives any."""
    seconds: dict[str, float]
    """Wall-clock time of each stage in seconds."""
    rates: dict[str, Rate] = Field(default_factory=dict)
    """Shares and areas under ROC curves with 95 % intervals and chance levels, by name."""
    permutation_test: PermutationTest | None = None
    """Permutation test: do the reconstructions belong to their samples?"""
    undefended_baseline: UndefendedBaseline | None = None
    """Undefended baseline: does the attack work on the same run's proofs before the defenses?"""
    positive_control: PositiveControl | None = None
    """Positive control: does the attack work on samples whose truth the attacker knows?"""
    control_groups: dict[str, ControlGroupMetrics] = Field(default_factory=dict)
    """Audits with a trained attack: the same attack on the gradient differences of `retained` and of `never_trained`
    samples. Does the attack work on forgotten samples because they were forgotten?"""
    auxiliary_overlap: OverlapMetrics | None = None
    """Copies of the clients' samples among those of the attacker; absent if the forgotten samples are unknown."""
    training: TrainingMetrics | None = None
    """Training of a learned attack: did it learn anything?"""
    portfolio: list[MemberMetrics] = Field(default_factory=list)
    """Attacks that `strongest` tried or left out, in the order in which they were considered."""
    verdict: VerdictMetrics | None = None
    """The verdict on the run."""
    excluded_replies: dict[int, dict[str, int]] = Field(default_factory=dict)
    """Number of excluded replies, by client and reason; 0 or absent is best."""
    parameter_distance: float | None = None
    """Server attacks: L2 distance between the parameters before and after unlearning, at least 0."""
    retained: PartMetrics | None = None
    """Server attacks: scores of the reconstructed retained samples."""
    prior: PartMetrics | None = None
    """Server attacks: scores of the public images from which the search started."""
    prior_comparison: PriorComparison | None = None
    """Comparison with the prior alone, image by image: did the attack end worse than what it started from?"""
    label_accuracy: float | None = None
    """Server attacks: share of the forgotten samples' labels that the attack recovered, in [0, 1]; higher means more
    leakage."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a `metrics.json` from an untrusted source.

        Args:
            path: The file.

        Raises:
            RunError: The file is missing, damaged or of another version.
        """
        try:
            return cls.model_validate(read_json(path))
        # Deeply nested JSON and JSON of other types raise errors of many types.
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            raise RunError(
                f"{path} is damaged or of another version ({reason}). Run its command again."
            ) from error

    def tree(self) -> dict[str, Any]:
        """Return plain values for JSON, without absent sections; NaN and infinity are left out."""
        return _finite(self.model_dump(mode="json", exclude_none=True))

    def save(self, path: Path) -> None:
        """Write the metrics as JSON atomically.

        Args:
            path: The file to write.
        """
        write_json(path, self.tree())

    def score(self, name: str, attacker: str = "") -> Reading | None:
        """Return a mean score with its interval and chance level.

        Args:
            name: The score's name, such as `mse`.
            attacker: One of `attackers`; empty means the main attacker, whose scores are in `reconstruction`.

        Returns:
            The score, or None if it is absent.
        """
        part = self.attackers.get(attacker) if attacker else self
        if part is None or part.reconstruction is None:
            return None
        value = part.reconstruction.score(name)
        return None if value is None else Reading(value, part.intervals.get(name), self.chance.get(name))

    def rate(self, name: str) -> Reading | None:
        """Return one of `rates` as a reading.

        Args:
            name: The rate's name, such as `accepted`.

        Returns:
            The rate, or None if it is absent.
        """
        rate = self.rates.get(name)
        return None if rate is None else Reading(rate.value, (rate.low, rate.high), rate.chance)

    def scalars(self) -> dict[str, float]:
        """Return every number except durations, by its keys joined with slashes; an interval as `low` and `high`."""
        return dict(_numbers({name: value for name, value in self.tree().items() if name != "seconds"}))

    def summary(self) -> str:
        """Return one line for a log, with the mean squared error if it was measured."""
        reading = self.score("mse")
        return "finished" if reading is None else f"finished: MSE {reading.value:.4g}"


def _finite(value: Any) -> Any:
    """Return a copy of a plain value without the keys whose number is NaN or infinite."""
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
                (f"{name}/{end}", float(bound)) for end, bound in zip(("low", "high"), value, strict=True)
            )
