"""Sentences about the control groups: does the attack work because the samples were forgotten?"""

from collections.abc import Iterator

from palimpsest.metrics import ControlGroupMetrics, Metrics, closer_than_constant
from palimpsest.report.scores import count, number

NAMES = {"retained": "retained", "never_trained": "never-trained"}
"""The groups in words, in the order of the page."""


def control_group_sentences(metrics: Metrics) -> Iterator[str]:
    """Yield what the control groups show, as far as the intervals allow.

    Args:
        metrics: The metrics of a run.
    """
    groups = {name: metrics.control_groups[name] for name in NAMES if name in metrics.control_groups}
    scores = metrics.reconstruction
    if not groups or scores is None:
        return
    errors = [f"{number(scores.mse)} on the forgotten samples"]
    errors += [_measured(NAMES[name], group) for name, group in groups.items()]
    yield (
        "The same trained attack was tried on gradient differences of other samples. Its mean squared error is "
        f"{', '.join(errors[:-1])}, and {errors[-1]}."
    )
    if not closer_than_constant(metrics):
        return
    if "retained" in groups:
        yield _about_retained(groups["retained"])
    if "never_trained" in groups:
        yield _about_never_trained(groups["never_trained"])


def _measured(name: str, group: ControlGroupMetrics) -> str:
    low, high = group.difference_interval
    classes = "" if group.same_classes else " of other classes"
    return (
        f"{number(group.mse)} on {count(group.count)} {name} ones{classes} (difference {number(group.difference)}, "
        f"unpaired 95 % interval {number(low)} to {number(high)})"
    )


def _about_retained(group: ControlGroupMetrics) -> str:
    if not group.same_classes:
        return (
            "The retained samples have other classes than the forgotten ones, which may be easier or harder to "
            "reconstruct, so their error shows nothing about forgetting."
        )
    if group.closer:
        return (
            "Forgotten samples are reconstructed more closely than retained ones, so part of the leak is specific to "
            "the forgotten samples."
        )
    if group.farther:
        return (
            "Retained samples are reconstructed even more closely than forgotten ones. The proofs leak because they "
            "are gradient differences of samples, and not because these samples were forgotten."
        )
    return (
        "No difference between forgotten and retained samples is shown. As far as this test can tell, the proofs leak "
        "because they are gradient differences of samples, and not because these samples were forgotten."
    )


def _about_never_trained(group: ControlGroupMetrics) -> str:
    if not group.same_classes:
        return "The never-trained samples have other classes, so their error shows nothing about training."
    if group.closer:
        return (
            "Samples that were never trained are reconstructed less closely than forgotten ones, so some of the leak "
            "depends on the samples' part in training."
        )
    if group.farther:
        return "Samples that were never trained are reconstructed even more closely than forgotten ones."
    return "No difference between forgotten and never-trained samples is shown."
