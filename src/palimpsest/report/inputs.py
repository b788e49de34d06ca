"""The contents of a report page, as one stored record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from palimpsest.metrics import Metrics, VerdictMetrics, reach_verdict
from palimpsest.storage import Parameters, Record

_NOUNS = {"images": "image", "rows of a table": "record", "sequences of tokens": "text"}


@dataclass(frozen=True)
class ReportInput(Record):
    """The contents of the page of an audit or an attack; n is the number of reconstructions.

    With `originals`, the page shows scored images. With `cells`, it shows samples that are not images. Otherwise, it
    shows images without scores. Nothing is scored if `per_image` is empty.
    """

    title: str
    """The page's heading."""
    command: str
    """The shell command that repeats the run."""
    facts: Sequence[tuple[str, str]]
    """Properties of the audit or attack, as names and values."""
    config: Mapping[str, Any]
    """The full configuration as nested plain values."""
    config_yaml: str
    """The same configuration as YAML that can be saved and run."""
    versions: Mapping[str, str]
    """Versions of packages and of the platform, by name."""
    metrics: Metrics
    """The metrics of the run."""
    reconstructions: Tensor
    """The reconstructions, `[n, ...]`. Images are `[n, c, h, w]` with c 1 or 3, and clamped to [0, 1]."""
    history: Mapping[str, Sequence[float]]
    """Training history by name. Series whose name ends in "loss" share a plot."""
    knowledge: Sequence[str]
    """The attacker's knowledge, one sentence for each item."""
    notes: Sequence[str] = ()
    """Limits and remarks, one sentence each."""
    accepted: Tensor | None = None
    """Whether the verifier accepted each proof, bool `[n]`; None if there were no proofs."""
    norms: Tensor | None = None
    """L2 norm of each proof as the auditor received it, `[n]`; None if there were no proofs."""
    originals: Tensor | None = None
    """The forgotten images, `[n, c, h, w]` in [0, 1]; None if they are unknown or not images."""
    labels: Tensor | None = None
    """Class of each forgotten sample, `[n]`."""
    owners: Tensor | None = None
    """The client that held each forgotten sample, `[n]`."""
    per_image: Parameters = field(default_factory=dict)
    """Scores by name, each `[n]`. Images have mse, psnr, ssim, lpips, and rank (of the correct original; 1 is the
    nearest), of which all but mse may be missing. Other samples have those of `SampleScores.per_sample`."""
    absent: Mapping[str, str] = field(default_factory=dict)
    """The reason why a score is absent, by its name, such as `{"lpips": "the trunk's weights are missing"}`."""
    class_names: Sequence[str] = ()
    """Names of the classes; empty if they are unknown."""
    kind: str = "images"
    """The kind of the samples, such as "rows of a table"."""
    columns: Sequence[str] = ()
    """The columns of a sample that is not an image."""
    cells: Sequence[Sequence[str]] = ()
    """Reconstructions as text, one list for each, the closest first if they are scored; empty for images."""
    truth_cells: Sequence[Sequence[str]] = ()
    """The forgotten samples in the same form; empty if they are unknown."""
    cell_rows: Sequence[int] = ()
    """The number of each reconstruction in `cells`."""
    evidence: str = "proofs"
    """The attacked artifacts, "proofs" or "gradients"."""
    finished: str = ""
    """Date and time at which the run was finished, as text."""
    membership_curves: Parameters = field(default_factory=dict)
    """False and true positive rates of each membership test after unlearning, `[points, 2]` by name; empty without
    shadow federations."""
    hashes: Sequence[tuple[str, str]] = ()
    """Names of the configuration, checkpoints and proofs, and the SHA-256 hash of each in hexadecimal."""

    @property
    def noun(self) -> str:
        """The samples in one everyday word, such as "images"."""
        return f"{self.noun_singular}s"

    @property
    def noun_singular(self) -> str:
        """One sample in one everyday word, such as "image"."""
        return _NOUNS.get(self.kind, "sample")

    @property
    def identified(self) -> Tensor | None:
        """Whether each forgotten sample is identified, bool `[n]`: it is the nearest one; None if unknown."""
        if "rank" in self.per_image:
            return self.per_image["rank"] == 1
        found = self.per_image.get("identification_top1")
        return None if found is None else found > 0

    @property
    def verdict(self) -> VerdictMetrics:
        """The verdict on the run, reached from its metrics if a page of an earlier version lacks it."""
        return self.metrics.verdict or reach_verdict(self.metrics)

    @property
    def participation(self) -> Sequence[int]:
        """The number of rounds that used each client's reply; empty without a federation."""
        return self.metrics.federation.participation if self.metrics.federation else ()

    @property
    def truth(self) -> tuple[Tensor, Tensor]:
        """The forgotten images and their labels; the page must have them."""
        assert self.originals is not None, "this page has no originals"
        assert self.labels is not None, "originals have labels"
        return self.originals, self.labels
