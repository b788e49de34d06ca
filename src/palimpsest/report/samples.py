"""The page of an attack on samples that are not images: reconstructed and forgotten samples in one table."""

from markupsafe import Markup

from palimpsest.report.inputs import ReportInput
from palimpsest.report.render import asset, content_policy, template
from palimpsest.report.tables import configuration, score_rows
from palimpsest.report.unscored import verified
from palimpsest.report.verdict import Verdict

MOST_SAMPLES = 200
"""Reconstructions that the page shows; the run's folder holds all of them."""


def render_samples(page: ReportInput, verdict: Verdict) -> str:
    """Write the page: one file, without network and without a script.

    Args:
        page: What the attack made.
        verdict: What `judge` says of the page.

    Returns:
        A whole HTML document. It holds what may be people's data: store it privately.
    """
    # Imported late: Matplotlib takes a second.
    from palimpsest.report import figures

    style = asset("report.css")
    return template("samples.html").render(
        page=page,
        verdict=verdict,
        policy=content_policy(style, ""),
        style=Markup(style),
        training=figures.training_curves(page.history),
        configuration=configuration(page.config),
        score_rows=score_rows(page.metrics) if page.metrics.reconstruction else None,
        **verified(page),
    )
