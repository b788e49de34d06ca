"""The attack as a run calls it."""

from dataclasses import fields, replace

import pytest
import torch

from palimpsest.attacks import AuditorView, IGFExact, Reconstruction
from palimpsest.errors import KnowledgeError

ATTACK = IGFExact(width=8, blocks=0, epochs=1, queries=1, calibration=6, rounds=2, batch=3)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_certified_images_are_exact(fitted) -> None:
    images = (fitted.case.images.float() * 255).round() / 255
    # Rounding decides which of such small proofs are solved: about half of them.
    images, labels = torch.cat([images, images.flip(-1)]), fitted.case.labels.repeat(2)
    proofs = torch.cat(list(fitted.view.oracle.differences(images, labels)))
    learned = ATTACK.learn(fitted.view, generator=seeded())
    found = ATTACK.invert(learned, proofs, device="cpu")
    (certificates,) = found.certificates
    assert certificates.exact.any()
    assert torch.equal(
        (found.images * 255).round()[certificates.exact], (images * 255).round()[certificates.exact]
    )
    assert found.facts["certified_exact"] == float(certificates.exact.double().mean())
    assert certificates.layers == ("7", "5", "0")


def test_the_reconstruction_is_stored_with_its_certificates(fitted, tmp_path) -> None:
    found = ATTACK.invert(fitted.state, fitted.view.proofs, device="cpu")
    found.save(tmp_path / "found.safetensors")
    loaded = Reconstruction.load(tmp_path / "found.safetensors")
    assert loaded.certificates[0].statuses() == found.certificates[0].statuses()


def test_a_view_without_models_is_refused(fitted) -> None:
    held = {item.name: getattr(fitted.view, item.name) for item in fields(AuditorView)}
    with pytest.raises(KnowledgeError, match="both models"):
        ATTACK.learn(AuditorView(**held), generator=seeded())


def test_proofs_of_another_length_are_refused(fitted) -> None:
    class Shorter:
        dimension = 7

    with pytest.raises(KnowledgeError, match="whole gradients"):
        ATTACK.learn(replace(fitted.view, oracle=Shorter()), generator=seeded())
