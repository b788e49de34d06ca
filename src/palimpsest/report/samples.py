"""The page of an attack on samples that are no images: a table of what was reconstructed, and of what was forgotten."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from palimpsest.metrics.rates import binomial_interval
from palimpsest.report.render import asset, content_policy, template
from palimpsest.report.scores import count, number, percent
from palimpsest.report.tables import configuration, score_rows
from palimpsest.report.unscored import UnscoredInput, verified
from palimpsest.report.worth import control_failed, worth_findings

MOST_SAMPLES = 200
"""Reconstructions that the page shows; the run's folder holds all of them."""


@dataclass(frozen=True)
class SamplesInput(UnscoredInput):
    """What `render_samples` puts on the page; n is the number of proofs."""

    kind: str = field(kw_only=True)
    """What the samples are, such as "rows of a table"."""
    findings: Sequence[str] = field(kw_only=True)
    """What came out, one sentence each, the most important first."""
    columns: Sequence[str] = field(kw_only=True)
    """What the columns of a sample are called."""
    cells: Sequence[Sequence[str]] = field(kw_only=True)
    """The first reconstructions as text, a list for each."""
    truth: Sequence[Sequence[str]] = field(kw_only=True)
    """The forgotten samples, the same way; empty where they are not known."""
    metrics: Mapping[str, Any] = field(kw_only=True)
    """The tree of metrics.json."""


def render_samples(page: SamplesInput) -> str:
    """Write the page: one file, without network and without a script.

    Args:
        page: What the attack made.

    Returns:
        A whole HTML document. It holds what may be people's data: store it privately.
    """
    # Matplotlib takes a second to import, and whoever only asks for help shall not wait for it.
    from palimpsest.report import figures

    assert page.accepted is not None, "there were proofs"
    assert page.norms is not None
    assert page.tau is not None
    style = asset("report.css")
    return template("samples.html").render(
        page=page,
        policy=content_policy(style, ""),
        style=Markup(style),
        training=figures.training_curves(page.curves),
        configuration=configuration(page.config),
        score_rows=score_rows(page.metrics) if "reconstruction" in page.metrics else None,
        **verified(page),
    )


def told_of_samples(metrics: Mapping[str, Any], kind: str) -> list[str]:
    """What an attack's numbers show of samples that are no images, from the most important sentence to the least.

    Args:
        metrics: The tree of metrics.json.
        kind: What the samples are.
    """
    scores, typical = metrics["reconstruction"], metrics["baselines"]["typical"]
    total = scores["count"]
    right = round(scores["identification_top1"] * total)
    low, high = binomial_interval(right, total)
    name = "mse" if "mse" in scores else "tokens_right"
    ends = metrics["intervals"][name]
    closer = ends[1] < typical[name] if name == "mse" else ends[0] > typical[name]
    apart = low > metrics["chance"]["identification_top1"]
    if apart and closer:
        headline = "Forgotten samples can be read back."
    elif apart or closer:
        headline = "The reconstructions carry traces of the forgotten samples."
    elif control_failed(metrics):
        headline = "This attack failed without the defence as well: nothing was learned about the defence."
    else:
        headline = "This attack did not recover the forgotten samples; that is no proof of safety."
    if name == "mse":
        told = (
            f"The mean squared error is {number(scores[name])} ({number(ends[0])} to {number(ends[1])}), each column "
            f"in units of its deviation; answering with the mean row every time gives {number(typical[name])}."
        )
    else:
        told = (
            f"{percent(scores[name])} of the tokens are right and in place ({percent(ends[0])} to {percent(ends[1])}); "
            f"answering with each place's commonest token gives {percent(typical[name])}."
        )
    verification = metrics["verification"]
    asked = verification["accepted"] + verification["refused"]
    return [
        headline,
        f"{count(right)} of {count(total)} forgotten {kind} can be told apart from the others by their reconstruction "
        f"({percent(right / total)}, 95 % interval {percent(low)} to {percent(high)}); chance is 1.",
        told,
        f"The verifier accepted {count(verification['accepted'])} of {count(asked)} proofs (norm at most tau = "
        f"{number(verification['tau'])}).",
        *(
            sentence.replace("images", "samples")
            .replace("the image", "the sample")
            .replace("the mean image", "one answer to everything")
            for sentence in worth_findings(metrics)
        ),
    ]
