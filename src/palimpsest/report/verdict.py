"""What an audit's numbers allow to say, in plain words; a failed attack is never called protection."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from torch import Tensor

from palimpsest.metrics.rates import binomial_interval
from palimpsest.report.scores import count, number, percent
from palimpsest.report.worth import control_failed, worth_findings


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


_HEADLINES = {
    Level.RECOVERED: "Forgotten images can be read back.",
    Level.TOLD_APART: "Forgotten images can be told apart, but their pixels are no closer than a mean image.",
    Level.TRACES: (
        "The reconstructions carry traces of the forgotten images, but no more than their class may explain."
    ),
    Level.NOT_RECOVERED: "This attack did not recover the forgotten images; that is no proof of safety.",
}

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
    identification: Identification


def judge(
    metrics: Mapping[str, Any],
    *,
    labels: Tensor,
    owners: Tensor | None = None,
    participation: Sequence[int] = (),
    forgetting: Mapping[str, Any] | None = None,
) -> Verdict:
    """Say what an audit's numbers show.

    An attack counts as better than chance only where the whole exact binomial interval of its first guesses
    lies above chance, and as closer only where the whole interval of its MSE lies below the mean image's MSE.
    A reconstruction that shows nothing but the class already beats chance: with C classes among n images it
    is right C times, so that an image is only called told apart where the interval lies above C / n as well.

    Args:
        metrics: The tree of metrics.json.
        labels: Classes of the forgotten images, `[n]`.
        owners: The client of each forgotten image, `[n]`.
        participation: In how many rounds each client's reply was used.
        forgetting: As in `ReportInput.forgetting`.

    Returns:
        Level, headline and findings.
    """
    identification = identify(metrics, classes=int(labels.unique().numel()))
    comparison, closer = _compare_with_mean_image(metrics)
    level = _level(identification, closer=closer)
    findings = [_told_apart(identification), comparison]
    if level is Level.NOT_RECOVERED:
        findings.append(
            "Another attack, more auxiliary images or longer training may do better than this attack did: "
            "its failure bounds nothing."
        )
    if "verification" in metrics:
        findings.append(_verification(metrics["verification"]))
    findings += worth_findings(metrics)
    findings += _absent_clients(owners, participation) + _accuracy(forgetting)
    headline = _HEADLINES[level]
    if level is Level.NOT_RECOVERED and control_failed(metrics):
        headline = "This attack failed without the defence as well: nothing was learned about the defence."
    return Verdict(level, headline, tuple(findings), identification)


def identify(metrics: Mapping[str, Any], *, classes: int) -> Identification:
    """Read the first guesses out of the metrics, with their interval.

    Args:
        metrics: The tree of metrics.json.
        classes: How many different classes the forgotten images have.
    """
    scores = metrics["reconstruction"]
    total = scores["count"]
    right = round(scores["identification_top1"] * total)
    chance = metrics["chance"].get("identification_top1", 1 / total)
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


def _compare_with_mean_image(metrics: Mapping[str, Any]) -> tuple[str, bool]:
    ours = metrics["reconstruction"]["mse"]
    mean_image = metrics["baselines"]["mean_image"]["mse"]
    lower, upper = metrics["intervals"]["mse"]
    sentence = (
        f"The mean squared error is {number(ours)} ({_INTERVAL} {number(lower)} to {number(upper)}); "
        f"answering with the mean auxiliary image every time gives {number(mean_image)}: "
    )
    if upper < mean_image:
        return sentence + "the reconstructions are closer.", True
    if lower > mean_image:
        return sentence + "the reconstructions are farther away.", False
    return sentence + "the interval holds both, so that no difference is shown.", False


def _verification(verification: Mapping[str, Any]) -> str:
    accepted = verification["accepted"]
    total = accepted + verification["refused"]
    return (
        f"The verifier accepted {count(accepted)} of {count(total)} proofs (norm at most tau = "
        f"{number(verification['tau'])}). Acceptance says that a norm is small and nothing else: a proof of "
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


def _accuracy(forgetting: Mapping[str, Any] | None) -> list[str]:
    pair, test = ((forgetting or {}).get(f"accuracy_{which}") for which in ("forgotten", "test"))
    if not pair:
        return []
    sentence = (
        f"The model classified {percent(pair[0])} of the forgotten images rightly before unlearning and "
        f"{percent(pair[1])} after it"
    )
    if test:
        # Alone, a fall reads as forgetting, also where the model has become worse at everything.
        sentence += f"; of test images, which it never saw, {percent(test[0])} and {percent(test[1])}"
    return [sentence + "."]
