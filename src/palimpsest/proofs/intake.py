"""Validation of proofs from untrusted clients: usable ones are collected, others get a reason."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from palimpsest.errors import ProofError
from palimpsest.proofs.file import Proofs
from palimpsest.proofs.fit import fit_statistics
from palimpsest.storage import tensor_hash

# Above this, the norm of a vector overflows float32.
_LARGEST = 2.0**60


@dataclass(frozen=True)
class Delivery:
    """Untrusted proofs from a client.

    Args:
        client: Index of the client.
        vectors: Proofs in the order of the client's requests, or anything else that the client sent.
        metadata: Claims of the client; see `Proofs`.
    """

    client: int
    vectors: Any
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Received:
    """Usable proofs of all deliveries, and the reasons for the others.

    Args:
        vectors: Usable proofs in the order of the clients, `[n, d]`.
        owners: Client of each proof, `[n]` int64.
        faults: One sentence for each client without usable proofs.
        unattested: Clients whose proofs are used although they have no metadata.
        digests: SHA-256 of every usable proof, to recognize it in later deliveries.
    """

    vectors: Tensor
    owners: Tensor
    faults: dict[int, str]
    unattested: tuple[int, ...]
    digests: frozenset[str]


def receive_proofs(
    deliveries: Iterable[Delivery],
    asked: Mapping[int, int],
    *,
    dimension: int,
    original: str,
    unlearned: str,
    known: Collection[str] = (),
) -> Received:
    """Collect clients' proofs, and exclude all proofs of a client if any of them is wrong.

    Args:
        deliveries: Deliveries in any order. A client that delivers twice is excluded.
        asked: Number of proofs that each client must send.
        dimension: Length d of a proof.
        original: Hash of the model before unlearning; see `parameters_hash`.
        unlearned: Hash of the unlearned model.
        known: Digests of proofs that were sent earlier, for other requests.

    Returns:
        The usable proofs, and the reasons for the others.
    """
    faults: dict[int, str] = {}
    usable: dict[int, Proofs] = {}
    for delivery in deliveries:
        client = delivery.client
        if client not in asked or client in usable or client in faults:
            faults.setdefault(client, "Sent proofs that it was not asked for.")
            usable.pop(client, None)
            continue
        try:
            proofs = Proofs(torch.as_tensor(delivery.vectors), dict(delivery.metadata))
        except (ProofError, TypeError, ValueError, RuntimeError) as error:
            faults[client] = f"Sent no valid proofs: {' '.join(str(error).split())[:200]}"
            continue
        reason = _fault(proofs, asked[client], dimension, {"original": original, "unlearned": unlearned})
        if reason is None:
            usable[client] = proofs
        else:
            faults[client] = reason
    digests = {client: [tensor_hash(row) for row in proofs.vectors] for client, proofs in usable.items()}
    for client, reason in _replays(digests, known).items():
        faults[client] = reason
        del usable[client], digests[client]
    faults |= {client: "Sent no proofs." for client in asked if client not in usable and client not in faults}
    clients = sorted(usable)
    return Received(
        vectors=torch.cat([torch.empty(0, dimension), *(usable[client].vectors for client in clients)]),
        owners=torch.tensor([client for client in clients for _ in digests[client]], dtype=torch.int64),
        faults=dict(sorted(faults.items())),
        unattested=tuple(client for client in clients if not usable[client].attested),
        digests=frozenset(digest for rows in digests.values() for digest in rows),
    )


def misplaced(proofs: Tensor, expected: Tensor, *, margin: float = 0.01) -> dict[int, int]:
    """Find proofs that fit another sample better than the one that they were sent for.

    Use it for a spot check with samples that the auditor holds, and with defenses that preserve a proof's direction.

    Args:
        proofs: Submitted proofs, `[n, d]`.
        expected: Gradient differences of the samples, in the order of the requests, `[n, d]`.
        margin: Difference of cosines by which another sample must fit better.

    Returns:
        For the row of each misplaced proof, the index of the sample that it fits best.
    """
    fits = fit_statistics(proofs, expected, expected, only="imitation")["imitation"]
    best, other = fits.max(dim=1)
    rows = (best > fits.diagonal() + margin).nonzero().flatten()
    return {int(row): int(other[row]) for row in rows}


def _fault(proofs: Proofs, count: int, dimension: int, models: Mapping[str, str]) -> str | None:
    """Return the reason why a client's proofs can't be used, or None if they can."""
    vectors = proofs.vectors
    if vectors.shape[1] != dimension:
        return f"Sent proofs of length {vectors.shape[1]}, not {dimension}. They belong to another model."
    if len(vectors) != count:
        return f"Sent {len(vectors)} proofs instead of {count}."
    finite = vectors.isfinite().all(dim=1)
    if not finite.all():
        return f"Its proof {int((~finite).nonzero()[0])} has values that are not finite."
    large = vectors.abs().amax(dim=1) > _LARGEST
    if large.any():
        return f"Its proof {int(large.nonzero()[0])} has values that are too large for gradients."
    for name, actual in models.items():
        claimed = proofs.metadata.get(name)
        if claimed is not None and claimed != actual:
            return f"Its proofs are for the {name} model {claimed[:12]!r} instead of {actual[:12]!r}."
    return None


def _replays(digests: Mapping[int, list[str]], known: Collection[str]) -> dict[int, str]:
    """Return a reason for each client with a replayed proof; of two that share one, both, as either may have copied."""
    owners: dict[str, list[int]] = {}
    for client, rows in digests.items():
        for digest in rows:
            owners.setdefault(digest, []).append(client)
    faults: dict[int, str] = {}
    for client, rows in digests.items():
        for row, digest in enumerate(rows):
            others = sorted({other for other in owners[digest] if other != client})
            if digest in known:
                faults.setdefault(client, f"Its proof {row} was already sent for another request.")
            elif others:
                faults.setdefault(client, f"Its proof {row} was also sent by client {others[0]}.")
            elif len(owners[digest]) > 1:
                faults.setdefault(client, f"Its proof {row} appears twice.")
    return faults
