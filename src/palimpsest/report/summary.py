"""The conclusions of a run in plain words, for readers who decide about the proofs and are no engineers."""

from dataclasses import dataclass

from palimpsest.metrics import ForgettingGrade, forgetting_table, judge_forgetting, limits_every_attack
from palimpsest.report.inputs import ReportInput
from palimpsest.report.limits import damage, untested
from palimpsest.report.next_steps import next_steps
from palimpsest.report.risk import FORGETTING_RISKS, RISKS, Risk
from palimpsest.report.scores import INTERVAL, count, percent


@dataclass(frozen=True)
class Summary:
    """The conclusion of a run without technical terms.

    Args:
        risk: The grade of what the proofs or gradients reveal.
        sentences: What was found about it and what it means, two sentences.
        forgetting_risk: The grade of whether the model has forgotten.
        forgetting: What was found about it, one sentence.
        steps: What to do next, the most urgent step first; three sentences.
        damage: A warning that unlearning damaged the model; empty if it did not.
        untested: What the run did not test, one phrase each.
    """

    risk: Risk
    sentences: tuple[str, str]
    forgetting_risk: Risk
    forgetting: str
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
        forgetting_risk=FORGETTING_RISKS[judge_forgetting(page.metrics).grade],
        forgetting=_forgetting(page),
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


def _forgetting(page: ReportInput) -> str:
    """Say whether the model has forgotten."""
    found, data = judge_forgetting(page.metrics), page.noun
    if found.exact:
        return f"The model equals one that was trained again from the start without the forgotten {data}."
    if found.grade is ForgettingGrade.NOT_FORGOTTEN:
        return (
            f"The unlearned model still shows which {data} were to be forgotten, no less clearly than before "
            "unlearning."
        )
    if found.grade is ForgettingGrade.TRACES_REMAIN:
        return f"The unlearned model still shows which {data} were to be forgotten, but less clearly than before."
    if found.grade is ForgettingGrade.NO_TRACE_FOUND:
        return (
            f"The tests that recognized the forgotten {data} in the original model do not recognize them in the "
            "unlearned one. Other tests may."
        )
    if forgetting_table(page.metrics):
        return (
            f"This test can't tell whether the model has forgotten, because it does not recognize the {data} in the "
            "original model either."
        )
    return "Whether the model has forgotten was not tested."


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
        f"In this test, {right} of {count(scores.count)} forgotten {data} were recognized ({percent(rate.value)}, "
        f"{INTERVAL} {percent(rate.interval[0])} to {percent(rate.interval[1])}); guessing would "
        f"recognize about {count(lucky)}."
    )


def _linked(page: ReportInput) -> str:
    linkage, scores = page.metrics.linkage, page.metrics.reconstruction
    if linkage is None or scores is None:
        return f"In this test, {page.evidence} were matched to their {page.noun}"
    low, high = linkage.intervals[0]
    return (
        f"In this test, {count(linkage.identified * scores.count)} of {count(scores.count)} {page.evidence} were "
        f"matched to the right one of the possible {page.noun} ({percent(linkage.identified)}, {INTERVAL} "
        f"{percent(low)} to {percent(high)}; guessing would match about "
        f"{count(max(1, round(linkage.chance * scores.count)))})"
    )
