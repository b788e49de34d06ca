"""Shadow federations: the same data with other random members, trained and made to forget like the tested one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from palimpsest.config import UnlearningConfig
from palimpsest.errors import UnlearningError
from palimpsest.federation import Federation, Training, predict, train
from palimpsest.membership.assessment import Assessment, assess
from palimpsest.membership.evidence import Evidence
from palimpsest.membership.pool import Pool, draw_splits
from palimpsest.membership.proof_channel import ProofReadings
from palimpsest.models import load_parameters
from palimpsest.randomness import derive_seed, make_generator
from palimpsest.storage import Parameters
from palimpsest.unlearning import Request, unlearn


@dataclass(frozen=True, eq=False)
class Split:
    """Data and request of one shadow federation, before it is trained.

    Args:
        index: Number of the shadow federation, from 0.
        federation: Its data, its seed, and the tested federation's settings.
        request: Samples that it forgets and retains.
        members: Which candidates it trains on, in the order of `Pool.rows`, `[candidates]` bool.
    """

    index: int
    federation: Federation
    request: Request
    members: Tensor


def make_splits(federation: Federation, pool: Pool, shadows: int) -> list[Split]:
    """Draw the shadow federations.

    Args:
        federation: The tested federation. Its settings are used with another seed for each shadow federation, because
            an attacker does not know the seed.
        pool: The candidates.
        shadows: Number of shadow federations, even, so that each candidate is a member of half of them.

    Returns:
        The splits. They depend on the federation's seed and the pool alone.

    Raises:
        UnlearningError: The number is odd or below 2.
    """
    if shadows < 2 or shadows % 2:
        raise UnlearningError(
            f"There are {shadows} shadow federations, but each candidate must be a member of half of them. Choose an "
            "even number, at least 2."
        )
    generator = make_generator(federation.seed, "membership", "splits")
    draws = zip(
        list(draw_splits(len(pool.forgotten), shadows, generator=generator)),
        list(draw_splits(len(pool.retained), shadows, generator=generator)),
        strict=True,
    )
    splits = list[Split]()
    for index, (forgotten, retained) in enumerate(draws):
        data, request = pool.split(forgotten, retained)
        seed = derive_seed(federation.seed, "membership", "shadow", index)
        members = torch.cat([forgotten, ~forgotten, retained, ~retained])
        splits.append(Split(index, replace(federation, data=data, seed=seed), request, members))
    return splits


def train_shadow(
    split: Split, *, ensure: bool, scratch: Path | None = None, history: Path | None = None
) -> Training:
    """Train a shadow federation from its initialization.

    Args:
        split: Its data.
        ensure: Whether the clients that forget samples take part in at least one round, as `train_original` has it.
        scratch: Folder that stores each finished round. If omitted, rounds are not stored.
        history: Folder for every client's updates, for an unlearning method that needs them.

    Returns:
        The trained model.
    """
    clients = split.request.clients if ensure else ()
    return train(split.federation, ensure=clients, scratch=scratch, history=history)


def unlearn_shadow(
    split: Split,
    training: Training,
    unlearning: UnlearningConfig,
    *,
    scratch: Path | None = None,
    history: Path | None = None,
) -> Parameters:
    """Unlearn a shadow federation's own request by the tested method (Hayes et al. 2024, U-LiRA).

    Args:
        split: The federation's data and request.
        training: Its trained model.
        unlearning: The method and its settings.
        scratch: Folder that stores each finished round. If omitted, rounds are not stored.
        history: Folder of the clients' updates that training stored.

    Returns:
        The unlearned model.
    """
    result = unlearn(training, split.federation, split.request, unlearning, scratch=scratch, history=history)
    return result.parameters


@dataclass(frozen=True, eq=False)
class Answers:
    """Function from a model's parameters to its logits on the candidates and on the population.

    Args:
        federation: The tested federation, for its architecture and device.
        pool: The candidates and the population.
    """

    federation: Federation
    pool: Pool

    @property
    def labels(self) -> Tensor:
        """Classes of the candidates, then of the population, int64."""
        return torch.cat([self.pool.data.train.labels[self.pool.rows], self.pool.population.labels])

    def __call__(self, parameters: Parameters, *, population: bool = True) -> Tensor:
        """Return the logits of the candidates, then of the population, `[candidates + population, classes]`.

        Args:
            parameters: State dict of a model of the federation's architecture.
            population: Whether to include the population, which costs time.
        """
        network = load_parameters(self.federation.network(), parameters).to(self.federation.device)
        images = self.pool.data.train.images[self.pool.rows]
        if population:
            images = torch.cat([images, self.pool.population.images])
        return predict(network, images)


def assess_with_shadows(
    answers: Answers,
    splits: Sequence[Split],
    *,
    original: Parameters,
    unlearned: Parameters,
    shadows: Tensor,
    unlearned_shadows: Tensor,
    proofs: ProofReadings | None,
) -> Assessment:
    """Run all membership tests on a model before and after unlearning.

    Args:
        answers: Function from a model to its logits.
        splits: The shadow federations.
        original: The tested model before unlearning.
        unlearned: The tested model after unlearning.
        shadows: Logits of the shadow models, `[shadows, candidates + population, classes]`.
        unlearned_shadows: Logits of the first shadow models after unlearning, on the candidates at least.
        proofs: Comparison of the candidates with the proofs; None if there is none.

    Returns:
        The results.
    """
    pool = answers.pool
    evidence = Evidence(
        labels=answers.labels,
        original=answers(original),
        unlearned=answers(unlearned),
        shadows=shadows,
        unlearned_shadows=unlearned_shadows,
        members=torch.stack([split.members for split in splits]),
        forgotten_pairs=len(pool.forgotten),
        retained_pairs=len(pool.retained),
        proofs=proofs,
    )
    return assess(evidence, forgotten=pool.forgotten.members, retained=pool.retained.members)
