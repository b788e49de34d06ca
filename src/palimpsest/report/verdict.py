"""The verdict on a run in plain words, which never calls a failed attack protection."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from torch import Tensor

from palimpsest.metrics import (
    Grade,
    Metrics,
    VerificationMetrics,
    limits_every_attack,
)
from palimpsest.report.identification import Identification, identified_sentence, identify
from palimpsest.report.inputs import ReportInput
from palimpsest.report.scores import INTERVAL, bounded, count, number, percent
from palimpsest.report.worth import baseline_failed, worth_findings


class Level(StrEnum):
    """Levels of success of an attack."""

    RECOVERED = "recovered"
    """Images are identified beyond what their class explains, and are closer than the mean image."""
    IDENTIFIED = "identified"
    """Images are identified beyond what their class explains, but their pixels are no closer."""
    TRACES = "traces"
    """Better than chance or closer than the mean image, but no better than the class explains."""
    NOT_RECOVERED = "not recovered"
    """Neither better than chance nor closer than the mean image."""
    NOT_SCORED = "not scored"
    """The forgotten samples are unknown."""


_HEADLINES = {
    Level.RECOVERED: "Forgotten images can be reconstructed.",
    Level.IDENTIFIED: (
        "Forgotten images can be identified by their reconstructions, but the pixels are no closer than a mean image."
    ),
    Level.TRACES: (
        "The reconstructions contain traces of the forgotten images, but no more than their class may explain."
    ),
    Level.NOT_RECOVERED: "This attack did not recover the forgotten images. That is no proof of safety.",
}

TITLES = {
    Grade.LEAKS: "Leaks.",
    Grade.LEAKS_TO_CANDIDATE_HOLDERS: "Leaks only to an attacker who holds candidates.",
    Grade.NO_LEAK_FOUND: "No leak found by attacks that work here.",
    Grade.INCONCLUSIVE: "Inconclusive.",
}
"""The four verdicts as sentences."""

FAILED = "Failed attack: worse than its prior, this is not protection."
BASELINE_FAILED = "This attack also fails without the defense, so this run says nothing about the defense."


@dataclass(frozen=True)
class Verdict:
    """The conclusions about a run, from the most important sentence to the least."""

    level: Level
    headline: str
    findings: tuple[str, ...]
    identification: Identification | None = None
    """None if the forgotten samples are unknown."""
    grade: Grade = Grade.INCONCLUSIVE
    """One of the four verdicts; see `reach_verdict`."""

    def __str__(self) -> str:
        """Return all sentences, one on each line."""
        return "\n".join([self.headline, *self.findings])


def judge(page: ReportInput) -> Verdict:
    """Draw conclusions from the metrics of a run.

    An attack counts as better than chance only if the whole exact binomial interval of its top-1 identification lies
    above chance, and as closer only if the whole interval of its MSE lies below the MSE of the mean image. A
    reconstruction that shows only the class already beats chance: with C classes among n images, it identifies C of
    them. Images therefore count as identified only if the interval also lies above C / n.

    Args:
        page: The contents of the page.

    Returns:
        Level, headline and findings.
    """
    if page.metrics.reconstruction is None:
        found = _unscored(page)
    elif page.originals is None:
        found = judge_samples(page.metrics, page.kind)
    else:
        found = _judge_images(page)
    reached = page.verdict
    # The findings describe a leak in more detail than its reasons.
    reasons = () if reached.grade is Grade.LEAKS else reached.reasons
    return replace(
        found,
        grade=reached.grade,
        headline=f"{TITLES[reached.grade]} {found.headline}",
        findings=(*reasons, *found.findings),
    )


def _beyond_this_attack(metrics: Metrics) -> str:
    """Say what a failed attack leaves open."""
    if limits_every_attack(metrics):
        return "Another attack on one proof cannot do much better either: the bounds limit them all."
    return (
        "Another attack, more auxiliary images or longer training may recover more: this failure sets no upper bound "
        "on what can leak."
    )


def _judge_images(page: ReportInput) -> Verdict:
    """Draw conclusions from the metrics of an attack on images."""
    metrics = page.metrics
    _, labels = page.truth
    identification = identify(metrics, classes=int(labels.unique().numel()))
    comparison, closer = _compare_with_mean_image(metrics)
    level = _level(identification, closer=closer)
    findings = [identified_sentence(identification), comparison]
    if level is Level.NOT_RECOVERED:
        findings.append(_beyond_this_attack(metrics))
    if metrics.verification:
        findings.append(_verification(metrics.verification))
    findings += worth_findings(metrics)
    findings += _absent_clients(page.owners, page.participation) + _accuracy(metrics)
    headline = _HEADLINES[level]
    comparison = metrics.prior_comparison
    if level is Level.NOT_RECOVERED and baseline_failed(metrics):
        headline = BASELINE_FAILED
    elif level is Level.NOT_RECOVERED and comparison is not None and comparison.failed:
        headline = FAILED
    return Verdict(level, headline, tuple(findings), identification)


def _unscored(page: ReportInput) -> Verdict:
    total = count(len(page.reconstructions))
    verification = page.metrics.verification
    if verification is None:
        headline = f"{total} forgotten samples were reconstructed from gradients."
        return Verdict(Level.NOT_SCORED, headline, ())
    accepted = (
        f"The verifier accepted {count(verification.accepted)} of them (norm at most tau = "
        f"{number(verification.tau)})."
    )
    headline = f"{total} proofs were turned into {page.kind}."
    return Verdict(Level.NOT_SCORED, headline, (accepted,))


def _level(identification: Identification, *, closer: bool) -> Level:
    if identification.above_class:
        return Level.RECOVERED if closer else Level.IDENTIFIED
    return Level.TRACES if identification.above_chance or closer else Level.NOT_RECOVERED


def _compare_with_mean_image(metrics: Metrics) -> tuple[str, bool]:
    reading = metrics.score("mse")
    assert reading is not None, "images have an error"
    assert reading.interval is not None, "the error has an interval"
    ours, (lower, upper) = reading.value, reading.interval
    mean_image = metrics.baselines["mean_image"].mse or 0.0
    sentence = (
        f"The mean squared error (MSE) of the reconstructions is {number(ours)} ({INTERVAL} {number(lower)} to "
        f"{number(upper)}). Always answering with the mean auxiliary image gives {number(mean_image)}: "
    )
    if upper < mean_image:
        return sentence + "the reconstructions are closer to the originals.", True
    if lower > mean_image:
        return sentence + "the reconstructions are farther from the originals.", False
    return sentence + "the interval includes it, so there is no significant difference.", False


def _verification(verification: VerificationMetrics) -> str:
    return (
        f"The verifier accepted {count(verification.accepted)} of {count(verification.count)} proofs (norm at most "
        f"tau = {number(verification.tau)}). Acceptance only means that a norm is small: a proof of zeros, made "
        "without any unlearning, would be accepted too."
    )


def _absent_clients(owners: Tensor | None, participation: Sequence[int]) -> list[str]:
    if owners is None:
        return []
    idle = [
        client
        for client in owners.unique().tolist()
        if client < len(participation) and participation[client] == 0
    ]
    if not idle:
        return []
    named = ", ".join(str(client) for client in idle[:10]) + (" and others" if len(idle) > 10 else "")
    who = f"client {named}" if len(idle) == 1 else f"{count(len(idle))} clients that forget ({named})"
    return [
        f"No training round used a reply of {who}. These images never reached the original model, so there was "
        "nothing to forget."
    ]


def _accuracy(metrics: Metrics) -> list[str]:
    forgetting = metrics.forgetting
    if forgetting is None:
        return []
    others = "test images, which it never saw" if forgetting.retrained else "the auxiliary images"
    values = {
        (split, model): _accuracy_of(metrics, split, model)
        for split in ("forgotten", "test")
        for model in ("original", "unlearned")
    }
    # Test accuracy is reported too, because a drop on forgotten images alone could also mean a worse model.
    return [
        f"The model classified {values['forgotten', 'original']} of the forgotten images correctly before unlearning "
        f"and {values['forgotten', 'unlearned']} afterwards. On {others}, its accuracy was "
        f"{values['test', 'original']} before and {values['test', 'unlearned']} afterwards."
    ]


def _accuracy_of(metrics: Metrics, split: str, model: str) -> str:
    reading = metrics.rate(f"accuracy_{split}_{model}")
    value = getattr(getattr(metrics.forgetting, model), split)
    return bounded(value, reading and reading.interval)


def judge_samples(metrics: Metrics, kind: str) -> Verdict:
    """Draw conclusions from the metrics of an attack on samples that are not images.

    Args:
        metrics: The metrics of a run; the attack must have been scored.
        kind: The kind of the samples, such as "rows of a table".

    Returns:
        Level, headline and findings.
    """
    scores, typical = metrics.reconstruction, metrics.baselines["typical"]
    assert scores is not None, "the attack was scored"
    identification = identify(metrics, classes=0)
    total, right, (low, high) = identification.count, identification.right, identification.interval
    name = "mse" if scores.mse is not None else "token_accuracy"
    reading, usual = metrics.score(name), typical.score(name)
    assert reading is not None, "samples have one of both scores"
    assert reading.interval is not None, "scores have intervals"
    assert usual is not None, "the baseline has the same scores"
    ends = reading.interval
    closer = ends[1] < usual if name == "mse" else ends[0] > usual
    if identification.above_chance and closer:
        level, headline = Level.RECOVERED, "Forgotten samples can be reconstructed."
    elif identification.above_chance or closer:
        level, headline = Level.TRACES, "The reconstructions contain traces of the forgotten samples."
    elif baseline_failed(metrics):
        level, headline = Level.NOT_RECOVERED, BASELINE_FAILED
    else:
        level = Level.NOT_RECOVERED
        headline = "This attack did not recover the forgotten samples. That is no proof of safety."
    if name == "mse":
        comparison = (
            f"The mean squared error is {number(reading.value)} ({INTERVAL} {number(ends[0])} to {number(ends[1])}), "
            f"with each column in units of its standard deviation. Always answering with the mean row gives "
            f"{number(usual)}."
        )
    else:
        comparison = (
            f"{percent(reading.value)} of the tokens are correct ({INTERVAL} {percent(ends[0])} to "
            f"{percent(ends[1])}). Always answering with the most frequent token of each position gives "
            f"{percent(usual)}."
        )
    findings = [
        f"{count(right)} of {count(total)} forgotten {kind} can be identified by their reconstruction "
        f"({percent(right / total)}, {INTERVAL} {percent(low)} to {percent(high)}). A random guess would identify 1.",
        comparison,
    ]
    if metrics.verification:
        verification = metrics.verification
        findings.append(
            f"The verifier accepted {count(verification.accepted)} of {count(verification.count)} proofs (norm at most "
            f"tau = {number(verification.tau)})."
        )
    findings += (
        sentence.replace("the mean image", "a constant answer").replace("image", "sample")
        for sentence in worth_findings(metrics)
    )
    return Verdict(level, headline, tuple(findings), identification)
