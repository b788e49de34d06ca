"""Commitments to proofs, made before the challenge is known."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from torch import Tensor

from palimpsest.errors import ProofError
from palimpsest.storage import tensor_hash


@dataclass(frozen=True)
class Commitment:
    """Public part of a commitment, which binds a party to its proofs and reveals nothing about them.

    Args:
        digest: SHA-256 of the nonce and the proofs' hash, in hexadecimal.
    """

    digest: str


@dataclass(frozen=True)
class Opening:
    """Secret part of a commitment, which the party reveals once the challenge is known.

    Args:
        nonce: 32 random bytes. Without them, an auditor could recognize the proof of a known sample by its hash.
    """

    nonce: bytes


def commit(vectors: Tensor) -> tuple[Commitment, Opening]:
    """Commit to proofs.

    The nonce comes from the operating system, not from a seed.

    Args:
        vectors: Proofs, `[n, d]`.

    Returns:
        The commitment to publish, and the opening to keep secret.
    """
    opening = Opening(secrets.token_bytes(32))
    return Commitment(_digest(vectors, opening)), opening


def check_commitment(commitment: Commitment, opening: Opening, vectors: Tensor) -> None:
    """Check that proofs are those of a commitment.

    Args:
        commitment: The published commitment.
        opening: The party's opening.
        vectors: The party's proofs, `[n, d]`.

    Raises:
        ProofError: The proofs, their order or the nonce differ.
    """
    if not hmac.compare_digest(commitment.digest, _digest(vectors, opening)):
        raise ProofError(
            f"The proofs are not those of the commitment {commitment.digest[:12]}... Reject the whole submission."
        )


def _digest(vectors: Tensor, opening: Opening) -> str:
    return hashlib.sha256(opening.nonce + bytes.fromhex(tensor_hash(vectors))).hexdigest()
