"""The page of an attack without the forgotten images: reconstructions that nothing was compared with."""

from typing import Any

from markupsafe import Markup

from palimpsest.report.gallery import encode_images
from palimpsest.report.inputs import ReportInput
from palimpsest.report.render import asset, content_policy, template
from palimpsest.report.tables import configuration

MOST_IMAGES = 600
"""Reconstructions that the page shows; the run's folder holds all of them."""


def render_unscored(page: ReportInput) -> str:
    """Write the page: one file, without network and without a script.

    Args:
        page: What the attack made.

    Returns:
        A whole HTML document. It holds what may be images of people: store it privately.
    """
    # Imported late: Matplotlib takes a second.
    from palimpsest.report import figures

    style = asset("report.css")
    shown = min(len(page.reconstructions), MOST_IMAGES)
    return template("unscored.html").render(
        page=page,
        policy=content_policy(style, ""),
        style=Markup(style),
        images=encode_images(page.reconstructions[:shown]),
        size=page.reconstructions.shape[-2:],
        training=figures.training_curves(page.history),
        configuration=configuration(page.config),
        **verified(page),
    )


def verified(page: ReportInput) -> dict[str, Any]:
    """Which proofs were accepted, and the norms' picture; None where there were no proofs.

    Args:
        page: What the attack made.
    """
    from palimpsest.report import figures

    verification = page.metrics.verification
    if page.accepted is None or page.norms is None or verification is None:
        return {"accepted": None, "norms": None}
    return {
        "accepted": page.accepted.tolist(),
        "norms": figures.norm_histogram(page.norms, verification.tau),
    }
