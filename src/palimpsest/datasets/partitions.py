"""Partitions of the training images among clients."""

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
    """Divide the shuffled rows evenly; sizes differ by at most one."""

    source: ClassVar[str] = "McMahan et al. 2017 (arXiv 1602.05629), section 3"

    def __call__(self, labels: Tensor, clients: int, *, generator: Generator) -> tuple[Tensor, ...]:
        """Divide rows among clients.

        Args:
            labels: `[n]`, int64.
            clients: Number of clients.
            generator: Random generator that shuffles the rows.

        Returns:
            Each client's rows, int64, ascending. They are disjoint and not empty, and cover all n rows.

        Raises:
            DatasetError: There are fewer rows than clients.
        """
        _require_rows(labels, clients, each=1)
        return _rows(
            torch.randperm(len(labels), generator=generator).numpy(), _even_sizes(len(labels), clients)
        )


@PARTITIONS.register("dirichlet")
class DirichletPartition(Component):
    """Divide each class among the clients by proportions from a symmetric Dirichlet distribution."""

    source: ClassVar[str] = "Yurochkin et al. 2019 (arXiv 1905.12022), section 4"

    alpha: Annotated[float, Field(ge=1e-3, le=1e6)] = 0.5
    """Concentration: a small value gives each client rows of few classes, a large one is close to iid."""
    min_samples: PositiveInt = 1
    """Smallest number of rows of a client; a client that drew fewer gets rows of the largest clients."""

    def __call__(self, labels: Tensor, clients: int, *, generator: Generator) -> tuple[Tensor, ...]:
        """Divide rows among clients; arguments and return value as for `IidPartition`.

        A minimum is usually enforced by drawing again until every client reaches it, which may never end. Here the
        partition is drawn once, and rows move from the largest client to clients below the minimum.

        Raises:
            DatasetError: There are fewer rows than `min_samples` for each client.
        """
        _require_rows(labels, clients, each=self.min_samples)
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
    """Exact number of classes of each client."""

    def __call__(self, labels: Tensor, clients: int, *, generator: Generator) -> tuple[Tensor, ...]:
        """Divide rows among clients; arguments and return value as for `IidPartition`.

        Each class is cut into shards of about the same size, and each client gets `classes_per_client` shards of
        different classes. In the paper, shards ignore class boundaries, so that one may hold two classes.

        Raises:
            DatasetError: There are too few classes or rows, or too few clients to hold every class.
        """
        _require_rows(labels, clients, each=self.classes_per_client)
        rng = np.random.default_rng(fork(generator))
        order = rng.permutation(len(labels))
        shuffled = labels.numpy()[order]
        classes = rng.permutation(np.unique(shuffled))
        rows = [order[shuffled == label] for label in classes]
        counts = self._shard_counts([len(class_rows) for class_rows in rows], clients)
        shards = [
            shard
            for class_rows, count in zip(rows, counts, strict=True)
            for shard in np.array_split(class_rows, count)
        ]
        # A class has at most one shard per client. Dealing them in turn gives no client a class twice.
        dealt = [np.concatenate(shards[client::clients]) for client in range(clients)]
        return tuple(torch.from_numpy(np.sort(dealt[client])) for client in rng.permutation(clients))

    def _shard_counts(self, sizes: list[int], clients: int) -> list[int]:
        total = clients * self.classes_per_client
        room = [min(size, clients) for size in sizes]
        if not len(sizes) <= total <= sum(room):
            raise DatasetError(
                f"{clients} clients with {self.classes_per_client} classes each can't hold {sum(sizes)} rows "
                f"of {len(sizes)} classes. Change federation.clients or data.classes_per_client."
            )
        # Highest averages method: the next shard goes to the class with the largest shards.
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
    """Check that a partition has the right number of clients, none of them empty, and every row exactly once.

    Args:
        clients: Each client's rows.
        count: Expected number of clients.
        rows: Number of rows to divide.

    Raises:
        DatasetError: The partition is not valid.
    """
    if len(clients) != count:
        raise DatasetError(
            f"The partition has {len(clients)} clients instead of {count}. Change federation.clients."
        )
    empty = next((index for index, client_rows in enumerate(clients) if not len(client_rows)), None)
    if empty is not None:
        raise DatasetError(f"The partition leaves client {empty} without images. Choose fewer clients.")
    all_rows = torch.cat(clients)
    if all_rows.dtype != torch.int64 or int(all_rows.min()) < 0 or int(all_rows.max()) >= rows:
        raise DatasetError(
            f"The partition has rows that are not int64 from 0 to {rows - 1}. Choose another partition."
        )
    times = torch.bincount(all_rows, minlength=rows)
    if not bool((times == 1).all()):
        row = int((times != 1).nonzero()[0])
        raise DatasetError(
            f"The partition has row {row} {int(times[row])} times instead of once. Choose another partition."
        )


def _require_rows(labels: Tensor, clients: int, *, each: int) -> None:
    if len(labels) < clients * each:
        raise DatasetError(
            f"{len(labels)} training images are too few for {clients} clients with at least {each} each. "
            "Lower federation.clients."
        )


def _even_sizes(rows: int, clients: int) -> np.ndarray:
    return rows // clients + (np.arange(clients) < rows % clients)


def _rows(order: np.ndarray, sizes: np.ndarray) -> tuple[Tensor, ...]:
    return tuple(torch.from_numpy(np.sort(rows)) for rows in np.split(order, np.cumsum(sizes)[:-1]))


def _fill_up(owner: np.ndarray, clients: int, minimum: int) -> None:
    """Move rows, one at a time, from the client with the most to clients with fewer than the minimum."""
    sizes = np.bincount(owner, minlength=clients)
    if sizes.min() >= minimum:
        return
    places = np.split(np.argsort(owner, kind="stable"), np.cumsum(sizes)[:-1])
    remaining = sizes.tolist()
    heap = [(-size, client) for client, size in enumerate(remaining) if size > minimum]
    heapq.heapify(heap)
    for client in np.flatnonzero(sizes < minimum):
        for _ in range(minimum - int(sizes[client])):
            donor = heap[0][1]
            remaining[donor] -= 1
            owner[places[donor][remaining[donor]]] = client
            heapq.heapreplace(heap, (-remaining[donor], donor))
