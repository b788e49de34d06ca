from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.support.attack_views import coarse_images
from torch import Tensor, nn

from palimpsest.attacks import AuditorView, IGFPlus, Knowledge, Learned
from palimpsest.oracles import ModelOracle

QUICK = {
    "beta": 0,
    "matching": 0,
    "epochs": 12,
    "queries": 2,
    "batch_size": 64,
    "learning_rate": 5e-3,
    "width": 16,
    "components": 8,
}


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(4), nn.Flatten(), nn.Linear(128, 3)
    )


FORGOTTEN = coarse_images(40, seed=8)


@pytest.fixture(scope="module")
def models_view() -> AuditorView:
    oracle = ModelOracle(network(1), network(2))
    proofs = torch.cat(list(oracle.differences(FORGOTTEN.images, FORGOTTEN.labels)))
    return AuditorView(proofs, oracle, coarse_images(400, seed=9), "cpu", 2**30)


def attack(view: AuditorView, **settings) -> tuple[float, dict[str, float]]:
    result = IGFPlus(**QUICK | settings)(view, generator=torch.Generator().manual_seed(0))
    assert result.images.shape == FORGOTTEN.images.shape
    return float((result.images - FORGOTTEN.images).square().mean()), result.facts


def test_finding_the_last_layer_and_its_layout_halves_the_error(models_view: AuditorView) -> None:
    full_error, facts = attack(models_view)
    assert facts["last_linear_inputs"] == 128
    assert facts["feature_map_layout"] == 4
    bare_error, facts = attack(models_view, last_linear=False)
    assert facts["last_linear_inputs"] == facts["feature_map_layout"] == 0
    assert full_error < bare_error / 2


@pytest.mark.parametrize(
    "settings",
    [
        {"feature_map_layout": False},
        {"label": False},
        {"components": 0},
        {"normalize": False},
        {"queries": 1},
        {"mixup": 0.5, "queries": 3},
        {"blocks": 0},
        {"ensemble_size": 2},
        {"last_linear": False, "components": 0},
        {"matching": 20, "surrogate_width": 8},
        {"last_linear": False, "matching": 20},
    ],
)
def test_each_option_can_be_switched(models_view: AuditorView, settings: dict[str, object]) -> None:
    error, facts = attack(models_view, **settings | {"epochs": 3})
    assert error < 0.2
    assert facts["queries"] == 400 * settings.get("queries", 2)
    if settings.get("feature_map_layout") is False:
        assert facts["feature_map_layout"] == 0


def test_refined_images_are_closer(models_view: AuditorView, tmp_path: Path) -> None:
    matching = IGFPlus(**QUICK | {"matching": 100, "surrogate_epochs": 12})
    learned = matching.learn(models_view, generator=torch.Generator().manual_seed(0))
    assert learned.refinement
    refined, unrefined = (
        matching.invert(state, models_view.proofs, device="cpu").images
        for state in (learned, replace(learned, refinement=()))
    )
    errors = [float((images - FORGOTTEN.images).square().mean()) for images in (refined, unrefined)]
    assert errors[0] < 0.9 * errors[1]
    learned.save(tmp_path / "learned.safetensors")
    loaded = matching.invert(Learned.load(tmp_path / "learned.safetensors"), models_view.proofs, device="cpu")
    assert torch.equal(loaded.images, refined)


def test_skips_a_refinement_that_increases_the_error(models_view: AuditorView) -> None:
    """After one epoch on few images the surrogate is useless, as the validation images show."""
    small = replace(models_view, auxiliary=coarse_images(60, seed=9))
    settings = QUICK | {
        "epochs": 1,
        "queries": 1,
        "validation": 0.3,
        "matching": 40,
        "matching_noise": 0.01,
        "surrogate_epochs": 1,
    }
    learned = IGFPlus(**settings).learn(small, generator=torch.Generator().manual_seed(0))
    assert not learned.refinement
    assert "surrogate_validation" in learned.history


def test_each_network_of_an_ensemble_has_its_history(models_view: AuditorView) -> None:
    result = IGFPlus(**QUICK | {"epochs": 1, "ensemble_size": 2})(models_view, generator=torch.Generator())
    assert {"training_loss", "training_loss_2", "validation_mse", "validation_mse_2"} == result.history.keys()


def test_vectors_without_a_linear_layer_are_only_projected(view: AuditorView, forgotten: Tensor) -> None:
    settings = QUICK | {"epochs": 80, "queries": 1, "components": 40, "normalize": False, "dropout": 0.0}
    result = IGFPlus(**settings)(view, generator=torch.Generator().manual_seed(0))
    assert result.facts["last_linear_inputs"] == 0
    baseline = (view.auxiliary.images.mean(0) - forgotten).square().mean()
    assert (result.images - forgotten).square().mean() < baseline / 2


def test_random_proofs_give_finite_images(models_view: AuditorView) -> None:
    noise = torch.randn(models_view.proofs.shape, generator=torch.Generator().manual_seed(1)) * 1e3
    result = IGFPlus(**QUICK | {"epochs": 1})(replace(models_view, proofs=noise), generator=torch.Generator())
    assert result.images.isfinite().all()


def test_needs_the_same_knowledge_as_igf() -> None:
    assert IGFPlus.knowledge == {Knowledge.PROOFS, Knowledge.ORACLE, Knowledge.AUXILIARY}


def test_the_global_random_state_is_unchanged(models_view: AuditorView) -> None:
    before = torch.random.get_rng_state()
    attack = IGFPlus(**QUICK | {"epochs": 1, "matching": 2, "surrogate_width": 8, "validation": 0.0})
    assert attack.learn(models_view, generator=torch.Generator()).refinement
    attack(models_view, generator=torch.Generator())
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_diverging_surrogate_disables_the_refinement(
    models_view: AuditorView, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("palimpsest.attacks.learned.surrogate._RATE", 1e38)
    attack = IGFPlus(**QUICK | {"epochs": 1, "matching": 2, "precision": "float32", "validation": 0.0})
    learned = attack.learn(models_view, generator=torch.Generator())
    assert not learned.refinement
    assert attack.invert(learned, models_view.proofs, device="cpu").images.isfinite().all()
