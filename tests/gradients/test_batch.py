from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from palimpsest.config import ModelConfig
from palimpsest.gradients import BatchGradient, per_sample_gradients
from palimpsest.models import build_model

ARCHITECTURES = [("lenet", {}), ("convnet", {"width": 4}), ("resnet20", {"width": 2})]


def model_and_samples(name: str, settings: dict[str, Any]) -> tuple[nn.Module, Tensor, Tensor]:
    model = build_model(ModelConfig(name=name, **settings), shape=(3, 8, 8), classes=5, seed=0)
    images = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    return model, images, torch.arange(6) % 5


@pytest.mark.parametrize(("name", "settings"), ARCHITECTURES)
def test_equals_the_mean_of_per_sample_gradients(name: str, settings: dict[str, Any]) -> None:
    model, images, labels = model_and_samples(name, settings)
    found = BatchGradient(model)(dict(model.state_dict()), images, F.one_hot(labels, 5).float())
    expected = per_sample_gradients(model, images, labels).mean(dim=0)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("steps", [1, 4])
def test_equals_the_update_of_sgd_divided_by_its_step_sizes(steps: int) -> None:
    model, images, labels = model_and_samples("lenet", {"activation": "tanh"})
    gradient = BatchGradient(model, local_steps=steps, learning_rate=0.2)
    start = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()
    update = gradient.flatten(start) - gradient.flatten(dict(model.state_dict()))
    found = gradient(start, images, F.one_hot(labels, 5).float())
    torch.testing.assert_close(found, update / (0.2 * steps), atol=1e-5, rtol=1e-4)


def test_leaves_the_model_unchanged_and_accepts_the_meta_device() -> None:
    model, images, labels = model_and_samples("resnet20", {"width": 2})
    parameters = {name: value.clone() for name, value in model.state_dict().items()}
    targets = F.one_hot(labels, 5).float()
    expected = BatchGradient(model)(parameters, images, targets)
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    found = BatchGradient(model.to("meta"))(parameters, images, targets)
    assert torch.equal(found, expected)
