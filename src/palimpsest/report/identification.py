"""Identification of forgotten samples by their reconstructions, with its interval, chance levels and sentences."""

from dataclasses import dataclass

from palimpsest.metrics import Metrics, binomial_interval
from palimpsest.report.scores import INTERVAL, count, percent


@dataclass(frozen=True)
class Identification:
    """The number of reconstructions that are closer to their own original than to any other forgotten image."""

    right: int
    count: int
    chance: float
    """Expected share of a random guess."""
    class_chance: float
    """Expected share of a random guess among the images of the correct class."""
    interval: tuple[float, float]
    """Exact 95 % interval of the share."""

    @property
    def above_chance(self) -> bool:
        """Whether the whole interval lies above chance."""
        return self.interval[0] > self.chance

    @property
    def above_class(self) -> bool:
        """Whether the whole interval lies above a random guess within the correct class."""
        return self.above_chance and self.interval[0] > self.class_chance


def identify(metrics: Metrics, *, classes: int) -> Identification:
    """Return the top-1 identification with its interval.

    Args:
        metrics: The metrics of a run; the attack must have been scored.
        classes: The number of distinct classes of the forgotten images.
    """
    scores = metrics.reconstruction
    assert scores is not None, "the attack was scored"
    total = scores.count
    right = round(scores.identification_top1 * total)
    chance = metrics.chance.get("identification_top1", 1 / total)
    return Identification(right, total, chance, classes / total, binomial_interval(right, total))


def identified_sentence(found: Identification) -> str:
    """Describe the identification of forgotten images in one or two sentences.

    Args:
        found: The number of identified images.
    """
    if found.count == 1:
        return "Only one image was forgotten, so there is no other image to distinguish it from."
    lower, upper = found.interval
    sentence = (
        f"{count(found.right)} of {count(found.count)} forgotten images can be identified by their reconstruction "
        f"({percent(found.right / found.count)}, {INTERVAL} {percent(lower)} to {percent(upper)}). A random guess "
        f"would identify {_images(found.chance * found.count)}"
    )
    if found.class_chance > found.chance:
        sentence += f", and a guess within the correct class {_images(found.class_chance * found.count)}"
    if found.above_class:
        return sentence + "."
    if found.above_chance:
        return sentence + ". This is more than chance, but no more than the class explains."
    return sentence + ". The interval does not exclude chance."


def _images(expected: float) -> str:
    return count(expected) if abs(expected - round(expected)) < 0.05 else f"{expected:,.1f}"
