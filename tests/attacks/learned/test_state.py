from pathlib import Path

import torch
from tests.support.attack_views import seeded

from palimpsest.attacks import IGF, AuditorView, Learned

SMALL = {"beta": 0, "epochs": 2, "batch_size": 64, "width": 16}


def test_a_stored_state_gives_bitwise_equal_images(view: AuditorView, tmp_path: Path) -> None:
    attack = IGF(**SMALL, ensemble_size=2)
    learned = attack.learn(view, generator=seeded())
    learned.save(tmp_path / "learned.safetensors")
    loaded = Learned.load(tmp_path / "learned.safetensors")
    results = [attack.invert(state, view.proofs, device="cpu") for state in (learned, loaded)]
    assert torch.equal(results[0].images, results[1].images)
    assert results[0].history == results[1].history
    assert loaded.shape == learned.shape
    assert len(loaded.networks) == 2


def test_the_order_of_the_proofs_does_not_matter(view: AuditorView) -> None:
    attack = IGF(**SMALL)
    learned = attack.learn(view, generator=seeded())
    forward, backward = (
        attack.invert(learned, proofs, device="cpu").images for proofs in (view.proofs, view.proofs.flip(0))
    )
    torch.testing.assert_close(backward.flip(0), forward, rtol=1e-4, atol=1e-5)
