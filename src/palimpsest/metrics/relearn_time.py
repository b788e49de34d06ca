"""Relearn time: steps of training on the forgotten samples until a model knows them as the original did."""

from dataclasses import dataclass

from torch import Tensor

from palimpsest.storage import Record


@dataclass(frozen=True)
class RelearnTime(Record):
    """Steps until the forgotten samples are learned again, for an unlearned and a retrained model.

    Args:
        unlearned: Steps of the unlearned model; None if the target was not reached.
        retrained: Steps of the retrained model; None if the target was not reached.
        limit: Number of steps that were tried.
        ratio: Steps of the unlearned model divided by those of the retrained one, where a missing number counts as one
            step more than the limit. Below 1, the unlearned model still knows something; None if the retrained model
            needs no step.
    """

    unlearned: int | None
    retrained: int | None
    limit: int
    ratio: float | None


def relearn_steps(losses: Tensor, target: float) -> int | None:
    """Return the first step at which the loss is at most the target.

    Args:
        losses: Mean loss on the forgotten samples before the first step and after each step, `[steps + 1]`.
        target: Loss to reach, such as the original model's.

    Returns:
        The number of steps, or None if the target was not reached.
    """
    reached = (losses <= target).nonzero()
    return int(reached[0]) if len(reached) else None


def relearn_time(unlearned: Tensor, retrained: Tensor, target: float) -> RelearnTime:
    """Compare the relearn time of an unlearned model with that of a retrained one.

    Args:
        unlearned: Losses of the unlearned model, `[steps + 1]`, as for `relearn_steps`.
        retrained: Losses of the retrained model, `[steps + 1]`.
        target: Loss to reach.

    Returns:
        Steps of both models, and their ratio.

    Source:
        Golatkar et al. 2020, Eternal Sunshine of the Spotless Net, section 6 (relearn time).
    """
    limit = len(retrained) - 1
    steps = relearn_steps(unlearned, target), relearn_steps(retrained, target)
    first, second = (limit + 1 if one is None else one for one in steps)
    return RelearnTime(*steps, limit, first / second if second else None)
