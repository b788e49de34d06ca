"""The verdict on a run in plain words; a failed attack is never called protection."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from torch import Tensor

from palimpsest.metrics import Forgetting, Metrics, VerificationMetrics, binomial_interval
from palimpsest.report.inputs import ReportInput
from palimpsest.report.scores import count, number, percent
from palimpsest.report.worth import baseline_failed, worth_findings


class Level(StrEnum):
    """How much this attack recovered."""

    RECOVERED = "recovered"
    """Images are told apart beyond what their class explains, and are closer than the mean image."""
    TOLD_APART = "told apart"
    """Images are told apart beyond what their class explains, but their pixels are no closer."""
    TRACES = "traces"
    """More than chance or closer than the mean image, but no more than the class would explain."""
    NOT_RECOVERED = "not recovered"
    """Neither better than chance nor closer than the mean image."""
    NOT_SCORED = "not scored"
    """The forgotten samples are unknown."""


_HEADLINES = {
    Level.RECOVERED: "Forgotten images can be read back.",
    Level.TOLD_APART: "Forgotten images can be told apart, but their pixels are no closer than a mean image.",
    Level.TRACES: (
        "The reconstructions carry traces of the forgotten images, but no more than their class may explain."
    ),
    Level.NOT_RECOVERED: "This attack did not recover the forgotten images; that is no proof of safety.",
}

BASELINE_FAILED = "This attack failed without the defense as well: nothing was learned about the defense."

_INTERVAL = "95\N{NO-BREAK SPACE}% interval"


@dataclass(frozen=True)
class Identification:
    """How many reconstructions are nearest to the image that they should show."""

    right: int
    count: int
    chance: float
    """Share that a guess gets right."""
    class_chance: float
    """Share that a guess among the images of the right class gets right."""
    interval: tuple[float, float]
    """Exact 95 % interval of the share."""

    @property
    def above_chance(self) -> bool:
        """The whole interval lies above chance."""
        return self.interval[0] > self.chance

    @property
    def above_class(self) -> bool:
        """The whole interval lies above what knowing the class would give."""
        return self.above_chance and self.interval[0] > self.class_chance


@dataclass(frozen=True)
class Verdict:
    """What can be said, from the most important sentence to the least."""

    level: Level
    headline: str
    findings: tuple[str, ...]
    identification: Identification | None = None
    """None where the forgotten samples are unknown."""

    def __str__(self) -> str:
        return "\n".join([self.headline, *self.findings])


def judge(page: ReportInput) -> Verdict:
    """Say what a run's numbers show.

    An attack counts as better than chance only where the whole exact binomial interval of its first guesses
    lies above chance, and as closer only where the whole interval of its MSE lies below the mean image's MSE.
    A reconstruction that shows nothing but the class already beats chance: with C classes among n images it
    is right C times, so that an image is only called told apart where the interval lies above C / n as well.

    Args:
        page: What was measured, and whose samples they are.

    Returns:
        Level, headline and findings.
    """
    if page.metrics.reconstruction is None:
        return _unscored(page)
    if page.originals is None:
        return judge_samples(page.metrics, page.kind)
    metrics = page.metrics
    _, labels = page.truth
    identification = identify(metrics, classes=int(labels.unique().numel()))
    comparison, closer = _compare_with_mean_image(metrics)
    level = _level(identification, closer=closer)
    findings = [_told_apart(identification), comparison]
    if level is Level.NOT_RECOVERED:
        findings.append(
            "Another attack, more auxiliary images or longer training may do better than this attack did: "
            "its failure bounds nothing."
        )
    if metrics.verification:
        findings.append(_verification(metrics.verification))
    findings += worth_findings(metrics)
    findings += _absent_clients(page.owners, page.participation) + _accuracy(metrics.forgetting)
    headline = _HEADLINES[level]
    if level is Level.NOT_RECOVERED and baseline_failed(metrics):
        headline = BASELINE_FAILED
    return Verdict(level, headline, tuple(findings), identification)


def _unscored(page: ReportInput) -> Verdict:
    total = count(len(page.reconstructions))
    verification = page.metrics.verification
    if verification is None:
        headline = f"{total} forgotten samples were reconstructed from gradients; without the truth nothing is scored."
        return Verdict(Level.NOT_SCORED, headline, ())
    accepted = (
        f"The verifier accepted {count(verification.accepted)} of them (norm at most tau = "
        f"{number(verification.tau)})."
    )
    headline = f"{total} proofs were turned into {page.kind}; without the truth nothing is scored."
    return Verdict(Level.NOT_SCORED, headline, (accepted,))


def identify(metrics: Metrics, *, classes: int) -> Identification:
    """The first guesses, with their interval.

    Args:
        metrics: What was measured.
        classes: Number of different classes of the forgotten images.
    """
    scores = metrics.reconstruction
    assert scores is not None, "the attack was scored"
    total = scores.count
    right = round(scores.identification_top1 * total)
    chance = metrics.chance.get("identification_top1", 1 / total)
    return Identification(right, total, chance, classes / total, binomial_interval(right, total))


def _level(identification: Identification, *, closer: bool) -> Level:
    if identification.above_class:
        return Level.RECOVERED if closer else Level.TOLD_APART
    return Level.TRACES if identification.above_chance or closer else Level.NOT_RECOVERED


def _told_apart(found: Identification) -> str:
    if found.count == 1:
        return "Only one image was forgotten, so that there is none to tell it apart from."
    lower, upper = found.interval
    sentence = (
        f"{count(found.right)} of {count(found.count)} forgotten images can be told apart from the others by "
        f"their reconstruction ({percent(found.right / found.count)}, {_INTERVAL} {percent(lower)} to "
        f"{percent(upper)}); chance is {_images(found.chance * found.count)}"
    )
    if found.class_chance > found.chance:
        sentence += f", and knowing the class alone gives {_images(found.class_chance * found.count)}"
    if found.above_class:
        return sentence + "."
    if found.above_chance:
        return sentence + ": more than chance, but no more than the class explains."
    return sentence + ": not more than chance."


def _images(expected: float) -> str:
    return count(expected) if abs(expected - round(expected)) < 0.05 else f"{expected:,.1f}"


def _compare_with_mean_image(metrics: Metrics) -> tuple[str, bool]:
    reading = metrics.score("mse")
    assert reading is not None, "images have an error"
    assert reading.interval is not None, "the error has an interval"
    ours, (lower, upper) = reading.value, reading.interval
    mean_image = metrics.baselines["mean_image"].mse or 0.0
    sentence = (
        f"The mean squared error is {number(ours)} ({_INTERVAL} {number(lower)} to {number(upper)}); "
        f"answering with the mean auxiliary image every time gives {number(mean_image)}: "
    )
    if upper < mean_image:
        return sentence + "the reconstructions are closer.", True
    if lower > mean_image:
        return sentence + "the reconstructions are farther away.", False
    return sentence + "the interval holds both, so that no difference is shown.", False


def _verification(verification: VerificationMetrics) -> str:
    return (
        f"The verifier accepted {count(verification.accepted)} of {count(verification.count)} proofs (norm at most "
        f"tau = {number(verification.tau)}). Acceptance says that a norm is small and nothing else: a proof of "
        "zeros, made without any unlearning, would be accepted too."
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
        f"No round used a reply of {who}: those images never reached the original model, and there was "
        "nothing of them to forget."
    ]


def _accuracy(forgetting: Forgetting | None) -> list[str]:
    if forgetting is None:
        return []
    before, after = forgetting.original, forgetting.unlearned
    # The test images stand beside them: alone, a fall reads as forgetting, also where the model became worse at all.
    return [
        f"The model classified {percent(before.forgotten)} of the forgotten images correctly before unlearning and "
        f"{percent(after.forgotten)} after it; of test images, which it never saw, {percent(before.test)} and "
        f"{percent(after.test)}."
    ]


def judge_samples(metrics: Metrics, kind: str) -> Verdict:
    """Say what an attack's numbers show of samples that are not images.

    Args:
        metrics: What was measured.
        kind: What the samples are, such as "rows of a table".
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
        level, headline = Level.RECOVERED, "Forgotten samples can be read back."
    elif identification.above_chance or closer:
        level, headline = Level.TRACES, "The reconstructions carry traces of the forgotten samples."
    elif baseline_failed(metrics):
        level, headline = Level.NOT_RECOVERED, BASELINE_FAILED
    else:
        level = Level.NOT_RECOVERED
        headline = "This attack did not recover the forgotten samples; that is no proof of safety."
    if name == "mse":
        comparison = (
            f"The mean squared error is {number(reading.value)} ({number(ends[0])} to {number(ends[1])}), each column "
            f"in units of its deviation; answering with the mean row every time gives {number(usual)}."
        )
    else:
        comparison = (
            f"{percent(reading.value)} of the tokens are right and in place ({percent(ends[0])} to "
            f"{percent(ends[1])}); answering with each place's most frequent token gives {percent(usual)}."
        )
    findings = [
        f"{count(right)} of {count(total)} forgotten {kind} can be told apart from the others by their reconstruction "
        f"({percent(right / total)}, 95 % interval {percent(low)} to {percent(high)}); chance is 1.",
        comparison,
    ]
    if metrics.verification:
        verification = metrics.verification
        findings.append(
            f"The verifier accepted {count(verification.accepted)} of {count(verification.count)} proofs (norm at most "
            f"tau = {number(verification.tau)})."
        )
    findings += (
        sentence.replace("images", "samples")
        .replace("the image", "the sample")
        .replace("the mean image", "one answer to everything")
        for sentence in worth_findings(metrics)
    )
    return Verdict(level, headline, tuple(findings), identification)
