"""The sections of `metrics.json`."""

from pydantic import BaseModel, ConfigDict, Field

Interval = tuple[float, float]
"""Both ends of a 95 % interval."""
Area = tuple[float, float, float]
"""Area under the ROC curve in [0, 1], and both ends of its 95 % interval."""


class Part(BaseModel):
    """A section; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ScoreMeans(Part):
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
    token_accuracy: float | None = None
    """Share of places with the right token, in [0, 1]."""
    token_recall: float | None = None
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


class Meaning(Part):
    """How a further metric is read."""

    label: str
    """Heading of its column."""
    meaning: str
    """What it measures."""
    better: str
    """`low` or `high`."""


class FederationMetrics(Part):
    """The trained federation."""

    original_accuracy: float
    """Accuracy of the original model on the test split, in [0, 1]."""
    unlearned_accuracy: float
    """Accuracy of the unlearned model on the test split, in [0, 1]."""
    participation: list[int]
    """Number of rounds that used each client's reply, in the order of the clients."""
    faults: int
    """Number of replies that were left out in training."""


class VerificationMetrics(Part):
    """What the norm check accepted."""

    tau: float
    """Largest accepted norm."""
    accepted: int
    """Number of accepted proofs."""
    rejected: int
    """Number of refused proofs."""

    @property
    def count(self) -> int:
        """Number of proofs."""
        return self.accepted + self.rejected


class AttackerMetrics(Part):
    """Scores of an attacker with other knowledge of the defenses."""

    reconstruction: ScoreMeans
    """Mean scores of its reconstructions."""
    intervals: dict[str, Interval]
    """95 % bootstrap interval of each mean over the samples."""


class SoundnessMetrics(Part):
    """How well each verifier separates honest proofs from forged ones."""

    areas: dict[str, dict[str, Area]]
    """Area under the ROC curve and its interval, by verifier and forger."""
    needs: dict[str, str]
    """What each verifier must know or do."""
    worst: dict[str, Area]
    """Each verifier's area against the forger that deceives it best."""
    checks: dict[str, str] = Field(default_factory=dict)
    """What each verifier checks."""


class PartMetrics(ScoreMeans):
    """Mean scores of images that a server's attack made or used on the way."""

    intervals: dict[str, Interval]
    """95 % bootstrap interval of each mean over the samples."""


class ProofFileMetrics(Part):
    """The proof file that was attacked."""

    count: int
    """Number of proofs."""
    dimension: int
    """Coordinates of a proof."""
    attested: bool
    """Whether its metadata says how the proofs were made."""


class ObservationMetrics(Part):
    """The gradient file that was attacked."""

    batches: int
    """Number of batches."""
    retained: int
    """Retained samples of a batch."""
    forgotten: int
    """Forgotten samples of a batch."""
    dimension: int
    """Coordinates of a gradient."""
