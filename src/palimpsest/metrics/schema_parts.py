"""Sections of `metrics.json`."""

from pydantic import BaseModel, ConfigDict, Field

Interval = tuple[float, float]
"""Lower and upper ends of a 95 % interval."""
Area = tuple[float, float, float]
"""Area under the ROC curve, in [0, 1], and the lower and upper ends of its 95 % interval."""


class Part(BaseModel):
    """Base class of sections; unknown keys are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ScoreMeans(Part):
    """Mean scores over the forgotten samples; each metric of `scoring.metrics` adds a key."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)
    # pydantic documents this annotation as the way to give extra values a type.
    __pydantic_extra__: dict[str, float] = Field(init=False)  # pyright: ignore[reportIncompatibleVariableOverride]

    count: int
    """Number of samples."""
    mse: float | None = None
    """Mean squared error, at least 0; lower means closer. Images: pixels in [0, 1]. Rows: columns in units of their
    standard deviation over the auxiliary rows."""
    psnr: float | None = None
    """Peak signal-to-noise ratio of pixels in [0, 1], in dB, mean over images, at most 100; higher means closer."""
    psnr_of_mean_mse: float | None = None
    """Peak signal-to-noise ratio of the mean MSE, in dB, at most `psnr`; higher means closer."""
    ssim: float | None = None
    """Structural similarity, at most 1 (identical images); higher means closer."""
    lpips: float | None = None
    """Learned perceptual distance (LPIPS), at least 0 (identical images); lower means closer."""
    lpips_reason: str | None = None
    """Reason why LPIPS is unavailable."""
    mae: float | None = None
    """Mean absolute error, at least 0; lower means closer. Rows: columns in units of their standard deviation over the
    auxiliary rows. Images, on request: pixels in [0, 1]."""
    token_accuracy: float | None = None
    """Share of a sequence's positions with the correct token, in [0, 1]; higher means closer."""
    token_recall: float | None = None
    """Share of a sequence's distinct tokens that occur anywhere in its reconstruction, in [0, 1]; higher means
    closer."""
    identification_top1: float
    """Share of reconstructions whose own original is the nearest of all forgotten samples, in [0, 1]; higher means more
    leakage."""
    identification_top5: float
    """Share of reconstructions whose own original is among the five nearest forgotten samples, in [0, 1]; higher means
    more leakage."""

    def score(self, name: str) -> float | None:
        """Return the mean score of this name, or None if it is absent."""
        value = getattr(self, name, None)
        return value if isinstance(value, int | float) else None

    def names(self) -> list[str]:
        """Return the names of the available scores, without `count`."""
        fields = [*type(self).model_fields, *(self.model_extra or {})]
        return [name for name in fields if name != "count" and self.score(name) is not None]


class Meaning(Part):
    """Label and direction of an additional metric."""

    label: str
    """Heading of the metric's column."""
    meaning: str
    """Short description of what the metric measures."""
    better: str
    """Direction of a closer reconstruction: `low` or `high` values."""


class FederationMetrics(Part):
    """The trained federation."""

    original_accuracy: float
    """Accuracy of the original model on the test split, in [0, 1]; higher is better."""
    unlearned_accuracy: float
    """Accuracy of the unlearned model on the test split, in [0, 1]; higher is better."""
    participation: list[int]
    """Number of training rounds that used each client's reply, in the order of the clients."""
    faults: int
    """Number of client replies that were excluded in training; 0 is best."""


class PrivacyMetrics(Part):
    """Differential privacy of training with DP-SGD, for neighbors that differ by one sample of a client."""

    noise_multiplier: float
    """Standard deviation of the noise on the sum of clipped gradients, in units of the clip norm."""
    clip: float
    """Largest norm of a sample's gradient."""
    delta: float
    """Probability with which the privacy loss may exceed epsilon, in (0, 1)."""
    epsilon_training: float
    """Privacy loss of the original training, of the client with the largest; lower is better."""
    epsilon_unlearning: float
    """Privacy loss of unlearning alone, of the client with the largest; lower is better. 0 if it used no data."""
    epsilon: float
    """Privacy loss of a sample that takes part in both, of the client with the largest; lower is better. Proofs and
    the observed gradients of batches are further releases, which it does not include."""


class VerificationMetrics(Part):
    """Decisions of the norm check."""

    tau: float
    """Largest accepted L2 norm of a proof."""
    accepted: int
    """Number of accepted proofs."""
    rejected: int
    """Number of rejected proofs."""

    @property
    def count(self) -> int:
        """Number of proofs."""
        return self.accepted + self.rejected


class AttackerMetrics(Part):
    """Scores of an attacker that knows more or less about the defenses."""

    reconstruction: ScoreMeans
    """Mean scores of this attacker's reconstructions."""
    intervals: dict[str, Interval]
    """95 % interval of each mean over the samples, `[low, high]` in the score's unit: exact (Clopper-Pearson) for
    identification, bootstrap for the others."""


class SoundnessMetrics(Part):
    """Separation of honest proofs from forged ones by each verifier."""

    areas: dict[str, dict[str, Area]]
    """Area under the ROC curve, forged against honest proofs, and its 95 % interval, by verifier and forger, in [0, 1];
    0.5 is chance, higher means a sounder verifier."""
    needs: dict[str, str]
    """Requirements of each verifier: what it must know or do."""
    worst: dict[str, Area]
    """Smallest area of each verifier, against the forger that deceives it best, and its 95 % interval."""
    checks: dict[str, str] = Field(default_factory=dict)
    """Property of a proof that each verifier checks."""


class CertifiedMetrics(Part):
    """Images with one kind of certificate."""

    count: int
    """Number of images."""
    mean_mse: float | None = None
    """Their mean squared error, pixels in [0, 1]; lower means closer. Absent if the forgotten images are unknown."""
    largest_mse: float | None = None
    """Largest mean squared error of an image, pixels in [0, 1]; lower means closer."""


class CertificateMetrics(Part):
    """Certificates of an attack that checks its reconstructions against the equations of the proofs."""

    statuses: dict[str, CertifiedMetrics]
    """Images by kind of certificate: exact, up to a layer of the model, or none."""
    thresholds: dict[str, float]
    """Largest relative error of the equations that certifies a layer's inputs, by layer, or the image, at least 0. They
    are calibrated on proofs of auxiliary images; 0 certifies nothing."""
    wrong: int | None = None
    """Images that are certified as exact although a pixel is wrong by half a level of 8 bits or more; 0 is expected.
    Absent if the forgotten images are unknown."""
    limit: str | None = None
    """Reason why no further layers can be solved; absent if all can."""


class PartMetrics(ScoreMeans):
    """Mean scores of images that a server attack produced or used in an intermediate step."""

    intervals: dict[str, Interval]
    """95 % interval of each mean over the samples, `[low, high]` in the score's unit: exact (Clopper-Pearson) for
    identification, bootstrap for the others."""


class ProofFileMetrics(Part):
    """The attacked proof file."""

    count: int
    """Number of proofs."""
    dimension: int
    """Number of coordinates of a proof."""
    attested: bool
    """Whether the file's metadata states how the proofs were made."""


class ObservationMetrics(Part):
    """The attacked gradient file."""

    batches: int
    """Number of batches."""
    retained: int
    """Number of retained samples in a batch."""
    forgotten: int
    """Number of forgotten samples in a batch."""
    dimension: int
    """Number of coordinates of a gradient."""
