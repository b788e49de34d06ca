"""Candidates of the membership tests: members of the federation, each paired with a sample that was held out."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor

from palimpsest.datasets import FederatedData, ImageSet
from palimpsest.errors import UnlearningError
from palimpsest.unlearning import Request, split_off

LARGEST_POPULATION = 1000


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of a member and a nonmember of the federation's training set.

    Args:
        members: Rows of the pool, `[n]` int64.
        nonmembers: Rows of the pool, `[n]` int64. Each is assigned to the client of its member.
    """

    members: Tensor
    nonmembers: Tensor

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.members)

    def choose(self, first: Tensor) -> Tensor:
        """Return one row of each pair.

        Args:
            first: Whether to take the member, `[n]` bool.
        """
        return torch.where(first, self.members, self.nonmembers)


@dataclass(frozen=True, eq=False)
class Pool:
    """The federation's training images and the nonmembers, as one set of images.

    Args:
        data: The federation's data. Its training images come first, so that their rows keep their numbers, and the
            nonmembers follow; no client of `data` holds these.
        owner: Client of each row, `[rows]` int64.
        forgotten: Pairs whose members the federation forgets.
        retained: Pairs whose members it retains.
        always_retained: Rows that every shadow federation trains on and retains, int64.
        always_forgotten: Rows that every shadow federation trains on and forgets, int64.
        population: Images that no federation trains on and that are not candidates: the attacker's.
    """

    data: FederatedData
    owner: Tensor
    forgotten: Pairs
    retained: Pairs
    always_retained: Tensor
    always_forgotten: Tensor
    population: ImageSet

    @property
    def rows(self) -> Tensor:
        """All candidates: members and nonmembers of `forgotten`, then of `retained`, int64."""
        groups = (self.forgotten, self.retained)
        return torch.cat([rows for group in groups for rows in (group.members, group.nonmembers)])

    def split(self, forgotten: Tensor, retained: Tensor) -> tuple[FederatedData, Request]:
        """Return the data and the unlearning request of a shadow federation.

        It trains on one sample of each pair, and forgets those of `forgotten`. Each of its clients therefore holds,
        and forgets, as many samples as in the federation.

        Args:
            forgotten: For each pair of `forgotten`, whether its member is taken, `[n]` bool.
            retained: The same for the pairs of `retained`.
        """
        leaving = torch.cat([self.forgotten.choose(forgotten), self.always_forgotten])
        staying = torch.cat([self.retained.choose(retained), self.always_retained])
        mask = torch.zeros(len(self.data.train), dtype=torch.bool)
        mask[leaving] = True
        rows = torch.cat([leaving, staying]).sort().values
        clients = tuple(rows[self.owner[rows] == client] for client in range(len(self.data.clients)))
        data = replace(self.data, clients=clients)
        return data, split_off(mask, data)


def make_pool(data: FederatedData, request: Request, *, count: int, generator: Generator) -> Pool:
    """Choose the candidates: forgotten and retained samples of the same classes, and as many that were held out.

    Args:
        data: The federation's data.
        request: Samples that it forgets and retains.
        count: Largest number of pairs of each kind. There are fewer if the federation forgets or retains fewer samples,
            or if fewer were held out.
        generator: Chooses the samples.

    Returns:
        The pool.

    Raises:
        UnlearningError: Too few samples of the forgotten classes were held out to make a pair of each kind.
    """
    forgotten = _shuffled(request.rows, generator)
    classes = data.train.labels[forgotten].unique()
    candidates = _with_classes(_shuffled(request.retained_rows, generator), data.train.labels, classes)
    held_out = _with_classes(
        _shuffled(torch.arange(len(data.held_out)), generator), data.held_out.labels, classes
    )
    pairs = min(count, len(forgotten), len(held_out) // 2 if len(candidates) else len(held_out))
    if not pairs:
        raise UnlearningError(
            f"{len(held_out)} samples of the forgotten classes were held out, but the membership tests need two or "
            "more. Use a data set with more test samples, or set membership.shadows to 0."
        )
    others = min(pairs, len(candidates), len(held_out) - pairs)
    images = data.held_out.subset(held_out[: pairs + others])
    first = len(data.train)
    added = torch.arange(first, first + pairs + others)
    members = torch.cat([forgotten[:pairs], candidates[:others]])
    pooled = replace(
        data.train,
        images=torch.cat([data.train.images, images.images]),
        labels=torch.cat([data.train.labels, images.labels]),
    )
    owner = torch.full((len(pooled),), -1)
    for client, rows in enumerate(data.clients):
        owner[rows] = client
    owner[added] = owner[members]
    staying = torch.ones(len(pooled), dtype=torch.bool)
    staying[torch.cat([request.rows, candidates[:others], added])] = False
    return Pool(
        data=replace(data, train=pooled),
        owner=owner,
        forgotten=Pairs(forgotten[:pairs], added[:pairs]),
        retained=Pairs(candidates[:others], added[pairs:]),
        always_retained=staying.nonzero().squeeze(1),
        always_forgotten=forgotten[pairs:],
        population=data.auxiliary.subset(torch.arange(min(LARGEST_POPULATION, len(data.auxiliary)))),
    )


def draw_splits(pairs: int, shadows: int, *, generator: Generator) -> Iterator[Tensor]:
    """Draw for each shadow federation whether it takes a pair's member or its nonmember.

    Two federations in succession take opposite samples, so that with an even number of federations, each candidate is
    a member of exactly half of them (Carlini et al. 2022, section V.B).

    Args:
        pairs: Number of pairs.
        shadows: Number of shadow federations.
        generator: Source of the draws.

    Yields:
        Whether the member is taken, `[pairs]` bool.
    """
    for _ in range(0, shadows, 2):
        members = torch.rand(pairs, generator=generator) < 0.5
        yield members
        yield ~members


def _shuffled(rows: Tensor, generator: Generator) -> Tensor:
    return rows[torch.randperm(len(rows), generator=generator)]


def _with_classes(rows: Tensor, labels: Tensor, classes: Tensor) -> Tensor:
    return rows[torch.isin(labels[rows], classes)]
