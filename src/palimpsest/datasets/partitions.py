"""How training images are dealt to clients: who holds which rows."""

import heapq
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field, PositiveInt
from torch import Generator, Tensor

from palimpsest.errors import DatasetError
from palimpsest.randomness import fork
from palimpsest.registry import PARTITIONS, Component


@PARTITIONS.register("iid")
class IidPartition(Component):
    """Deal the shuffled rows evenly: sizes differ by one at most."""

    source: ClassVar[str] = "McMahan et al. 2017 (arXiv 1602.05629), section 3"

    def __call__(self, labels: Tensor, clients: int, *, generator: Generator) -> tuple[Tensor, ...]:
        """Divide rows among clients.

        Args:
            labels: `[n]`, int64.
            clients: How many clients there are.
            generator: Shuffles the rows.

        Returns:
            Each client's rows, int64, ascending: disjoint, none empty, together all n.

        Raises:
            DatasetError: There are fewer rows than clients.
        """
        _require(labels, clients, each=1)
        return _rows(
            torch.randperm(len(labels), generator=generator).numpy(), _even_sizes(len(labels), clients)
        )


@PARTITIONS.register("dirichlet")
class DirichletPartition(Component):
    """Divide each class among the clients by proportions from a symmetric Dirichlet distribution."""

    source: ClassVar[str] = "Yurochkin et al. 2019 (arXiv 1905.12022), section 4"

    alpha: Annotated[float, Field(ge=1e-3, le=1e6)] = 0.5
    """Concentration: small gives each client few classes, large comes near to iid."""
    min_samples: PositiveInt = 1
    """A client that was dealt fewer rows takes some from the largest clients."""

    def __call__(self, labels: Tensor, clients: int, *, generator: Generator) -> tuple[Tensor, ...]:
        """Divide rows among clients; arguments and returns as for `IidPartition`.

        The usual way to a minimum is to draw again until every client has it, which need not end. Here one
        draw is made, and the largest client gives up a row until nobody has too few.

        Raises:
            DatasetError: There are fewer rows than `min_samples` for each client.
        """
        _require(labels, clients, each=self.min_samples)
        rng = np.random.default_rng(fork(generator))
        order = rng.permutation(len(labels))
        shuffled = labels.numpy()[order]
        owner = np.empty(len(labels), dtype=np.int64)
        for label in np.unique(shuffled):
            places = np.flatnonzero(shuffled == label)
            shares = np.cumsum(rng.dirichlet(np.full(clients, self.alpha)))[:-1]
            bounds = np.concatenate([[0], np.minimum(shares * len(places), len(places)), [len(places)]])
            owner[places] = np.repeat(np.arange(clients), np.diff(bounds.astype(np.int64)))
        _fill_up(owner, clients, self.min_samples)
        return _rows(order[np.argsort(owner, kind="stable")], np.bincount(owner, minlength=clients))


