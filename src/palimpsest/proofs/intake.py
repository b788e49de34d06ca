"""Proofs from parties who are trusted in nothing: whose can be used, and what is wrong with the others'."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from palimpsest.errors import ProofError
from palimpsest.proofs.file import Proofs
from palimpsest.proofs.fit import fit_statistics
from palimpsest.storage import tensor_hash

# Above this the norm of a vector overflows float32.
_LARGEST = 2.0**60


@dataclass(frozen=True)
class Delivery:
    """What a client handed in.

    Args:
        client: Who.
        vectors: What, its rows in the order of the client's requests; anything at all may be there.
        metadata: What the client says about it; see `Proofs`.
    """

    client: int
    vectors: Any
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Received:
    """What can be used of all that was handed in.

    Args:
        vectors: The usable proofs in the order of the clients, `[n, d]`.
        owners: Whose each of them is, `[n]` int64.
        faults: What is wrong with the others, a sentence for each client.
        unattested: Whose proofs are used though they do not say for which models they are.
        digests: The SHA-256 of every usable proof, to know it again in later deliveries.
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
    """Take in proofs, and leave out a client's altogether if anything about them is wrong.

    Args:
        deliveries: As they come, in any order; the second of one client counts as uninvited.
        asked: How many proofs each client owes.
        dimension: Length d of a proof.
        original: The hash of the model before unlearning; see `parameters_hash`.
        unlearned: That of the unlearned one.
        known: Digests of proofs that were handed in earlier, for other requests.
    """
    faults: dict[int, str] = {}
    usable: dict[int, Proofs] = {}
    for delivery in deliveries:
        client = delivery.client
        if client not in asked or client in usable or client in faults:
            faults.setdefault(client, "Handed in what it was not asked for.")
            usable.pop(client, None)
            continue
        try:
            proofs = Proofs(torch.as_tensor(delivery.vectors), dict(delivery.metadata))
        except (ProofError, TypeError, ValueError, RuntimeError) as error:
            faults[client] = f"Handed in no proofs: {' '.join(str(error).split())[:200]}"
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
    faults |= {
        client: "Handed in nothing." for client in asked if client not in usable and client not in faults
    }
    clients = sorted(usable)
    return Received(
        vectors=torch.cat([torch.empty(0, dimension), *(usable[client].vectors for client in clients)]),
        owners=torch.tensor([client for client in clients for _ in digests[client]], dtype=torch.int64),
        faults=dict(sorted(faults.items())),
        unattested=tuple(client for client in clients if not usable[client].attested),
        digests=frozenset(digest for rows in digests.values() for digest in rows),
    )


def misplaced(proofs: Tensor, expected: Tensor, *, margin: float = 0.01) -> dict[int, int]:
    """Which proofs belong to another sample than they should, where the samples' differences are known.

    For a spot check with samples that the auditor holds, and for defenses that keep a proof's direction.

    Args:
        proofs: What was handed in, `[n, d]`.
        expected: The differences of the samples, in the order that the proofs should have, `[n, d]`.
        margin: By how much another sample must fit better, as a cosine.

    Returns:
        For each misplaced proof, by its row, the sample whose it is.
    """
    fits = fit_statistics(proofs, expected, expected, only="imitation")["imitation"]
    best, other = fits.max(dim=1)
    rows = (best > fits.diagonal() + margin).nonzero().flatten()
    return {int(row): int(other[row]) for row in rows}


def _fault(proofs: Proofs, count: int, dimension: int, models: Mapping[str, str]) -> str | None:
    """What is wrong with a client's proofs on their own, or none."""
    vectors = proofs.vectors
    if vectors.shape[1] != dimension:
        return f"Handed in proofs of length {vectors.shape[1]}, not {dimension}: they are another model's."
    if len(vectors) != count:
        return f"Handed in {len(vectors)} proofs and owes {count}."
    finite = vectors.isfinite().all(dim=1)
    if not finite.all():
        return f"Its proof {int((~finite).nonzero()[0])} holds values that are not finite."
    large = vectors.abs().amax(dim=1) > _LARGEST
    if large.any():
        return f"Its proof {int(large.nonzero()[0])} holds values that are too large to be gradients."
    for name, actual in models.items():
        claimed = proofs.metadata.get(name)
        if claimed is not None and claimed != actual:
            return f"Its proofs are for another {name} model, {claimed[:12]!r} and not {actual[:12]!r}."
    return None


def _replays(digests: Mapping[int, list[str]], known: Collection[str]) -> dict[int, str]:
    """Whose proofs were handed in before, or by two at once: then nobody can tell who copied, and both are named."""
    owners: dict[str, list[int]] = {}
    for client, rows in digests.items():
        for digest in rows:
            owners.setdefault(digest, []).append(client)
    faults: dict[int, str] = {}
    for client, rows in digests.items():
        for row, digest in enumerate(rows):
            others = sorted({other for other in owners[digest] if other != client})
            if digest in known:
                faults.setdefault(client, f"Its proof {row} was handed in before, for another request.")
            elif others:
                faults.setdefault(client, f"Its proof {row} is also client {others[0]}'s.")
            elif len(owners[digest]) > 1:
                faults.setdefault(client, f"Its proof {row} comes twice.")
    return faults
