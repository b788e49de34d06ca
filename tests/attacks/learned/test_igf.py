from collections.abc import Iterator
from dataclasses import fields, replace

import pytest
import torch
from tests.support.attack_views import LinearOracle, coarse_images, model_view
from torch import Tensor, nn

from palimpsest.attacks import IGF, ArchitectView, AuditorView, Knowledge
from palimpsest.errors import ConfigurationError, KnowledgeError
from palimpsest.reduction import CountSketch, FactoredProjection

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


def test_one_answer_of_extreme_features_does_not_spoil_the_images(
    view: AuditorView, forgotten: Tensor
) -> None:
    class Extreme(LinearOracle):
        """An oracle with one answer, about a variation of an image, that is unlike all others."""

        def differences(self, images: Tensor, labels: Tensor) -> Iterator[Tensor]:
            answers = torch.cat(list(super().differences(images, labels)))
            if self.queries == 600:
                answers[100] *= 1e6
            yield answers

    attack = IGF(**QUICK | {"epochs": 20, "queries": 2})
    errors = [
        (attack(replace(view, oracle=oracle), generator=generator()).images - forgotten).square().mean()
        for oracle in (LinearOracle(), Extreme())
    ]
    assert errors[1] < 1.5 * errors[0]


@pytest.mark.parametrize("queries", [1, 3])
def test_the_oracle_answers_each_query_once(view: AuditorView, queries: int) -> None:
    IGF(**QUICK | {"epochs": 1, "queries": queries})(view, generator=generator())
    assert view.oracle.queries == queries * len(view.auxiliary)


def test_the_seed_determines_the_result_and_the_global_state_is_unchanged(view: AuditorView) -> None:
    settings = QUICK | {"epochs": 2, "dropout": 0.5, "precision": "auto"}
    before = torch.random.get_rng_state()
    first = IGF(**settings)(view, generator=generator())
    torch.rand(1)
    torch.random.set_rng_state(before)
    second = IGF(**settings)(view, generator=generator())
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first.images, second.images)
    assert first.history == second.history


@pytest.mark.parametrize(("refreshes", "times"), [(None, 4), (2, 2), (9, 4)])
def test_a_stochastic_oracle_is_queried_again(view: AuditorView, refreshes: int | None, times: int) -> None:
    attack = IGF(**QUICK | {"epochs": 4, "refreshes": refreshes})
    attack(replace(view, stochastic_oracle=True), generator=generator())
    assert view.oracle.queries == times * len(view.auxiliary)


def test_forgotten_images_cannot_be_reached_from_the_attack(view: AuditorView, forgotten: Tensor) -> None:
    forgotten_pixels = {tuple(image.flatten().tolist()) for image in forgotten}
    visited: set[int] = set()

    def search(value: object) -> None:
        if id(value) in visited:
            return
        visited.add(id(value))
        if isinstance(value, Tensor) and value.dim() == 4:
            assert not forgotten_pixels & {tuple(image.flatten().tolist()) for image in value}
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
        "group_sizes",
        "proofs",
        "oracle",
        "auxiliary",
        "device",
        "memory_budget",
        "scratch",
        "stochastic_oracle",
        "remaining_queries",
    }


def test_declares_its_knowledge() -> None:
    assert IGF().knowledge == {Knowledge.PROOFS, Knowledge.ORACLE, Knowledge.AUXILIARY}
    assert IGF().knowledge <= AuditorView.knowledge


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2), nn.Tanh(), nn.Flatten(), nn.Linear(196, 12), nn.Tanh(), nn.Linear(12, 3)
    )


def architect_view() -> ArchitectView:
    view = model_view(network, coarse_images(6, 1, cells=2), coarse_images(120, 2, cells=2))
    return replace(view, architecture=view.architecture.to("meta"))


def test_a_factored_sketch_reduces_answers_and_proofs_alike() -> None:
    view = architect_view()
    settings = QUICK | {"sketch": 300, "sketch_kind": "factored", "horizontal_flip": False}
    learned = IGF(**settings).learn(view, generator=generator())
    sketch = learned.features.sketch
    assert isinstance(sketch, FactoredProjection)
    assert 250 <= sketch.components <= 300
    result = IGF(**settings).invert(learned, view.proofs, device="cpu")
    assert result.facts["sketch"] == sketch.components
    assert result.facts["sketch_distortion"] > 0
    truth = coarse_images(6, 1, cells=2).images
    baseline = (view.auxiliary.images.mean(0) - truth).square().mean()
    assert (result.images - truth).square().mean() < baseline / 2


def test_only_a_factored_sketch_needs_the_architecture() -> None:
    assert Knowledge.ARCHITECTURE in IGF(sketch=300, sketch_kind="factored").knowledge
    assert IGF(sketch_kind="factored").knowledge == IGF(sketch=300).knowledge == AuditorView.knowledge
    view = architect_view()
    assert isinstance(IGF(sketch=300).draw_sketch(view, generator()), CountSketch)
    attack = IGF(sketch=300, sketch_kind="factored")
    held = {item.name: getattr(view, item.name) for item in fields(AuditorView)}
    with pytest.raises(KnowledgeError, match="sketch_kind to count"):
        attack.draw_sketch(AuditorView(**held), generator())
    with pytest.raises(ConfigurationError, match="400 coordinates, the model has 2,443 parameters"):
        attack.draw_sketch(replace(view, oracle=LinearOracle(400)), generator())
    # A sketch that is no shorter than the vectors saves nothing.
    assert IGF(sketch=2443, sketch_kind="factored").draw_sketch(view, generator()) is None
