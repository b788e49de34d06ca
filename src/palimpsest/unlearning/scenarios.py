"""Unlearning requests at sample, class and client level (IGF, section 3.1, FU Scenarios)."""

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
    """Rows of the training images to forget and to retain, by client.

    Args:
        forgotten: Forgotten rows of each unlearning client, int64, at least one; in the order of the clients.
        retained: Other rows of every client, int64; empty for a client that leaves.
    """

    forgotten: Mapping[int, Tensor]
    retained: tuple[Tensor, ...]

    @property
    def clients(self) -> tuple[int, ...]:
        """Unlearning clients, sorted."""
        return tuple(self.forgotten)

    @property
    def rows(self) -> Tensor:
        """All forgotten rows, in the order of the clients, int64."""
        return torch.cat(list(self.forgotten.values()))

    @property
    def owner(self) -> Tensor:
        """Client that holds each of `rows`, int64."""
        return torch.cat([torch.full_like(rows, client) for client, rows in self.forgotten.items()])

    @property
    def retained_rows(self) -> Tensor:
        """All retained rows, in the order of the clients, int64."""
        return torch.cat(self.retained)

    @property
    def forgotten_by_client(self) -> tuple[Tensor, ...]:
        """Forgotten rows of every client, int64; empty for a client that forgets nothing."""
        nothing = torch.empty(0, dtype=torch.int64)
        return tuple(self.forgotten.get(client, nothing) for client in range(len(self.retained)))


def make_request(config: UnlearningConfig, data: FederatedData, *, seed: int) -> Request:
    """Turn the configuration of a request into rows.

    Args:
        config: Scenario and its settings.
        data: Training images, and the rows that each client holds.
        seed: Seed of the run, which chooses the samples for a count or a fraction.

    Returns:
        The rows to forget and to retain.

    Raises:
        UnlearningError: The request names no sample, every sample, or samples, classes or clients that don't exist.
    """
    chosen = {"sample": _samples, "class": _classes, "client": _leaving_clients}[config.scenario](
        config, data, seed
    )
    return split_off(chosen, data)


def split_off(forgotten: Tensor, data: FederatedData) -> Request:
    """Build the request to forget given rows.

    Args:
        forgotten: Mask of the rows to forget, `[n_train]` bool.
        data: Training images, and the rows that each client holds.

    Returns:
        The rows to forget and to retain.

    Raises:
        UnlearningError: No client holds any of the rows, or no row would be retained.
    """
    held = {client: rows[forgotten[rows]] for client, rows in enumerate(data.clients)}
    request = Request(
        forgotten={client: rows for client, rows in held.items() if len(rows)},
        retained=tuple(rows[~forgotten[rows]] for rows in data.clients),
    )
    if not request.forgotten:
        raise UnlearningError("No client holds any of the samples to forget. Name other samples.")
    if not any(len(rows) for rows in request.retained):
        raise UnlearningError("The request forgets every training sample. Leave some samples to train on.")
    return request


def _samples(config: UnlearningConfig, data: FederatedData, seed: int) -> Tensor:
    given = [name for name in ("count", "fraction", "indices") if getattr(config, name) is not None]
    if len(given) != 1:
        raise UnlearningError(
            f"Sample-level unlearning got {' and '.join(given) or 'neither count, fraction nor indices'}. "
            "Set exactly one of unlearning.count, unlearning.fraction and unlearning.indices."
        )
    clients = range(len(data.clients)) if config.clients is None else _known_clients(config.clients, data)
    candidates = torch.cat([data.clients[client] for client in clients])
    if config.indices is not None:
        return _named_samples(config.indices, candidates, data)
    count = config.count if config.count is not None else round((config.fraction or 0.0) * len(candidates))
    if not 0 < count <= len(candidates):
        key = "count" if config.count is not None else "fraction"
        raise UnlearningError(
            f"unlearning.{key} asks to forget {count:,} samples, but the chosen clients hold "
            f"{len(candidates):,}. Set unlearning.count to a number from 1 to {len(candidates)}."
        )
    order = torch.randperm(len(candidates), generator=make_generator(seed, "unlearning", "samples"))
    return _mask(candidates[order[:count]], data)


def _named_samples(indices: Sequence[int], candidates: Tensor, data: FederatedData) -> Tensor:
    known = set(candidates.tolist())
    for index in indices:
        if index not in known:
            raise UnlearningError(
                f"unlearning.indices names row {index}, which none of the chosen clients holds. The training "
                f"set has rows 0 to {len(data.train) - 1}. Name rows of those clients, or leave out "
                "unlearning.clients."
            )
    if not indices:
        raise UnlearningError("unlearning.indices is empty: name at least one row.")
    return _mask(torch.tensor(indices), data)


def _classes(config: UnlearningConfig, data: FederatedData, _: int) -> Tensor:
    _reject_settings(config, "class", "count", "fraction", "indices", "clients")
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


def _leaving_clients(config: UnlearningConfig, data: FederatedData, _: int) -> Tensor:
    _reject_settings(config, "client", "count", "fraction", "indices")
    clients = _known_clients((2,) if config.clients is None else config.clients, data)
    return _mask(torch.cat([data.clients[client] for client in clients]), data)


def _known_clients(clients: Sequence[int], data: FederatedData) -> list[int]:
    if not clients:
        raise UnlearningError("unlearning.clients is empty: name at least one client.")
    for client in clients:
        if client >= len(data.clients):
            raise UnlearningError(
                f"unlearning.clients names client {client}, but the clients are 0 to "
                f"{len(data.clients) - 1}. Choose from these."
            )
        if not len(data.clients[client]):
            raise UnlearningError(
                f"Client {client} holds no samples. Name another client in unlearning.clients."
            )
    return sorted(set(clients))


def _reject_settings(config: UnlearningConfig, scenario: str, *names: str) -> None:
    for name in names:
        if getattr(config, name) is not None:
            raise UnlearningError(
                f"unlearning.{name} has no effect at {scenario} level. Leave it out, or choose another "
                "unlearning.scenario."
            )


def _mask(rows: Tensor, data: FederatedData) -> Tensor:
    mask = torch.zeros(len(data.train), dtype=torch.bool)
    mask[rows] = True
    return mask
