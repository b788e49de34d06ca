from dataclasses import replace

import pytest
import torch
from tests.support.attack_views import World, noise_images, seeded, small_perceptron
from torch import nn

from palimpsest.attacks import Spear
from palimpsest.attacks.disaggregation.batches import Target
from palimpsest.errors import ModelError
from palimpsest.metrics import in_order


@pytest.mark.parametrize("target", ["stages", "batch"])
@pytest.mark.parametrize("search", ["guided", "uniform"])
def test_recovers_batches_exactly_although_the_models_differ(target: Target, search) -> None:
    clients = World(retained=3, forgotten=2, moved=0.02, build=small_perceptron, images=noise_images)
    result = Spear(target=target, search=search, submatrices=4000)(clients.view, generator=seeded())
    for found, truth, size in ((result.images, clients.forgotten, 2), (result.retained, clients.retained, 3)):
        torch.testing.assert_close(in_order(found, truth.images, batch=size), truth.images, atol=1e-4, rtol=0)
    assert result.facts["samples_consistent"] == result.facts["samples_found"] == 1
    assert float(result.objectives.max()) < 1e-4
    labels = [part.sort().values.tolist() for part in result.labels.split(2)]
    assert labels == [part.sort().values.tolist() for part in clients.forgotten.labels.split(2)]


def test_the_difference_is_exact_only_for_equal_models() -> None:
    same, moved = (
        World(retained=3, forgotten=2, moved=moved, build=small_perceptron, images=noise_images)
        for moved in (0.0, 0.05)
    )
    attack = Spear(target="difference", submatrices=2000)
    errors = []
    for clients in (same, moved):
        result = attack(clients.view, generator=seeded())
        images = in_order(result.images, clients.forgotten.images, batch=2)
        errors.append(float((images - clients.forgotten.images).square().mean()))
        assert not len(result.retained)
    assert errors[0] < 1e-8
    assert errors[1] > 1e-4


def test_the_mean_public_image_stands_for_samples_that_are_not_found() -> None:
    clients = World(retained=2, forgotten=2, moved=0.0, build=small_perceptron, images=noise_images)
    noise = torch.randn(clients.view.observation.gradients_before.shape, generator=seeded())
    noisy = replace(clients.view.observation, gradients_before=noise, gradients_after=noise.flip(0))
    result = Spear(submatrices=512)(replace(clients.view, observation=noisy), generator=seeded())
    mean = clients.view.public.images.mean(dim=0)
    torch.testing.assert_close(result.images, mean.expand_as(result.images))
    assert result.facts["samples_consistent"] == result.facts["samples_found"] == 0
    assert torch.equal(result.objectives, torch.ones(3, dtype=torch.float64))


def test_rejects_a_model_of_another_kind() -> None:
    with pytest.raises(ModelError, match="the first trainable layer of this one is Conv2d '0'"):
        Spear()(World().view, generator=seeded())


def test_rejects_an_activation_without_zeros() -> None:
    def tanh(_: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(36, 20), nn.Tanh(), nn.Linear(20, 4))

    with pytest.raises(ModelError, match="needs a ReLU after the first linear layer '1', but 100%"):
        Spear()(World(build=tanh).view, generator=seeded())


def test_rejects_a_layer_with_too_few_units() -> None:
    clients = World(retained=6, forgotten=2, build=lambda channels: small_perceptron(channels, units=8))
    with pytest.raises(ModelError, match=r"8 units and 36 inputs, too few to separate 8 samples"):
        Spear(target="batch")(clients.view, generator=seeded())
