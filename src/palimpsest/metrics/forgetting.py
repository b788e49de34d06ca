"""Values that say how well a federation forgot: accuracies, membership inference, distance from exact retraining."""

from dataclasses import dataclass

from palimpsest.metrics.membership import Membership
from palimpsest.storage import Record


@dataclass(frozen=True)
class Behavior:
    """A model's accuracies, as shares in [0, 1], and the membership inference attack on it.

    Args:
        retained: Accuracy on the retained training samples.
        forgotten: Accuracy on the forgotten samples.
        test: Accuracy on the test split.
        membership: How well the forgotten samples can be told from samples that were never trained on.
    """

    retained: float
    forgotten: float
    test: float
    membership: Membership


@dataclass(frozen=True)
class Distance:
    """Distance of the unlearned model from the exactly retrained one.

    Args:
        absolute: L2 distance of the parameters.
        relative: The same in units of the original model's distance from the retrained one: 0 is exact
            unlearning, 1 no nearer than before. None where the original is the retrained model.
        divergence: Mean KL divergence of the test predictions, retrained from unlearned, in nats.
        agreement: Share of test images that both put into one class, in [0, 1].
    """

    absolute: float
    relative: float | None
    divergence: float
    agreement: float


@dataclass(frozen=True)
class Forgetting(Record):
    """The original, the unlearned and the exactly retrained model side by side.

    Args:
        original: The model before unlearning.
        unlearned: The model after unlearning.
        retrained: The model that exact retraining gives.
        distance: How far the unlearned model is from the retrained one.
        others: Number of samples, never trained on and of the forgotten samples' classes, that membership was tested
            against.
    """

    original: Behavior
    unlearned: Behavior
    retrained: Behavior
    distance: Distance
    others: int
