"""The attack as a run calls it."""

from dataclasses import fields, replace

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from palimpsest.attacks import AuditorView, IGFExact, ModelsView, Reconstruction
from palimpsest.datasets import ImageSet
from palimpsest.errors import KnowledgeError
from palimpsest.oracles import ModelOracle

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


def test_a_perceptron_on_color_images_is_solved_in_closed_form() -> None:
    def perceptron(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Flatten(), nn.Linear(48, 24), nn.ReLU(), nn.Linear(24, 12), nn.ReLU(), nn.Linear(12, 3)
        )

    original, unlearned = perceptron(0), perceptron(1)
    images = (torch.rand(40, 3, 4, 4, generator=seeded()) * 255).round() / 255
    auxiliary = ImageSet("auxiliary", images, torch.arange(40) % 3, 3)
    oracle = ModelOracle(original, unlearned)
    targets = images.flip(-1)[:10]
    proofs = torch.cat(list(oracle.differences(targets, torch.arange(10) % 3)))
    view = ModelsView(
        proofs, oracle, auxiliary, "cpu", 2**30, architecture=original, original=original, unlearned=unlearned
    )
    found = ATTACK.invert(ATTACK.learn(view, generator=seeded()), proofs, device="cpu")
    exact = found.certificates[0].exact
    assert exact.double().mean() > 0.5
    assert_close(found.images[exact], targets[exact], atol=1e-4, rtol=0)
    assert found.images.shape == targets.shape
