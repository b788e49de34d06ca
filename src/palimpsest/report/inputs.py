"""Everything that a report shows, as one plain value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from palimpsest.storage import Parameters, Record


@dataclass(frozen=True)
class ReportInput(Record):
    """What `render_report` puts on the page; n is the number of forgotten images."""

    title: str
    """The page's heading."""
    command: str
    """The shell command that makes this audit again."""
    config: Mapping[str, Any]
    """The whole configuration as nested plain values."""
    config_yaml: str
    """The same configuration as YAML that can be saved and run."""
    versions: Mapping[str, str]
    """Packages and platform by name."""
    seconds: Mapping[str, float]
    """Wall time of each stage, in seconds, in the order in which the stages ran."""
    metrics: Mapping[str, Any]
    """The tree of metrics.json; read here are `federation` and `verification` (may be absent), `reconstruction`,
    `chance`, `baselines` and `intervals`."""
    originals: Tensor
    """The forgotten images, `[n, c, h, w]` in [0, 1], c 1 or 3."""
    reconstructions: Tensor
    """What the attack made of them, `[n, c, h, w]`, in the same order; values outside [0, 1] are clamped."""
    labels: Tensor
    """Class of each forgotten image, `[n]`."""
    per_image: Parameters
    """Scores by name, each `[n]`: mse, psnr, ssim, lpips, and rank (of the right image; 1 is first). All but
    mse may be missing."""
    curves: Mapping[str, Sequence[float]]
    """Training curves by name; those whose name ends in "loss" share a figure."""
    knowledge: Sequence[str]
    """What the attacker knew, one sentence each."""
    participation: Sequence[int]
    """In how many rounds each client's reply was used, one number for each client."""
    accepted: Tensor | None = None
    """Whether the verifier accepted the proof of each image, bool `[n]`; none where there were no proofs."""
    norms: Tensor | None = None
    """L2 norm of each proof as the auditor saw it, `[n]`; none as well."""
    owners: Tensor | None = None
    """The client that held each forgotten image, `[n]`."""
    forgetting: Mapping[str, Any] | None = None
    """How well it was forgotten. For each of `accuracy_retained`, `accuracy_forgotten`, `accuracy_test`,
    `membership_auc` and `membership_tpr` a list `[before, after]`, or `[before, after, exactly retrained]`;
    and the numbers `distance_to_retrained` (L2) and `relative_distance` (in units of the original model's
    own distance). Any may be absent or null."""
    notes: Sequence[str] = ()
    """Limits and remarks, one sentence each."""
    class_names: Sequence[str] = ()
    """Names of the classes, where they are known."""
    facts: Sequence[tuple[str, str]] = ()
    """What was audited, as name and value; none takes it from an audit's configuration."""
    absent: Mapping[str, str] = field(default_factory=dict)
    """Why a score could not be had, by its name, such as `{"lpips": "the trunk's weights are not here"}`."""
