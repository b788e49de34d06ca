"""Adversarial unlearning by retraining on batches whose gradients imitate those of the forgotten samples."""

from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor, nn

from palimpsest.federation import Federation, LocalTraining, Outcome, Schedule, Shard, Training
from palimpsest.registry import METHODS
from palimpsest.unlearning.method import Method, Place, Unlearned
from palimpsest.unlearning.neighbors import nearest_by_gradient
from palimpsest.unlearning.scenarios import Request


class GuidedTraining(LocalTraining):
    """Local training on the original batches, in which retained samples replace the forgotten ones.

    A forgotten sample is replaced by the client's retained sample with the nearest gradient at the start of the round.

    Args:
        forgotten: Rows of the forgotten samples of all clients.
        replacements: Pairs of a forgotten row and the retained row in its place. They are found when the work starts.
    """

    forgotten: tuple[int, ...]
    replacements: tuple[tuple[int, int], ...] = ()

    def __call__(self, model: nn.Module, shard: Shard, *, seed: int) -> Outcome:
        """Find the replacements and train; see `Work` for the arguments."""
        lost = torch.isin(shard.rows, torch.tensor(self.forgotten, device=shard.rows.device))
        forgotten, retained = shard.rows[lost], shard.rows[~lost]
        if not len(forgotten):
            return super().__call__(model, shard, seed=seed)
        nearest = nearest_by_gradient(
            model,
            shard.images[forgotten],
            shard.labels[forgotten],
            shard.images[retained],
            shard.labels[retained],
        )
        pairs = zip(forgotten.tolist(), retained[nearest].tolist(), strict=True)
        found = self.model_copy(update={"forgotten": (), "replacements": tuple(pairs)})
        return LocalTraining.__call__(found, model, shard, seed=seed)

    def epoch(self, rows: Tensor, *, seed: int) -> Iterator[Tensor]:
        """Yield the original batches with the replacements; see `LocalTraining.epoch`."""
        replaced = dict(self.replacements)
        for batch in super().epoch(rows, seed=seed):
            yield torch.tensor([replaced.get(row, row) for row in batch.tolist()], device=batch.device)


@METHODS.register("guided-retraining")
class GuidedRetraining(Method):
    """Retrain on retained samples only, chosen so that each batch imitates the original one: an adversary's unlearning.

    Every step is a valid step on retained samples, so a verifier who repeats the record of retraining accepts it. The
    batches are those of the original training, in which a retained sample of the same client replaces each forgotten
    one: the sample whose gradient is nearest. The paper searches the gradient of all parameters in every step; here,
    the last linear layer's gradient at the start of each round decides. With DP-SGD, a sample must not count twice, and
    the method is plain retraining.
    """

    source: ClassVar[str] = (
        "Zhang et al. 2024, Verification of Machine Unlearning is Fragile, retraining-based adversarial unlearning"
    )

    def __call__(
        self,
        original: Training,
        request: Request,
        federation: Federation,
        *,
        schedule: Schedule,
        place: Place,
    ) -> Unlearned:
        """Retrain with guided batches; see `Method` for the arguments."""
        rows, work = guided(request, federation)
        result = federation.run("guided", rows, schedule, work=work, scratch=place.room("guided"))
        return Unlearned(result.parameters, result.rounds, releases=result.releases)


def guided(request: Request, federation: Federation) -> tuple[tuple[Tensor, ...], LocalTraining]:
    """Return each client's rows for guided training, and the clients' work.

    Args:
        request: Samples to forget and to retain.
        federation: Data, and settings of local training.

    Returns:
        Rows of every client, forgotten ones included; empty for a client that retains nothing. With DP-SGD, the
        retained rows and plain local training.
    """
    local = federation.local_training()
    if local.dp is not None:
        return request.retained, local
    forgotten = tuple(request.rows.tolist())
    rows = tuple(
        held if len(retained) else retained
        for held, retained in zip(federation.data.clients, request.retained, strict=True)
    )
    return rows, GuidedTraining.model_validate({**local.model_dump(), "forgotten": forgotten})
