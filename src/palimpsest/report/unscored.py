"""The page of an attack whose truth nobody brought: what was reconstructed, without a word on how close it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from torch import Tensor

from palimpsest.report.gallery import encode_images
from palimpsest.report.render import asset, content_policy, template
from palimpsest.report.tables import configuration
from palimpsest.storage import Record

MOST_IMAGES = 600
"""Reconstructions that the page shows; the run's folder holds all of them."""


@dataclass(frozen=True)
class UnscoredInput(Record):
    """What `render_unscored` puts on the page; n is the number of reconstructions."""

    title: str
    """The page's heading."""
    command: str
    """The shell command that makes this attack again."""
    facts: Sequence[tuple[str, str]]
    """What was attacked, as name and value."""
    config: Mapping[str, Any]
    """The whole configuration as nested plain values."""
    config_yaml: str
    """The same configuration as YAML that can be saved and run."""
    versions: Mapping[str, str]
    """Packages and platform by name."""
    seconds: Mapping[str, float]
    """Wall time of each stage, in seconds."""
    reconstructions: Tensor
    """What the attack made of what it saw, `[n, c, h, w]`, c 1 or 3."""
    curves: Mapping[str, Sequence[float]]
    """Training curves by name."""
    knowledge: Sequence[str]
    """What the attacker knew, one sentence each."""
    accepted: Tensor | None = None
    """Whether the verifier accepted each proof, bool `[n]`; none where there were no proofs."""
    norms: Tensor | None = None
    """L2 norm of each proof, `[n]`; none as well."""
    tau: float | None = None
    """The largest norm that was accepted; none as well."""
    notes: Sequence[str] = ()
    """Limits and remarks, one sentence each."""


def render_unscored(page: UnscoredInput) -> str:
    """Write the page: one file, without network and without a script.

    Args:
        page: What the attack made.

    Returns:
        A whole HTML document. It holds what may be images of people: store it privately.
    """
    # Matplotlib takes a second to import, and whoever only asks for help shall not wait for it.
    from palimpsest.report import figures

    style = asset("report.css")
    shown = min(len(page.reconstructions), MOST_IMAGES)
    return template("unscored.html").render(
        page=page,
        policy=content_policy(style, ""),
        style=Markup(style),
        images=encode_images(page.reconstructions[:shown]),
        size=page.reconstructions.shape[-2:],
        training=figures.training_curves(page.curves),
        configuration=configuration(page.config),
        **verified(page),
    )


def verified(page: UnscoredInput) -> dict[str, Any]:
    """What the page says of the verifier: who was accepted, and the norms' picture; none where there were no proofs."""
    from palimpsest.report import figures

    if page.accepted is None or page.norms is None or page.tau is None:
        return {"accepted": None, "norms": None}
    return {"accepted": page.accepted.tolist(), "norms": figures.norm_histogram(page.norms, page.tau)}
