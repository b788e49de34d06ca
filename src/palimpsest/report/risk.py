"""Three grades of residual risk, and the rule by which each is given."""

from enum import StrEnum

from palimpsest.metrics import ForgettingGrade, Grade


class Risk(StrEnum):
    """The residual risk, from the highest grade to the lowest; `UNKNOWN` is no grade."""

    HIGH = "high"
    MEDIUM = "medium"
    UNKNOWN = "unknown"
    LOW = "low"


RULES = {
    Risk.HIGH: "An attack rebuilds or recognizes data that was to be forgotten.",
    Risk.MEDIUM: "Only a recipient who already holds candidate data can find out which of it was to be forgotten.",
    Risk.LOW: (
        "No attack found anything, and the same attacks are known to work on data with known content; or the defense's "
        "noise limits what any attack on one proof can find."
    ),
    Risk.UNKNOWN: "No attack found anything, but nothing shows that a leak would have been found.",
}
"""The rule by which each grade is given to what the proofs or gradients reveal."""

FORGETTING_RULES = {
    Risk.HIGH: "A test recognizes the forgotten data in the unlearned model no less clearly than before unlearning.",
    Risk.MEDIUM: "A test still recognizes the forgotten data in the unlearned model, but less clearly than before.",
    Risk.LOW: (
        "No test recognizes it, and a test did before unlearning; or the model equals one retrained without the data."
    ),
    Risk.UNKNOWN: "No test recognizes it, but none did before unlearning; or nothing was tested.",
}
"""The rule by which each grade is given to whether the model has forgotten."""

COMBINED = "The residual risk is the higher of the two grades, and it is low only if both are low."
"""The rule by which the residual risk follows from the two grades."""

RISKS = {
    Grade.LEAKS: Risk.HIGH,
    Grade.LEAKS_TO_CANDIDATE_HOLDERS: Risk.MEDIUM,
    Grade.NO_LEAK_FOUND: Risk.LOW,
    Grade.INCONCLUSIVE: Risk.UNKNOWN,
}
"""The risk of each verdict."""

FORGETTING_RISKS = {
    ForgettingGrade.NOT_FORGOTTEN: Risk.HIGH,
    ForgettingGrade.TRACES_REMAIN: Risk.MEDIUM,
    ForgettingGrade.NO_TRACE_FOUND: Risk.LOW,
    ForgettingGrade.INCONCLUSIVE: Risk.UNKNOWN,
}
"""The risk of each verdict on forgetting."""


def combined(*risks: Risk) -> Risk:
    """Return the residual risk: the first of high, medium, unknown and low that is among the grades.

    Args:
        risks: The grade of each question, at least one.
    """
    return next(risk for risk in Risk if risk in risks)