@PARTITIONS.register("pathological")
class PathologicalPartition(Component):
    """Give each client rows of a few classes only."""

    source: ClassVar[str] = "McMahan et al. 2017 (arXiv 1602.05629), section 3"

    classes_per_client: PositiveInt = 2
    """How many classes each client holds, exactly."""

    def __call__(self, labels: Tensor, clients: int, *, generator: Generator) -> tuple[Tensor, ...]:
        """Divide rows among clients; arguments and returns as for `IidPartition`.

        Each class is cut into shards of about the same size, and each client is dealt `classes_per_client`
        shards of different classes. The paper cuts without regard to the classes' borders, so that a shard
        may hold two.

        Raises:
            DatasetError: The classes or their rows are too few, or the clients too few to hold every class.
        """
        _require(labels, clients, each=self.classes_per_client)
        rng = np.random.default_rng(fork(generator))
        order = rng.permutation(len(labels))
        shuffled = labels.numpy()[order]
        classes = rng.permutation(np.unique(shuffled))
        rows = [order[shuffled == label] for label in classes]
        counts = self._shard_counts([len(some) for some in rows], clients)
        shards = [
            shard for some, count in zip(rows, counts, strict=True) for shard in np.array_split(some, count)
        ]
        # A class has no more shards than there are clients: dealt in turn, no client meets a class twice.
        dealt = [np.concatenate(shards[client::clients]) for client in range(clients)]
        return tuple(torch.from_numpy(np.sort(dealt[client])) for client in rng.permutation(clients))

    def _shard_counts(self, sizes: list[int], clients: int) -> list[int]:
        total = clients * self.classes_per_client
        room = [min(size, clients) for size in sizes]
        if not len(sizes) <= total <= sum(room):
            raise DatasetError(
                f"{clients} clients with {self.classes_per_client} classes each can't hold {sum(sizes)} rows "
                f"of {len(sizes)} classes: change federation.clients or data.classes_per_client."
            )
        # Highest averages: the next shard goes to the class whose shards are the largest.
        counts = [1] * len(sizes)
        heap = [(-float(size), index) for index, size in enumerate(sizes)]
        heapq.heapify(heap)
        for _ in range(total - len(sizes)):
            while counts[heap[0][1]] == room[heap[0][1]]:
                heapq.heappop(heap)
            index = heap[0][1]
            counts[index] += 1
            heapq.heapreplace(heap, (-sizes[index] / counts[index], index))
        return counts


def check_partition(clients: tuple[Tensor, ...], count: int, *, rows: int) -> None:
    """Refuse a partition that loses rows, deals one twice, or leaves a client empty.

    Args:
        clients: Each client's rows.
        count: How many clients there should be.
        rows: How many rows there are to deal.

    Raises:
        DatasetError: Says what is wrong with the partition.
    """
    if len(clients) != count:
        raise DatasetError(
            f"The partition gave {len(clients)} clients, not {count}: change federation.clients."
        )
    empty = next((index for index, some in enumerate(clients) if not len(some)), None)
    if empty is not None:
        raise DatasetError(f"The partition left client {empty} without images: choose fewer clients.")
    dealt = torch.cat(clients)
    if dealt.dtype != torch.int64 or int(dealt.min()) < 0 or int(dealt.max()) >= rows:
        raise DatasetError(
            f"The partition dealt rows other than int64 in 0 to {rows - 1}: choose another partition."
        )
    times = torch.bincount(dealt, minlength=rows)
    if not bool((times == 1).all()):
        row = int((times != 1).nonzero()[0])
        raise DatasetError(
            f"The partition dealt row {row} {int(times[row])} times, not once: choose another partition."
        )


def _require(labels: Tensor, clients: int, *, each: int) -> None:
    if len(labels) < clients * each:
        raise DatasetError(
            f"{len(labels)} training images are too few for {clients} clients with at least {each} each: "
            "lower federation.clients."
        )


def _even_sizes(rows: int, clients: int) -> np.ndarray:
    return rows // clients + (np.arange(clients) < rows % clients)


def _rows(order: np.ndarray, sizes: np.ndarray) -> tuple[Tensor, ...]:
    return tuple(torch.from_numpy(np.sort(rows)) for rows in np.split(order, np.cumsum(sizes)[:-1]))


def _fill_up(owner: np.ndarray, clients: int, minimum: int) -> None:
    """Move places, one at a time, from the client that has most to those that have fewer than the minimum."""
    sizes = np.bincount(owner, minlength=clients)
    if sizes.min() >= minimum:
        return
    places = np.split(np.argsort(owner, kind="stable"), np.cumsum(sizes)[:-1])
    left = sizes.tolist()
    heap = [(-size, client) for client, size in enumerate(left) if size > minimum]
    heapq.heapify(heap)
    for client in np.flatnonzero(sizes < minimum):
        for _ in range(minimum - int(sizes[client])):
            donor = heap[0][1]
            left[donor] -= 1
            owner[places[donor][left[donor]]] = client
            heapq.heapreplace(heap, (-left[donor], donor))
