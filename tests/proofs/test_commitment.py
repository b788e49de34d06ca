import pytest
import torch

from palimpsest.errors import ProofError
from palimpsest.proofs import check_commitment, commit

PROOFS = torch.randn(4, 9)


def test_only_the_same_proofs_open_a_commitment() -> None:
    commitment, opening = commit(PROOFS)
    check_commitment(commitment, opening, PROOFS.clone())
    changed = PROOFS.clone()
    changed[2, 3] += 1e-6
    for other in (changed, PROOFS.flip(0), PROOFS[:3], PROOFS.double()):
        with pytest.raises(ProofError, match="not those of the commitment"):
            check_commitment(commitment, opening, other)


def test_another_nonce_does_not_open_a_commitment() -> None:
    commitment, _ = commit(PROOFS)
    other, opening = commit(PROOFS)
    assert commitment != other, "equal proofs must have different commitments"
    with pytest.raises(ProofError, match="Reject the whole submission"):
        check_commitment(commitment, opening, PROOFS)


def test_each_commitment_has_a_new_nonce_of_32_bytes() -> None:
    (first, opening), (second, other) = commit(torch.ones(2, 3)), commit(torch.ones(2, 3))
    assert len(opening.nonce) == len(other.nonce) == 32
    assert first != second
