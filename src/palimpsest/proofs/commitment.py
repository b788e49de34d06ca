"""A promise to hand in these proofs and no others, made before the challenge is known."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from torch import Tensor

from palimpsest.errors import ProofError
from palimpsest.storage import tensor_hash


@dataclass(frozen=True)
class Commitment:
    """What a party publishes: it binds the party to its proofs and tells nothing about them.

    Args:
        digest: SHA-256 over the nonce and the proofs' hash, in hexadecimal.
    """

    digest: str


@dataclass(frozen=True)
class Opening:
    """What the party keeps until the challenge is known.

    Args:
        nonce: 32 random bytes: without them a proof of a known sample could be recognized in its hash.
    """

    nonce: bytes


def commit(vectors: Tensor) -> tuple[Commitment, Opening]:
    """Commit to proofs, `[n, d]`; the nonce comes from the operating system, not from a seed."""
    opening = Opening(secrets.token_bytes(32))
    return Commitment(_digest(vectors, opening)), opening


def check_commitment(commitment: Commitment, opening: Opening, vectors: Tensor) -> None:
    """Refuse proofs other than those that were committed to.

    Raises:
        ProofError: The proofs, their order or the nonce differ.
    """
    if not hmac.compare_digest(commitment.digest, _digest(vectors, opening)):
        raise ProofError(
            f"The proofs are not those of the commitment {commitment.digest[:12]}...: refuse the whole submission."
        )


def _digest(vectors: Tensor, opening: Opening) -> str:
    return hashlib.sha256(opening.nonce + bytes.fromhex(tensor_hash(vectors))).hexdigest()
