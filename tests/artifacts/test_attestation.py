from pathlib import Path

import torch
from tests.support.artifacts import Make, load

from palimpsest.artifacts.attestation import attestation_checks, named_models
from palimpsest.proofs import Proofs


def test_proofs_name_their_models_by_hash(case: Make, here: Path) -> None:
    held = load(case(), here)
    assert held.models is not None
    assert named_models(held.proofs, held.models) == {"original": True, "unlearned": True}
    assert list(attestation_checks(held.proofs, held.models)) == []


def test_proofs_of_another_request_are_reported(case: Make, here: Path) -> None:
    held = load(case(), here)
    other = Proofs(held.proofs.vectors, held.proofs.metadata | {"unlearned": "ab" * 32})
    (sentence,) = attestation_checks(other, held.models)
    assert "name another unlearned model ('abababababababab')" in sentence
    assert list(attestation_checks(other, None)) == []


def test_copies_are_reported_and_zero_proofs_are_not() -> None:
    vectors = torch.randn(8, 5, generator=torch.Generator().manual_seed(1))
    vectors[5] = vectors[2]
    vectors[6:] = 0
    (sentence,) = attestation_checks(Proofs(vectors), None)
    assert sentence.startswith("Proofs 2, 5 are one and the same")


def test_many_groups_of_copies_are_counted() -> None:
    vectors = torch.arange(1.0, 13.0).repeat_interleave(2)[:, None]
    sentences = list(attestation_checks(Proofs(vectors), None))
    assert len(sentences) == 11
    assert "2 more groups" in sentences[-1]
