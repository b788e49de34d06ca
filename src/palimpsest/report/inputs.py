"""Everything that a page shows, as one stored value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from palimpsest.metrics import Metrics
from palimpsest.storage import Parameters, Record


@dataclass(frozen=True)
class ReportInput(Record):
    """What a page shows of an audit or an attack; n is the number of reconstructions.

    With `originals` it is the page of scored images, with `cells` that of samples that are not images, and otherwise
    that of images without scores.
    """

    title: str
    """The page's heading."""
    command: str
    """The shell command that makes the run again."""
    facts: Sequence[tuple[str, str]]
    """What was audited or attacked, as names and values."""
    config: Mapping[str, Any]
    """The whole configuration as nested plain values."""
    config_yaml: str
    """The same configuration as YAML that can be saved and run."""
    versions: Mapping[str, str]
    """Packages and platform by name."""
    metrics: Metrics
    """What was measured."""
    reconstructions: Tensor
    """What the attack recovered, `[n, ...]`; images `[n, c, h, w]` with c 1 or 3 are clamped to [0, 1]."""
    history: Mapping[str, Sequence[float]]
    """Training history by name; series whose name ends in "loss" share a figure."""
    knowledge: Sequence[str]
    """What the attacker knew, one sentence each."""
    notes: Sequence[str] = ()
    """Limits and remarks, one sentence each."""
    accepted: Tensor | None = None
    """Whether the verifier accepted each proof, bool `[n]`; None where there were no proofs."""
    norms: Tensor | None = None
    """L2 norm of each proof as the auditor saw it, `[n]`; None where there were no proofs."""
    originals: Tensor | None = None
    """The forgotten images, `[n, c, h, w]` in [0, 1]; None where they are unknown or no images."""
    labels: Tensor | None = None
    """Class of each forgotten image, `[n]`."""
    owners: Tensor | None = None
    """The client that held each forgotten image, `[n]`."""
    per_image: Parameters = field(default_factory=dict)
    """Scores by name, each `[n]`: mse, psnr, ssim, lpips, and rank (of the right image; 1 is first). All but
    mse may be missing."""
    absent: Mapping[str, str] = field(default_factory=dict)
    """Why a score is absent, by its name, such as `{"lpips": "the trunk's weights are missing"}`."""
    class_names: Sequence[str] = ()
    """Names of the classes, where they are known."""
    kind: str = "images"
    """What the samples are, such as "rows of a table"."""
    columns: Sequence[str] = ()
    """The columns of a sample that is not an image."""
    cells: Sequence[Sequence[str]] = ()
    """The first reconstructions as text, a list for each; empty for images."""
    truth_cells: Sequence[Sequence[str]] = ()
    """The forgotten samples, the same way; empty where they are unknown."""

    @property
    def participation(self) -> Sequence[int]:
        """Number of rounds that used each client's reply; empty without a federation."""
        return self.metrics.federation.participation if self.metrics.federation else ()

    @property
    def truth(self) -> tuple[Tensor, Tensor]:
        """The forgotten images and their classes, on a page that has them."""
        assert self.originals is not None, "this page has no originals"
        assert self.labels is not None, "originals have labels"
        return self.originals, self.labels
