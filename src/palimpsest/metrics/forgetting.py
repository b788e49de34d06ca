"""Quality of unlearning: accuracies, membership inference, and the distance from exact retraining."""

from dataclasses import dataclass

from palimpsest.metrics.membership import Membership
from palimpsest.storage import Record


@dataclass(frozen=True)
class Behavior:
    """A model's accuracies and the membership inference attack on it.

    Args:
        forgotten: Accuracy on the forgotten samples, in [0, 1]; ideally that of the retrained model.
        test: Accuracy on the test split or, for a user's checkpoints, on the auxiliary samples, in [0, 1]; higher is
            better.
        membership: Membership inference attack that separates the forgotten samples from samples never trained on.
        retained: Accuracy on the retained training samples, in [0, 1]; None if they are unknown.
    """

    forgotten: float
    test: float
    membership: Membership
    retained: float | None = None


@dataclass(frozen=True)
class Distance:
    """Distance of the unlearned model from the exactly retrained one.

    Args:
        absolute: L2 distance between the parameters, at least 0; lower is better.
        relative: `absolute` divided by the original model's distance from the retrained one: 0 means exact unlearning,
            1 means as far away as before unlearning. None if the original equals the retrained model.
        divergence: Mean KL divergence of the test predictions, retrained from unlearned, in nats, at least 0; lower is
            better.
        agreement: Share of test samples to which both models assign the same class, in [0, 1]; higher is better.
    """

    absolute: float
    relative: float | None
    divergence: float
    agreement: float


@dataclass(frozen=True)
class Forgetting(Record):
    """Behavior of the original, the unlearned and the exactly retrained model.

    A user's checkpoints have no retrained model, and no distance from it.

    Args:
        original: The model before unlearning.
        unlearned: The model after unlearning.
        others: Number of nonmembers in the membership test: samples of the forgotten classes that were never trained
            on.
        retrained: The model that was retrained exactly, without the forgotten samples; None if there is none.
        distance: Distance of the unlearned model from the retrained one; None if there is none.
    """

    original: Behavior
    unlearned: Behavior
    others: int
    retrained: Behavior | None = None
    distance: Distance | None = None
