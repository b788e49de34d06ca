"""The summary on top of a page, for readers who decide about the proofs and are no engineers."""

from dataclasses import dataclass
from enum import StrEnum

from palimpsest.metrics import Grade, limits_every_attack
from palimpsest.report.inputs import ReportInput
from palimpsest.report.limits import damage, untested
from palimpsest.report.next_steps import next_steps
from palimpsest.report.scores import count, percent


class Risk(StrEnum):
    """The risk of passing on what was attacked, one for each verdict."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    UNKNOWN = "unknown"


RULES = {
    Risk.HIGH: "An attack rebuilds or recognizes data that was to be forgotten.",
    Risk.MEDIUM: "Only a recipient who already holds candidate data can find out which of it was to be forgotten.",
    Risk.LOW: "No attack found anything, and the same attacks are known to work on data with known content.",
    Risk.UNKNOWN: "No attack found anything, but nothing shows that a leak would have been found.",
}
"""The rule by which each grade is given."""

RISKS = {
    Grade.LEAKS: Risk.HIGH,
    Grade.LEAKS_TO_CANDIDATE_HOLDERS: Risk.MEDIUM,
    Grade.NO_LEAK_FOUND: Risk.LOW,
    Grade.INCONCLUSIVE: Risk.UNKNOWN,
}
"""The risk of each verdict."""


@dataclass(frozen=True)
class Summary:
    """The conclusion of a run without technical terms.

    Args:
        risk: The grade.
        sentences: What was found and what it means, two sentences.
        steps: What to do next, the most urgent step first; three sentences.
        damage: A warning that unlearning damaged the model; empty if it did not.
        untested: What the run did not test, one phrase each.
    """

    risk: Risk
    sentences: tuple[str, str]
    steps: tuple[str, ...]
    damage: str
    untested: tuple[str, ...]


def summarize(page: ReportInput) -> Summary:
    """Summarize a run for readers who are no engineers.

    Args:
        page: The contents of the page.
    """
    grade = page.verdict.grade
    risk = RISKS[grade]
    warning = damage(page.metrics)
    return Summary(
        risk=risk,
        sentences=_sentences(page, risk),
        steps=next_steps(page, grade, damaged=bool(warning)),
        damage=warning,
        untested=tuple(untested(page)),
    )


def _sentences(page: ReportInput, risk: Risk) -> tuple[str, str]:
    data, sent = page.noun, page.evidence
    if risk is Risk.HIGH:
        return f"Whoever receives these {sent} can rebuild or recognize {data} that were to be forgotten.", (
            _recognized(page)
        )
    if risk is Risk.MEDIUM:
        return (
            f"Whoever receives these {sent} and already holds possible {data} can find out which of them were to be "
            "forgotten.",
            f"{_linked(page)}, but the attack could not rebuild the {data} from the {sent} alone.",
        )
    if risk is Risk.LOW and limits_every_attack(page.metrics):
        return (
            f"The attacks that were tried did not recover the forgotten {data} from these {sent}, and the defense's "
            "noise limits what any attack on one of them can do.",
            "The limits do not cover what the two models reveal, nor several proofs of one sample.",
        )
    if risk is Risk.LOW:
        return (
            f"The attacks that were tried did not recover the forgotten {data} from these {sent}, although the same "
            f"attacks recover {data} whose content is known.",
            "This lowers the risk but does not exclude it, because another attack may recover more.",
        )
    if page.metrics.reconstruction is None:
        return (
            f"This test can't tell whether these {sent} reveal the forgotten {data}.",
            f"The forgotten {data} were not supplied, so the attack's results could not be compared with them.",
        )
    return (
        f"This test can't tell whether these {sent} reveal the forgotten {data}.",
        "Nothing was recovered for certain, and nothing shows that a leak would have been found.",
    )


def _recognized(page: ReportInput) -> str:
    metrics, data = page.metrics, page.noun
    rate = metrics.rate("identification_top1")
    scores = metrics.reconstruction
    if scores is None or rate is None or rate.interval is None or rate.chance is None:
        return f"In this test, the attack succeeded on the {page.evidence} of forgotten {data}."
    if rate.interval[0] <= rate.chance:
        return (
            f"In this test, the rebuilt {data} came closer to the originals than a guess without the {page.evidence} "
            "comes."
        )
    right, lucky = count(rate.value * scores.count), max(1, round(rate.chance * scores.count))
    return (
        f"In this test, {right} of {count(scores.count)} forgotten {data} were recognized ({percent(rate.value)}); "
        f"guessing would recognize about {count(lucky)}."
    )


def _linked(page: ReportInput) -> str:
    linkage, scores = page.metrics.linkage, page.metrics.reconstruction
    if linkage is None or scores is None:
        return f"In this test, {page.evidence} were matched to their {page.noun}"
    return (
        f"In this test, {count(linkage.identified * scores.count)} of {count(scores.count)} {page.evidence} were "
        f"matched to the right one of the possible {page.noun} (guessing would match about "
        f"{count(max(1, round(linkage.chance * scores.count)))})"
    )
