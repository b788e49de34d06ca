"""Findings and notes about aggregated proofs."""

from collections.abc import Iterator

from palimpsest.metrics import Metrics, Rate
from palimpsest.metrics.schema_aggregation import AggregationMetrics
from palimpsest.report.scores import count, number, percent

_STATISTICS = {
    "product": "the inner product of the proof and the candidate's gradient difference",
    "alignment": "the cosine of the proof and the candidate's gradient difference",
    "imitation": "the cosine of the proof and the auditor's imitation of the candidate's proof",
    "whitened": "the likelihood ratio of Gaussian gradient differences",
}


def aggregation_findings(metrics: Metrics) -> Iterator[str]:
    """Yield the findings about the groups of samples that share a proof.

    Args:
        metrics: The metrics of a run. Without aggregated proofs, there are no findings.
    """
    aggregation = metrics.aggregation
    if aggregation is None:
        return
    mean, reading = aggregation.group_mean, metrics.score("mse")
    if mean is not None and mean.mse is not None and reading is not None:
        yield (
            f"Each of the {count(aggregation.proofs)} proofs belongs to {sizes(aggregation)} images. An attacker who "
            f"recovered the exact mean image of every group would have a mean squared error of {number(mean.mse)}; "
            f"this attack has {number(reading.value)}."
        )
    linkage = aggregation.linkage
    if linkage is None:
        return
    yield (
        "An auditor who has candidates can test which of them are behind a proof, by "
        f"{_STATISTICS[linkage.statistic]}. The area under the ROC curve is {_bracket(linkage.auc)} against images "
        f"that were never trained on{_others(linkage.auc_other_groups)}; 0.5 is chance. At the threshold that the "
        f"auditor chose on its own groups, {percent(linkage.accuracy.value)} of the answers are correct (95 % interval "
        f"{percent(linkage.accuracy.low)} to {percent(linkage.accuracy.high)}; chance 50 %)."
    )


def aggregation_notes(metrics: Metrics) -> Iterator[str]:
    """Yield the notes about aggregated proofs: what is scored, and which checks apply in another way or not at all.

    Args:
        metrics: The metrics of a run.
    """
    aggregation = metrics.aggregation
    if aggregation is None:
        return
    whose = "of a client" if aggregation.granularity == "client" else "of all clients"
    yield (
        f"Each proof is the mean of the gradient differences of {sizes(aggregation)} forgotten images {whose}. Every "
        "image is listed with the verdict, the norm and the reconstruction of its group. If the verifier's threshold "
        "(tau) was calibrated, then on groups of the same sizes, drawn from images that were never trained on."
    )
    if metrics.soundness is not None:
        yield (
            "The challenges of the spot check are groups of the auditor's own images. A party must return a proof of "
            "such a group alone, so a single sum over all clients, as in secure aggregation, can't answer a challenge."
        )
        if aggregation.proofs == 1:
            yield (
                "There is a single proof, so the areas of the checks that look at the proofs themselves rest on one "
                "honest and one forged proof."
            )
    if aggregation.same_classes is False:
        yield (
            "Too few images of the forgotten classes were held out. The linkage attack's strangers therefore have any "
            "class, and its area also measures how much the class of an image tells."
        )
    if aggregation.linkage is not None and metrics.positive_control is None:
        yield (
            "There is no positive control: none was asked for (attack.control_size is 0), or the images that can be "
            "kept aside are too few for two groups of this size."
        )


def sizes(aggregation: AggregationMetrics) -> str:
    """Return the number of samples behind a proof as text, such as `16` or `16 to 21`.

    Args:
        aggregation: The section of the metrics.
    """
    smallest, largest = aggregation.smallest, aggregation.largest
    return count(smallest) if smallest == largest else f"{count(smallest)} to {count(largest)}"


def _bracket(rate: Rate) -> str:
    return f"{number(rate.value)} (95 % interval {number(rate.low)} to {number(rate.high)})"


def _others(rate: Rate | None) -> str:
    return f", and {_bracket(rate)} against the forgotten images of other groups" if rate else ""
