import pytest
import torch
from tests.support.attack_views import World, seeded, small_perceptron
from torch import nn

from palimpsest.attacks import CocktailParty
from palimpsest.attacks.disaggregation.batches import Target
from palimpsest.datasets import ImageSet
from palimpsest.errors import ModelError
from palimpsest.metrics import in_order


def rectangle_images(count: int, channels: int, seed: int) -> ImageSet:
    """Make images of one rectangle on a dark ground, whose mixtures have more edges than they have."""
    generator = seeded(seed)
    images = torch.full((count, channels, 6, 6), 0.1)
    for image in images:
        top, left, height, width = (int(torch.randint(1, 4, (), generator=generator)) for _ in range(4))
        image[:, top - 1 : top + height, left - 1 : left + width] = 0.9
    return ImageSet("rectangles", images, torch.randint(4, (count,), generator=generator), 4)


@pytest.mark.parametrize("target", ["difference", "batch"])
def test_separates_the_images_of_a_batch(target: Target) -> None:
    clients = World(
        retained=1, forgotten=2, batches=2, moved=0.0, build=small_perceptron, images=rectangle_images
    )
    attack = CocktailParty(target=target, iterations=200)
    result = attack(clients.view, generator=seeded())
    truth = clients.forgotten.images
    found = in_order(result.images, truth, batch=2)
    mean = clients.view.public.images.mean(dim=0)
    assert (found - truth).square().mean() < 0.5 * (mean - truth).square().mean()
    assert float(result.objectives.max()) < 1e-3
    assert len(result.retained) == (2 if target == "batch" else 0)


def test_a_single_sample_is_exact() -> None:
    clients = World(retained=2, forgotten=1, moved=0.0, build=small_perceptron)
    result = CocktailParty(iterations=1)(clients.view, generator=seeded())
    torch.testing.assert_close(result.images, clients.forgotten.images, atol=1e-4, rtol=0)
    assert torch.equal(result.labels, clients.forgotten.labels)


def test_needs_no_relu_but_a_linear_layer() -> None:
    def sigmoid(_: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(36, 20), nn.Sigmoid(), nn.Linear(20, 4))

    clients = World(retained=2, forgotten=1, moved=0.0, build=sigmoid)
    result = CocktailParty(iterations=1)(clients.view, generator=seeded())
    torch.testing.assert_close(result.images, clients.forgotten.images, atol=1e-3, rtol=0)
    with pytest.raises(
        ModelError, match="cocktail-party needs a model whose first trainable layer is linear"
    ):
        CocktailParty()(World().view, generator=seeded())
