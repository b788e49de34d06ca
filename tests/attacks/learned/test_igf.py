from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from palimpsest.attacks import IGF, AuditorView, Knowledge, Learned

QUICK = {"beta": 0, "epochs": 60, "batch_size": 64, "learning_rate": 3e-3, "width": 16, "dropout": 0.0}


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("reduction", ["svd", "hash", "none"])
def test_recovers_images_that_the_proofs_determine(
    view: AuditorView, forgotten: Tensor, reduction: str
) -> None:
    result = IGF(reduction=reduction, **QUICK)(view, generator=generator())
    error = (result.images - forgotten).square().mean()
    baseline = (view.auxiliary.images.mean(0) - forgotten).square().mean()
    assert error < baseline / 4
    assert result.images.shape == forgotten.shape
    assert 0 <= result.images.min() <= result.images.max() <= 1
    assert result.history["training_loss"][-1] < result.history["training_loss"][0]
    assert len(result.history["validation_mse"]) == 60


@pytest.mark.parametrize("queries", [1, 3])
def test_the_oracle_is_asked_once_for_each_query(view: AuditorView, queries: int) -> None:
    IGF(**QUICK | {"epochs": 1, "queries": queries})(view, generator=generator())
    assert view.oracle.queries == queries * len(view.auxiliary)


def test_the_same_seed_gives_the_same_bits_and_leaves_the_global_state_alone(view: AuditorView) -> None:
    settings = QUICK | {"epochs": 2, "dropout": 0.5, "precision": "auto"}
    before = torch.random.get_rng_state()
    first = IGF(**settings)(view, generator=generator())
    torch.rand(1)
    torch.random.set_rng_state(before)
    second = IGF(**settings)(view, generator=generator())
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first.images, second.images)
    assert first.history == second.history


def test_what_was_learned_is_stored_and_inverts_any_proofs(view: AuditorView, tmp_path: Path) -> None:
    attack = IGF(**QUICK | {"epochs": 2, "inverters": 2})
    learned = attack.learn(view, generator=generator())
    learned.save(tmp_path / "inverter.safetensors")
    again = Learned.load(tmp_path / "inverter.safetensors")
    at_once = attack(view, generator=generator())
    assert torch.equal(attack.invert(again, view.proofs, device="cpu").images, at_once.images)
    backwards = attack.invert(again, view.proofs.flip(0), device="cpu").images
    torch.testing.assert_close(backwards.flip(0), at_once.images, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("refreshes", "asked"), [(None, 4), (2, 2), (9, 4)])
def test_answers_that_vary_are_asked_for_anew(view: AuditorView, refreshes: int | None, asked: int) -> None:
    attack = IGF(**QUICK | {"epochs": 4, "refreshes": refreshes})
    attack(replace(view, stochastic_oracle=True), generator=generator())
    assert view.oracle.queries == asked * len(view.auxiliary)


def test_no_forgotten_image_can_be_reached_from_what_the_attack_holds(
    view: AuditorView, forgotten: Tensor
) -> None:
    wanted = {tuple(image.flatten().tolist()) for image in forgotten}
    seen: set[int] = set()

    def search(value: object) -> None:
        if id(value) in seen:
            return
        seen.add(id(value))
        if isinstance(value, Tensor) and value.dim() == 4:
            assert not wanted & {tuple(image.flatten().tolist()) for image in value}
        elif isinstance(value, dict):
            for item in value.values():
                search(item)
        elif isinstance(value, list | tuple | set | frozenset):
            for item in value:
                search(item)
        elif hasattr(value, "__dict__"):
            search(vars(value))

    search(view)
    search(IGF())
    assert {field.name for field in fields(AuditorView)} == {
        "proofs",
        "oracle",
        "auxiliary",
        "device",
        "memory_budget",
        "scratch",
        "stochastic_oracle",
        "further",
    }


def test_it_declares_what_it_needs() -> None:
    assert IGF.knowledge == {Knowledge.PROOFS, Knowledge.ORACLE, Knowledge.AUXILIARY}
    assert IGF.knowledge <= AuditorView.knowledge
