from pathlib import Path

import torch
from tests.support.artifacts import Make, load

from palimpsest.artifacts.attestation import attestation_checks, named_models
from palimpsest.proofs import Proofs


def test_accepts_proofs_that_name_their_models(case: Make, here: Path) -> None:
    held = load(case(), here)
    assert held.models is not None
    assert named_models(held.proofs, held.models) == {"original": True, "unlearned": True}
    assert list(attestation_checks(held.proofs, held.models)) == []


def test_reports_proofs_of_another_request(case: Make, here: Path) -> None:
    held = load(case(), here)
    other = Proofs(held.proofs.vectors, held.proofs.metadata | {"unlearned": "ab" * 32})
    (sentence,) = attestation_checks(other, held.models)
    assert "name another unlearned model ('abababababababab')" in sentence
    assert list(attestation_checks(other, None)) == []


def test_reports_copies_but_not_zero_proofs() -> None:
    vectors = torch.randn(8, 5, generator=torch.Generator().manual_seed(1))
    vectors[5] = vectors[2]
    vectors[6:] = 0
    (sentence,) = attestation_checks(Proofs(vectors), None)
    assert sentence.startswith("Proofs 2, 5 are identical")


def test_counts_groups_of_copies_beyond_the_first_ten() -> None:
    vectors = torch.arange(1.0, 13.0).repeat_interleave(2)[:, None]
    sentences = list(attestation_checks(Proofs(vectors), None))
    assert len(sentences) == 11
    assert "2 more groups" in sentences[-1]
