"""The page of an attack on samples that are not images: a table of reconstructed and forgotten samples."""

from markupsafe import Markup

from palimpsest.report.inputs import ReportInput
from palimpsest.report.render import asset, content_policy, template
from palimpsest.report.tables import configuration, score_rows
from palimpsest.report.unscored import verified
from palimpsest.report.verdict import Verdict

MOST_SAMPLES = 200
"""The largest number of reconstructions on the page. The run folder holds all of them."""


def render_samples(page: ReportInput, verdict: Verdict) -> str:
    """Render the page: one file that loads nothing and has no script.

    Args:
        page: The contents of the page.
        verdict: The verdict of `judge` on the page.

    Returns:
        A whole HTML document. It may hold personal data and must be kept private.
    """
    # Imported late, because Matplotlib takes half a second to import.
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
