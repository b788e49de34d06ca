import pytest
import torch

from palimpsest.errors import ProofError
from palimpsest.proofs import check_commitment, commit

PROOFS = torch.randn(4, 9)


def test_the_same_proofs_open_it_and_no_others_do() -> None:
    commitment, opening = commit(PROOFS)
    check_commitment(commitment, opening, PROOFS.clone())
    changed = PROOFS.clone()
    changed[2, 3] += 1e-6
    for other in (changed, PROOFS.flip(0), PROOFS[:3], PROOFS.double()):
        with pytest.raises(ProofError, match="not those of the commitment"):
            check_commitment(commitment, opening, other)


def test_another_nonce_does_not_open_it() -> None:
    commitment, _ = commit(PROOFS)
    other, opening = commit(PROOFS)
    assert commitment != other, "equal proofs are not recognized"
    with pytest.raises(ProofError, match="refuse the whole submission"):
        check_commitment(commitment, opening, PROOFS)


def test_the_nonce_has_32_bytes_and_is_new_each_time() -> None:
    (first, opening), (second, other) = commit(torch.ones(2, 3)), commit(torch.ones(2, 3))
    assert len(opening.nonce) == len(other.nonce) == 32
    assert first != second
