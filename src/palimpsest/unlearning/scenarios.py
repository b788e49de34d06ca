"""What is forgotten: single samples, whole classes, or whole clients (IGF, section 3.1, FU Scenarios)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from palimpsest.config import UnlearningConfig
from palimpsest.datasets import FederatedData
from palimpsest.errors import UnlearningError
from palimpsest.randomness import make_generator


@dataclass(frozen=True, eq=False)
class Request:
    """Which rows of the training images are to be forgotten, by who holds them.

    Args:
        forgotten: The unlearning clients' forgotten rows, int64, none empty; in the order of the clients.
        retained: Every client's other rows, int64; empty for a client that leaves.
    """

    forgotten: Mapping[int, Tensor]
    retained: tuple[Tensor, ...]

    @property
    def clients(self) -> tuple[int, ...]:
        """The unlearning clients, sorted."""
        return tuple(self.forgotten)

    @property
    def rows(self) -> Tensor:
        """All forgotten rows, in the order of the clients, int64."""
        return torch.cat(list(self.forgotten.values()))

    @property
    def owner(self) -> Tensor:
        """The client that holds each of `rows`, int64."""
        return torch.cat([torch.full_like(rows, client) for client, rows in self.forgotten.items()])

    @property
    def retained_rows(self) -> Tensor:
        """All rows that stay, in the order of the clients, int64."""
        return torch.cat(self.retained)

    @property
    def forgotten_by_client(self) -> tuple[Tensor, ...]:
        """Every client's forgotten rows; empty for a client that forgets nothing."""
        nothing = torch.empty(0, dtype=torch.int64)
        return tuple(self.forgotten.get(client, nothing) for client in range(len(self.retained)))


def make_request(config: UnlearningConfig, data: FederatedData, *, seed: int) -> Request:
    """Resolve a configuration to rows.

    Args:
        config: The scenario and its settings.
        data: The training images, and which rows each client holds.
        seed: The run's seed; it decides which samples a count or a fraction means.

    Raises:
        UnlearningError: The request names nothing, everything, or what is not there.
    """
    chosen = {"sample": _samples, "class": _classes, "client": _leavers}[config.scenario](config, data, seed)
    return split_off(chosen, data)


def split_off(forgotten: Tensor, data: FederatedData) -> Request:
    """The request to forget these rows.

    Args:
        forgotten: `[n_train]` bool: which rows of the training images.
        data: Which rows each client holds.

    Raises:
        UnlearningError: No client holds any of them, or nothing would be left.
    """
    held = {client: rows[forgotten[rows]] for client, rows in enumerate(data.clients)}
    request = Request(
        forgotten={client: rows for client, rows in held.items() if len(rows)},
        retained=tuple(rows[~forgotten[rows]] for rows in data.clients),
    )
    if not request.forgotten:
        raise UnlearningError("No client holds anything that is to be forgotten: name other samples.")
    if not any(len(rows) for rows in request.retained):
        raise UnlearningError("The request forgets every training sample: leave something to train on.")
    return request


def _samples(config: UnlearningConfig, data: FederatedData, seed: int) -> Tensor:
    given = [name for name in ("count", "fraction", "indices") if getattr(config, name) is not None]
    if len(given) != 1:
        raise UnlearningError(
            f"Sample-level unlearning got {' and '.join(given) or 'neither count, fraction nor indices'}: "
            "give exactly one of unlearning.count, unlearning.fraction and unlearning.indices."
        )
    clients = range(len(data.clients)) if config.clients is None else _known_clients(config.clients, data)
    candidates = torch.cat([data.clients[client] for client in clients])
    if config.indices is not None:
        return _named_samples(config.indices, candidates, data)
    count = config.count if config.count is not None else round((config.fraction or 0.0) * len(candidates))
    if not 0 < count <= len(candidates):
        key = "count" if config.count is not None else "fraction"
        raise UnlearningError(
            f"unlearning.{key} asks for {count:,} samples to be forgotten, but the chosen clients hold "
            f"{len(candidates):,}: set unlearning.count to a number from 1 to {len(candidates)}."
        )
    order = torch.randperm(len(candidates), generator=make_generator(seed, "unlearning", "samples"))
    return _marked(candidates[order[:count]], data)


def _named_samples(indices: Sequence[int], candidates: Tensor, data: FederatedData) -> Tensor:
    known = set(candidates.tolist())
    for index in indices:
        if index not in known:
            raise UnlearningError(
                f"unlearning.indices names row {index}, which none of the chosen clients holds: the training "
                f"set has rows 0 to {len(data.train) - 1}; name rows of those clients, or leave out "
                "unlearning.clients."
            )
    if not indices:
        raise UnlearningError("unlearning.indices is empty: name at least one row.")
    return _marked(torch.tensor(indices), data)


def _classes(config: UnlearningConfig, data: FederatedData, _: int) -> Tensor:
    _refuse(config, "class", "count", "fraction", "indices", "clients")
    if not config.classes:
        raise UnlearningError("unlearning.classes is empty: name at least one class.")
    present = set(data.train.labels.unique().tolist())
    for label in config.classes:
        if label not in present:
            raise UnlearningError(
                f"unlearning.classes names class {label}, which has no training sample: choose from "
                f"{', '.join(map(str, sorted(present)))}."
            )
    return torch.isin(data.train.labels, torch.tensor(config.classes))


def _leavers(config: UnlearningConfig, data: FederatedData, _: int) -> Tensor:
    _refuse(config, "client", "count", "fraction", "indices")
    clients = _known_clients((2,) if config.clients is None else config.clients, data)
    return _marked(torch.cat([data.clients[client] for client in clients]), data)


def _known_clients(clients: Sequence[int], data: FederatedData) -> list[int]:
    if not clients:
        raise UnlearningError("unlearning.clients is empty: name at least one client.")
    for client in clients:
        if client >= len(data.clients):
            raise UnlearningError(
                f"unlearning.clients names client {client}, but there are clients 0 to "
                f"{len(data.clients) - 1}: choose from these."
            )
        if not len(data.clients[client]):
            raise UnlearningError(f"Client {client} holds no sample: name another in unlearning.clients.")
    return sorted(set(clients))


def _refuse(config: UnlearningConfig, scenario: str, *names: str) -> None:
    for name in names:
        if getattr(config, name) is not None:
            raise UnlearningError(
                f"unlearning.{name} has no meaning at {scenario} level: leave it out, or choose another "
                "unlearning.scenario."
            )


def _marked(rows: Tensor, data: FederatedData) -> Tensor:
    mask = torch.zeros(len(data.train), dtype=torch.bool)
    mask[rows] = True
    return mask
