"""The page of an attack that was not scored, because the forgotten images are unknown."""

from typing import Any

from markupsafe import Markup

from palimpsest.report.gallery import encode_images
from palimpsest.report.inputs import ReportInput
from palimpsest.report.render import asset, content_policy, template
from palimpsest.report.tables import configuration

MOST_IMAGES = 600
"""The largest number of reconstructions on the page. The run folder holds all of them."""


def render_unscored(page: ReportInput) -> str:
    """Render the page: one file that loads nothing and has no script.

    Args:
        page: The contents of the page.

    Returns:
        A whole HTML document. It may hold images of people and must be kept private.
    """
    # Imported late, because Matplotlib takes half a second to import.
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
    """Return which proofs were accepted, and the plot of their norms; both are None if there were no proofs.

    Args:
        page: The contents of the page.
    """
    from palimpsest.report import figures

    verification = page.metrics.verification
    if page.accepted is None or page.norms is None or verification is None:
        return {"accepted": None, "norms": None}
    return {
        "accepted": page.accepted.tolist(),
        "norms": figures.norm_histogram(page.norms, verification.tau),
    }
