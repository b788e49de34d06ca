import pytest
import torch
from torch import nn

from palimpsest import gradient_differences
from palimpsest.bounds import Sensitivity
from palimpsest.defenses.release import clip_to
from palimpsest.errors import ModelError
from palimpsest.randomness import make_generator


def network(seed, *layers):
    torch.manual_seed(seed)
    return nn.Sequential(*layers) if layers else convolutional()


def convolutional():
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2), nn.Sigmoid(), nn.Flatten(), nn.Linear(32, 3)
    )


@pytest.fixture
def models():
    return [network(seed) for seed in (1, 2)]


def reference_jacobian(models, image, label, mean=lambda proofs: proofs):
    """The derivative by central differences of the released proofs in float64: correct, slow."""
    before, after = (model.double() for model in models)
    flat = image.double().flatten()
    steps = torch.eye(len(flat), dtype=torch.float64) * 1e-5
    shifted = torch.cat([flat + steps, flat - steps]).view(-1, *image.shape)
    proofs = mean(gradient_differences(before, after, shifted, label.expand(len(shifted))))
    up, down = proofs.chunk(2)
    return (up - down) / 2e-5  # [p, d]


@pytest.mark.parametrize("clip", [None, 1e-3])
def test_products_equal_those_of_the_numerical_derivative(models, clip):
    generator = make_generator(3)
    images = torch.rand(3, 1, 4, 4, generator=generator)
    labels, vectors = torch.tensor([0, 1, 2]), torch.randn(3, 2, 16, generator=generator)
    mean = clip_to(clip) if clip else lambda proofs: proofs
    found = Sensitivity(*models, mean).normal_products(images, labels, vectors).double()
    for place in range(3):
        jacobian = reference_jacobian(models, images[place], labels[place], mean)
        expected = vectors[place].double() @ jacobian @ jacobian.T
        torch.testing.assert_close(found[place], expected, rtol=2e-3, atol=2e-3 * float(expected.abs().max()))


def test_small_budgets_give_the_same_products_and_the_models_are_unchanged(models):
    generator = make_generator(4)
    images, labels = torch.rand(4, 1, 4, 4, generator=generator), torch.tensor([0, 1, 2, 0])
    vectors = torch.randn(4, 3, 16, generator=generator)
    models[0].train()
    whole = Sensitivity(*models).normal_products(images, labels, vectors)
    single = Sensitivity(*models, memory_budget=1).normal_products(images, labels, vectors)
    torch.testing.assert_close(whole, single)
    assert models[0].training
    assert not models[1].training or models[1].training
    assert not whole.requires_grad


def test_models_without_derivatives_are_refused(models):
    class Rounded(nn.Module):
        def forward(self, images):
            return images.flatten(1)[:, : int(images.sum())]

    pair = [network(1, Rounded(), nn.Linear(2, 2)), network(2, Rounded(), nn.Linear(2, 2))]
    with pytest.raises(ModelError, match="has no second derivative"):
        Sensitivity(*pair).normal_products(torch.rand(1, 1, 4, 4), torch.tensor([0]), torch.rand(1, 1, 16))
    with pytest.raises(ModelError, match="differ"):
        Sensitivity(models[0], pair[0]).normal_products(
            torch.rand(1, 1, 4, 4), torch.tensor([0]), torch.rand(1, 1, 16)
        )
