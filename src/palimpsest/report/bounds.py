"""Sentences about the limits of any attack on the proofs of a run."""

from palimpsest.metrics import BoundsMetrics, Metrics
from palimpsest.report.scores import bounded, count, number, percent

NOT_COVERED = (
    "The bounds hold for one proof of each sample, given everything else that the attacker knows. They do not cover "
    "what the two models reveal about the samples that they were trained on."
)
"""Limits of every bound on a page."""


def bound_sentences(metrics: Metrics) -> list[str]:
    """Return one sentence each about identification, error and privacy loss; the reason if there is no bound.

    Args:
        metrics: The metrics of a run. Without bounds, the list is empty.
    """
    bounds = metrics.bounds
    if bounds is None:
        return []
    reason = [] if bounds.reason is None else [f"{bounds.reason[0].upper()}{bounds.reason[1:]}."]
    return [*reason, *_identification(metrics, bounds), *_error(metrics, bounds), *_epsilon(bounds)]


def _identification(metrics: Metrics, bounds: BoundsMetrics) -> list[str]:
    found, linkage = bounds.identification, metrics.linkage
    if found is None or found.bound is None:
        return []
    first = "No linkage attack was run"
    if linkage is not None:
        low, high = linkage.intervals[0]
        first = (
            f"The linkage attack links {percent(linkage.identified)} of the proofs (95 % interval {percent(low)} to "
            f"{percent(high)})"
        )
    best = (
        ""
        if found.optimum is None
        else f"the best possible attack on one proof {bounded(found.optimum, found.optimum_interval)}, "
    )
    any_candidates = (
        ""
        if found.any_candidates_bound is None
        else f" (any {count(found.candidates)} candidates: {percent(found.any_candidates_bound)})"
    )
    return [
        f"{first}, {best}a guess {percent(found.chance)}; no attack on one proof exceeds {percent(found.bound)} in "
        f"expectation{any_candidates}."
    ]


def _error(metrics: Metrics, bounds: BoundsMetrics) -> list[str]:
    error, reading = bounds.error, metrics.score("mse")
    if error is None:
        return []
    low, high = error.bayes_interval
    reached = ""
    if reading is not None and reading.interval is not None:
        ends = f"{number(reading.interval[0])} to {number(reading.interval[1])}"
        reached = f"The attack has a mean squared error of {number(reading.value)} (95 % interval {ends}); "
    sentence = (
        f"{reached}no attack has less than {number(error.bayes_error)} (95 % interval {number(low)} to {number(high)}) "
        "in expectation if forgotten and auxiliary samples are drawn from one distribution"
    )
    if error.van_trees is not None:
        sentence += (
            f", and none that knows the labels less than {number(error.van_trees)} if the images of a class "
            "were Gaussian"
        )
    return [f"{sentence[0].upper()}{sentence[1:]}."]


def _epsilon(bounds: BoundsMetrics) -> list[str]:
    found = bounds.epsilon
    if found is None:
        return []
    sentence = (
        f"A test of the release between two auxiliary samples shows a privacy loss of at least ε = "
        f"{number(found.measured)} at δ = {found.delta:g} (95 %), and one release of {count(found.canaries)} canaries "
        f"at least {number(found.one_run)}"
    )
    if found.analytic is None:
        return [f"{sentence}; the defense guarantees no limit."]
    anywhere = (
        "" if found.any_samples is None else f", and {number(found.any_samples)} between any two samples"
    )
    return [
        f"{sentence}; the noise guarantees at most {number(found.analytic)} between these two samples{anywhere}."
    ]
