"""Sections of `metrics.json` from which the verdict follows: positive control, training, portfolio, verdict."""

from enum import StrEnum

from palimpsest.metrics.schema_parts import Interval, Part


class Grade(StrEnum):
    """The four verdicts on a run, from the worst."""

    LEAKS = "leaks"
    """An attack reconstructs or identifies forgotten samples."""
    LEAKS_TO_CANDIDATE_HOLDERS = "leaks to candidate holders"
    """Only an attacker who already has candidate samples learns which of them a proof belongs to."""
    NO_LEAK_FOUND = "no leak found"
    """No attack recovered anything, although the same attack works on samples whose truth the attacker knows."""
    INCONCLUSIVE = "inconclusive"
    """No attack recovered anything, and nothing shows that a leak would have been found."""


class PositiveControl(Part):
    """Scores of the same attack on the attacker's own samples that were kept aside from its training."""

    count: int
    """Number of kept-aside samples; a larger number gives a narrower interval."""
    identified: float
    """Share of them that the attack identifies among the kept-aside samples (top-1), in [0, 1]; higher means that the
    attack works better."""
    interval: Interval
    """Exact 95 % interval of that share, `[low, high]`."""
    chance: float
    """Expected share of a random guess, in [0, 1]."""
    mse: float
    """Mean squared error, at least 0; for sequences, the share of wrong tokens, in [0, 1]. Lower means closer."""
    mse_interval: Interval
    """95 % bootstrap interval of that error over the samples, `[low, high]`."""
    mean_image: float
    """Error, in the same unit, of the mean auxiliary image or row, or of the most common token at each position."""
    passed: bool
    """Whether the attack works: the interval of its identification rate is above chance, or that of its error is below
    `mean_image`."""


class TrainingMetrics(Part):
    """Course of the training of a learned attack's first network."""

    epochs: int
    """Number of training epochs before the training stopped."""
    best_epoch: int
    """Epoch, counted from 1, whose weights are used."""
    first_loss: float
    """Training loss of the first epoch, at least 0."""
    last_loss: float
    """Training loss of the last epoch, at least 0; lower means a closer fit."""
    validation_mse: float | None = None
    """Mean squared error of the weights in use on the attack's validation samples; absent if it has none."""


class MemberMetrics(Part):
    """One attack of a portfolio: its result, or the reason why it was not run."""

    attack: str
    """Registered name of the attack; `linkage` for the linkage attack."""
    settings: str = ""
    """Settings that differ from the attack's defaults, such as `epochs 2, queries 4`."""
    reported: bool = False
    """Whether the scores, images and control of the run are those of this attack, because it recovers the most."""
    not_run: str = ""
    """Reason why the attack was not run or gave no result; empty if it ran."""
    out_of_time: bool = False
    """Whether it was not run because its estimated time exceeded what was left of the time budget."""
    seconds: float | None = None
    """Wall-clock time of its stages in seconds."""
    estimated_seconds: float | None = None
    """Time that was estimated before the attack was chosen, in seconds."""
    identified: float | None = None
    """Share of samples identified (top-1), in [0, 1]; higher means more leakage."""
    interval: Interval | None = None
    """Exact 95 % interval of that share, `[low, high]`."""
    mse: float | None = None
    """Mean squared error, at least 0; for sequences, the share of wrong tokens, in [0, 1]. Lower means more
    leakage."""
    mse_interval: Interval | None = None
    """95 % bootstrap interval of that error over the samples, `[low, high]`."""
    positive_control: PositiveControl | None = None
    """Scores of this attack on the kept-aside samples."""


class VerdictMetrics(Part):
    """The verdict on a run, which is the worst of what was tried, with its reasons."""

    grade: Grade
    """One of `leaks`, `leaks to candidate holders`, `no leak found`, and `inconclusive`."""
    reasons: list[str]
    """Reasons for the verdict, one sentence each, the most important first."""
